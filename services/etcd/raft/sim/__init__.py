"""A cluster in one process, with everything that can go wrong, decided by a seed.

A `world.World` runs hosts in virtual time. Messages are lost, delayed, doubled and
reordered; networks part, one way or both; hosts crash and lose what was not synced; clocks
run at different speeds; nodes come, go and change roles. `oracle.Oracle` watches and raises
`oracle.SafetyError` when a promise of raft is broken. The same seed gives the same run.

`python -m services.etcd.raft.sim FIRST:LAST` runs many seeds, printing those that fail.
"""
