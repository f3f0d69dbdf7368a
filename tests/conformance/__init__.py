"""Suites of others, run on our parts."""
