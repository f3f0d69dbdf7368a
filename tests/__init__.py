"""Tests of more than one package: conformance, faults, boot, update, cluster, release."""
