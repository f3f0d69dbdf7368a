"""What a leader knows about the other nodes.

`inflights` bounds what is under way to one node, `progress` is the state machine of
replication to one node (probe, replicate, snapshot), `tracker` holds the configuration, the
progress of every node and the votes of an election.
"""

from services.etcd.raft.tracker.config import TrackerConfig
from services.etcd.raft.tracker.inflights import Inflights
from services.etcd.raft.tracker.progress import Progress, ProgressState
from services.etcd.raft.tracker.tracker import ProgressTracker

__all__ = ["Inflights", "Progress", "ProgressState", "ProgressTracker", "TrackerConfig"]
