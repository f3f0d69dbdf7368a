"""Quorum algebra: what a majority, or two majorities at once, have agreed on.

`majority` works on one set of voters, `joint` on the pair that is in force during a
membership change. Everything is pure: sets and numbers in, numbers and results out. An empty
set of voters agrees with everything, so that a joint pair with an empty half behaves like
its other half.
"""

from services.etcd.raft.quorum.joint import JointConfig
from services.etcd.raft.quorum.majority import INFINITY, VoteResult

__all__ = ["INFINITY", "JointConfig", "VoteResult"]
