"""Recorded traces of etcd-io/raft, replayed on our core.

A trace is a text file of commands, each followed by `----` and what was printed. `datadriven`
reads the files, `cluster` carries out commands on a small cluster, `commands` and `algebra`
declare the commands, `runner` compares. `traces/` holds traces under the license beside them.
Other directories: `python -m tests.conformance.raft.runner DIR` or STRAKE_RAFT_TRACES=DIR.
"""
