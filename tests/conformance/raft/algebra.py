"""The commands of quorum and membership traces, which need no cluster."""

from __future__ import annotations

from services.etcd.raft.confchange import Changer, Membership
from services.etcd.raft.confchange.change import parse_changes
from services.etcd.raft.errors import ConfChangeError
from services.etcd.raft.quorum import INFINITY, JointConfig, majority
from services.etcd.raft.tracker import TrackerConfig
from services.etcd.raft.tracker.progress import format_progress
from tests.conformance.raft.datadriven import Case

QUORUM_COMMANDS = frozenset({"committed", "vote"})
CHANGE_COMMANDS = frozenset({"simple", "enter-joint", "leave-joint"})


def quorum(case: Case) -> str:
    """Answer what a configuration has committed, or how its election stands."""
    incoming = [int(word) for word in case.options.get("cfg", ()) if word]
    outgoing = [int(w) for w in case.options.get("cfgj", ()) if w and w != "zero"]
    config = JointConfig(frozenset(incoming), frozenset(outgoing))
    given = case.options.get("votes" if case.command == "vote" else "idx", ())
    given = tuple(word for word in given if word)
    if len(config.ids) != len(given):
        voters = " ".join(f"{node}:{{}}" for node in sorted(config.ids))
        return f"error: mismatched input (explicit or _) for voters map[{voters}]: {list(given)}"
    ids = dict.fromkeys(incoming + outgoing)
    words = {node: word for node, word in zip(ids, given, strict=True) if word != "_"}
    if case.command == "vote":
        votes = {node: word == "y" for node, word in words.items()}
        return _agreed(config, config.vote_result(votes).text, votes)
    acked = {node: int(word) for node, word in words.items()}
    index = config.committed_index(acked)
    chart = (
        config.describe(acked)
        if "cfgj" in case.options
        else majority.describe(config.incoming, acked)
    )
    return chart + ("∞" if index == INFINITY else str(index))


def _agreed(config: JointConfig, result: str, votes: dict[int, bool]) -> str:
    """The result, with a complaint when the halves do not commute."""
    swapped = JointConfig(config.outgoing, config.incoming).vote_result(votes).text
    return result if swapped == result else f"{swapped} <-- via symmetry\n{result}"


class Changes:
    """A membership that commands change step by step; each step counts as one log entry."""

    def __init__(self) -> None:
        self._membership = Membership(TrackerConfig(), {})
        self._last_index = 0

    def execute(self, case: Case) -> str:
        """Carry out one change; the membership it leads to, or why it is refused."""
        changer = Changer(self._membership, self._last_index, max_inflight=10)
        self._last_index += 1
        try:
            self._membership = _changed(changer, case)
        except ConfChangeError as error:
            return error.message
        return f"{self._membership.config}\n{format_progress(self._membership.progress)}"


def _changed(changer: Changer, case: Case) -> Membership:
    changes = parse_changes(case.input)
    if case.command == "simple":
        return changer.simple(changes)
    if case.command == "enter-joint":
        return changer.enter_joint(case.option("autoleave") == "true", changes)
    if changes:
        raise ConfChangeError("this command takes no input")
    return changer.leave_joint()
