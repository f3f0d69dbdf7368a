"""Raft: how nodes agree on one log, as a pure state machine.

No clock, socket, file or thread is in here: a host feeds ticks and messages to `node.Node`
and carries out what `ready()` hands back. Chance comes in through `Config.random_below`.
The contract follows etcd-io/raft, down to message numbers and recorded traces
(tests/conformance/raft), and covers elections with pre-vote and check-quorum, replication
with flow control, snapshots, leadership transfer, learners, joint membership changes,
linearizable and lease reads, and asynchronous storage.

    model      values: entries, messages, states     node        the front: Node
    config     settings                              core        state machine and dispatch
    storage    what the core reads back              election, leader, candidate, follower
    log        stable and unstable entries           replication, membership, read_index
    quorum, tracker, confchange                      algebra, each for itself
    describe   values as text                        sim         a cluster with faults

Import from the modules: `from services.etcd.raft.node import Node`.
"""
