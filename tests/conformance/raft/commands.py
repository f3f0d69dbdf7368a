"""The commands of interaction traces, each a function of the cluster and the case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from services.etcd.raft import describe
from services.etcd.raft.confchange import ConfChange, ConfChangeV2, Transition
from services.etcd.raft.confchange.change import parse_changes
from services.etcd.raft.config import Config, ReadMode
from services.etcd.raft.errors import RaftError
from services.etcd.raft.model import NO_LIMIT, ConfState, Message, MessageType, Snapshot
from services.etcd.raft.storage import MemoryStorage
from services.etcd.raft.tracker.progress import format_progress
from tests.conformance.raft.cluster import Cluster
from tests.conformance.raft.datadriven import Case

Command = Callable[[Cluster, Case], None]

_NUMBERS = {
    "inflight": "max_inflight_messages",
    "max-inflight-bytes": "max_inflight_bytes",
    "max-size-per-msg": "max_message_size",
    "max-committed-size-per-ready": "max_committed_size",
    "max-uncommitted-size": "max_uncommitted_size",
    "max-uncommitted-entries-size": "max_uncommitted_size",
    "election-tick": "election_tick",
    "heartbeat-tick": "heartbeat_tick",
}
_SWITCHES = {
    "async-storage-writes": "async_storage_writes",
    "prevote": "pre_vote",
    "checkquorum": "check_quorum",
    "disable-conf-change-validation": "disable_conf_change_validation",
    "disable-proposal-forwarding": "disable_proposal_forwarding",
    "step-down-on-removal": "step_down_on_removal",
}
_KINDS = {kind.text: kind for kind in MessageType}
_TRANSITIONS = {
    "auto": Transition.AUTO,
    "implicit": Transition.JOINT_IMPLICIT,
    "explicit": Transition.JOINT_EXPLICIT,
}


def execute(cluster: Cluster, case: Case) -> str:
    """Carry out one case and return what it prints; `ok` when that is nothing."""
    cluster.output = []
    try:
        command = COMMANDS.get(case.command)
        if command is None:
            raise RaftError("unknown command")
        command(cluster, case)
    except RaftError as error:
        if cluster.quiet:
            return error.message
        cluster.output.append(error.message)
    return "\n".join(cluster.output) or "ok"


def _numbers(case: Case) -> list[int]:
    return [int(word) for word in case.words]


def _flag(value: str) -> bool:
    return value.lower() in {"1", "t", "true"}


def _add_nodes(cluster: Cluster, case: Case) -> None:
    config = Config(
        id=1,
        storage=MemoryStorage(),
        random_below=Random(len(cluster.members)).randrange,
        election_tick=3,
        heartbeat_tick=1,
        max_message_size=NO_LIMIT,
        max_inflight_messages=(1 << 31) - 1,
    )
    state, data, index = ConfState(), b"", 0
    for key, values in case.options.items():
        if key == "voters":
            state = replace(state, voters=tuple(map(int, values)))
        elif key == "learners":
            state = replace(state, learners=tuple(map(int, values)))
        elif key == "content":
            data = " ".join(values).encode()
        elif key == "index":
            index = int(values[0])
            config = replace(config, applied=index)
        elif key == "read-only":
            config = replace(config, check_quorum=True, read_mode=ReadMode(values[0]))
        elif key in _NUMBERS:
            config = _changed(config, _NUMBERS[key], int(values[0]))
        elif key in _SWITCHES:
            config = _changed(config, _SWITCHES[key], _flag(values[0]))
    snapshot = Snapshot(data, state, index)
    if snapshot != Snapshot() and index <= 1:
        raise RaftError("index must be specified as > 1 due to bootstrap")
    for _ in range(int(case.words[0])):
        cluster.add(config, snapshot)


def _changed(config: Config, name: str, value: int) -> Config:
    fields: dict[str, object] = {name: value}
    return replace(config, **fields)  # type: ignore[arg-type]


def _log_level(cluster: Cluster, case: Case) -> None:
    cluster.quiet = case.words[0].lower() == "none"


def _campaign(cluster: Cluster, case: Case) -> None:
    cluster.member(_numbers(case)[0]).node.campaign()


def _compact(cluster: Cluster, case: Case) -> None:
    number, index = _numbers(case)
    cluster.member(number).storage.compact(index)
    _raft_log(cluster, case)


def _deliver(cluster: Cluster, case: Case) -> None:
    kind = _KINDS[case.option("type")] if "type" in case.options else None
    count = 0
    for number in _numbers(case):
        count += cluster.deliver(number, kind)
    for word in case.options.get("drop", ()):
        count += cluster.deliver(int(word), kind, drop=True)
    if not count:
        cluster.write("no messages")


def _per_node(title: str, do: Callable[[Cluster, int], None]) -> Command:
    def command(cluster: Cluster, case: Case) -> None:
        numbers = _numbers(case)
        if len(numbers) == 1:
            do(cluster, numbers[0])
            return
        for number in numbers:
            cluster.write(f"> {number} {title}")
            with cluster.indented():
                do(cluster, number)

    return command


def _stabilize(cluster: Cluster, case: Case) -> None:
    before = cluster.quiet
    if "log-level" in case.options:
        cluster.quiet = case.option("log-level").lower() == "none"
    try:
        everyone = range(1, len(cluster.members) + 1)
        cluster.stabilize(_numbers(case) or everyone)
    finally:
        cluster.quiet = before


def _status(cluster: Cluster, case: Case) -> None:
    status = cluster.member(_numbers(case)[0]).node.status()
    cluster.write(format_progress(status.progress))


def _raft_state(cluster: Cluster, case: Case) -> None:
    for member in cluster.members:
        status = member.node.status()
        soft, term = status.soft_state, status.hard_state.term
        vote = "(Voter)" if status.is_voter else "(Non-Voter)"
        cluster.write(f"{status.id}: {soft.role.text} {vote} Term:{term} Lead:{soft.lead}")


def _raft_log(cluster: Cluster, case: Case) -> None:
    storage = cluster.member(_numbers(case)[0]).storage
    first, last = storage.first_index(), storage.last_index()
    if last < first:
        cluster.write(f"log is empty: first index={first}, last index={last}")
    else:
        cluster.write(describe.entries(storage.entries(first, last + 1, NO_LIMIT)))


def _tick_election(cluster: Cluster, case: Case) -> None:
    member = cluster.member(_numbers(case)[0])
    for _ in range(member.config.election_tick):
        member.node.tick()


def _tick_heartbeat(cluster: Cluster, case: Case) -> None:
    member = cluster.member(_numbers(case)[0])
    for _ in range(member.config.heartbeat_tick):
        member.node.tick()


def _set_timeout(cluster: Cluster, case: Case) -> None:
    node = cluster.member(_numbers(case)[0]).node
    node.set_election_timeout(int(case.option("timeout")))


def _transfer(cluster: Cluster, case: Case) -> None:
    node = cluster.member(int(case.option("from"))).node
    node.transfer_leader(int(case.option("to")))


def _forget_leader(cluster: Cluster, case: Case) -> None:
    cluster.member(_numbers(case)[0]).node.forget_leader()


def _propose(cluster: Cluster, case: Case) -> None:
    number, data = case.words[:2]
    cluster.member(int(number)).node.propose(data.encode())


def _propose_change(cluster: Cluster, case: Case) -> None:
    changes = parse_changes(case.input)
    word = case.option("transition", "auto")
    if word not in _TRANSITIONS:
        raise RaftError(f"unknown transition {word}")
    change: ConfChange | ConfChangeV2 = ConfChangeV2(changes, _TRANSITIONS[word])
    if _flag(case.option("v1", "false")):
        if len(changes) > 1 or word != "auto":
            raise RaftError("v1 conf change can only have one operation and no transition")
        change = ConfChange(changes[0].type, changes[0].node)
    cluster.member(int(case.words[0])).node.propose_conf_change(change)


def _report_unreachable(cluster: Cluster, case: Case) -> None:
    number, other = _numbers(case)
    cluster.member(number).node.report_unreachable(other)


def _send_snapshot(cluster: Cluster, case: Case) -> None:
    number, to = _numbers(case)
    member = cluster.member(number)
    message = Message(
        type=MessageType.SNAP,
        to=to,
        sender=number,
        term=member.node.hard_state.term,
        snapshot=member.storage.snapshot(),
    )
    cluster.messages.append(message)
    cluster.write(describe.message(message))


def _breakpoint(cluster: Cluster, case: Case) -> None:
    """A place for a debugger; does nothing."""


COMMANDS: dict[str, Command] = {
    "_breakpoint": _breakpoint,
    "add-nodes": _add_nodes,
    "campaign": _campaign,
    "compact": _compact,
    "deliver-msgs": _deliver,
    "forget-leader": _forget_leader,
    "log-level": _log_level,
    "process-append-thread": _per_node("processing append thread", Cluster.process_append),
    "process-apply-thread": _per_node("processing apply thread", Cluster.process_apply),
    "process-ready": _per_node("handling Ready", Cluster.process_ready),
    "propose": _propose,
    "propose-conf-change": _propose_change,
    "raft-log": _raft_log,
    "raft-state": _raft_state,
    "report-unreachable": _report_unreachable,
    "send-snapshot": _send_snapshot,
    "set-randomized-election-timeout": _set_timeout,
    "stabilize": _stabilize,
    "status": _status,
    "tick-election": _tick_election,
    "tick-heartbeat": _tick_heartbeat,
    "transfer-leadership": _transfer,
}
