"""Membership changes.

`change` holds the changes themselves with their text and protocol-buffer forms; `changer`
computes the configuration that a change leads to, and `restore` the one a snapshot names.
All pure: nothing is put in force here.
"""

from services.etcd.raft.confchange.change import (
    ChangeSingle,
    ChangeType,
    ConfChange,
    ConfChangeV2,
    Transition,
    change_of_entry,
)
from services.etcd.raft.confchange.changer import Changer, Membership
from services.etcd.raft.confchange.restore import restore

__all__ = [
    "ChangeSingle",
    "ChangeType",
    "Changer",
    "ConfChange",
    "ConfChangeV2",
    "Membership",
    "Transition",
    "change_of_entry",
    "restore",
]
