from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tools.vm.errors import QmpError, VmEnded, VmTimeout
from tools.vm.qmp import Qmp

GREETING = {"QMP": {"version": {"qemu": {"major": 10, "minor": 0, "micro": 8}}}}
Handler = Callable[[str, dict[str, Any]], list[dict[str, Any]]]


def event(name: str, **data: Any) -> dict[str, Any]:
    return {
        "event": name,
        "data": data,
        "timestamp": {"seconds": 5, "microseconds": 500000},
    }


@contextmanager
def fake_qemu(handler: Handler, greeting: Any = GREETING) -> Iterator[Qmp]:
    """A monitor whose answers are data: messages without `event` become answers."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with theirs, theirs.makefile("rwb") as stream:

            def send(message: Any) -> None:
                stream.write(json.dumps(message).encode() + b"\r\n")
                stream.flush()

            send(greeting)
            for line in stream:
                request = json.loads(line)
                if request["execute"] == "qmp_capabilities":
                    send({"return": {}, "id": request["id"]})
                    continue
                for message in handler(request["execute"], request.get("arguments", {})):
                    if message == {"close": True}:
                        return
                    send(message if "event" in message else {**message, "id": request["id"]})

    thread = threading.Thread(target=serve)
    thread.start()
    qmp = Qmp(ours, timeout=10)
    try:
        yield qmp
    finally:
        qmp.close()
        thread.join()


def answer(*messages: dict[str, Any]) -> Handler:
    return lambda _command, _arguments: list(messages)


def test_handshake_gives_the_version() -> None:
    with fake_qemu(answer()) as qmp:
        assert qmp.handshake() == "10.0.8"


def test_a_stranger_is_refused() -> None:
    with fake_qemu(answer(), greeting={"hello": 1}) as qmp, pytest.raises(QmpError, match="greet"):
        qmp.handshake()


def test_results_are_returned_and_arguments_sent() -> None:
    seen: list[tuple[str, dict[str, Any]]] = []

    def handler(command: str, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        seen.append((command, arguments))
        return [{"return": {"status": "running"}}]

    with fake_qemu(handler) as qmp:
        qmp.handshake()
        assert qmp.status() == "running"
        qmp.execute("x", {"a": 1})
    assert seen == [("query-status", {}), ("x", {"a": 1})]


def test_refusal_names_the_command() -> None:
    refusal = {"error": {"class": "GenericError", "desc": "no such device"}}
    with fake_qemu(answer(refusal)) as qmp:
        qmp.handshake()
        with pytest.raises(QmpError, match="refused eject: no such device"):
            qmp.execute("eject")


def test_events_between_are_kept() -> None:
    handler = answer(event("RESET", guest=True), {"return": {}}, event("SHUTDOWN"))
    with fake_qemu(handler) as qmp:
        qmp.handshake()
        qmp.execute("x")
        found = qmp.wait_event("SHUTDOWN", 10)
        assert (found.name, found.at) == ("SHUTDOWN", 5.5)
        assert [(e.name, e.data) for e in qmp.events()] == [("RESET", {"guest": True})]
        assert qmp.events() == []


def test_end_of_the_machine_is_told() -> None:
    with fake_qemu(answer({"close": True})) as qmp:
        qmp.handshake()
        with pytest.raises(VmEnded):
            qmp.execute("x")
        assert qmp.events() == []


def test_quit_may_or_may_not_be_answered() -> None:
    for handler in (answer({"close": True}), answer({"return": {}}, {"close": True})):
        with fake_qemu(handler) as qmp:
            qmp.handshake()
            qmp.quit()


def test_silence_is_a_timeout() -> None:
    with fake_qemu(answer()) as qmp:
        qmp.handshake()
        with pytest.raises(VmTimeout, match="event RESET"):
            qmp.wait_event("RESET", 0)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        pytest.param(None, "", id="good"),
        pytest.param("disk full", "disk full", id="failed"),
    ],
)
def test_snapshot_waits_for_its_job(error: str | None, message: str) -> None:
    job = ""

    def handler(command: str, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        nonlocal job
        if command == "snapshot-save":
            job = arguments["job-id"]
            changes = [("other", "concluded"), (job, "running"), (job, "concluded")]
            return [
                {"return": {}},
                *(event("JOB_STATUS_CHANGE", id=i, status=s) for i, s in changes),
            ]
        if command == "query-jobs":
            return [{"return": [{"id": job, **({"error": error} if error else {})}]}]
        assert (command, arguments) == ("job-dismiss", {"id": job})
        return [{"return": {}}]

    with fake_qemu(handler) as qmp:
        qmp.handshake()
        if error is None:
            qmp.snapshot_save("t", "disk0")
        else:
            with pytest.raises(QmpError, match=message):
                qmp.snapshot_save("t", "disk0")


@pytest.mark.parametrize("line", [b"nonsense\n", b"[1]\n"], ids=["no-json", "no-object"])
def test_nonsense_is_refused(line: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(line)
        with pytest.raises(QmpError, match="sent no"):
            Qmp(ours, timeout=10).handshake()
