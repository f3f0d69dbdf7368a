"""Talk to QEMU's monitor: the QEMU Machine Protocol, JSON objects one per line.

`Qmp` owns one connected socket. Commands are answered in order; events that arrive in
between are kept until somebody waits for them.
"""

from __future__ import annotations

import json
import select
import socket
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

from tools.vm.errors import QmpError, VmEnded, VmTimeout

Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"

_ANSWER_S = 30.0
_MAX_MESSAGE = 16 << 20


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the machine. `at` is the host's clock, seconds."""

    name: str
    data: Mapping[str, Json]
    at: float


class Qmp:
    """A client of one monitor.

    Not safe for several threads: the thread that started the machine talks to it.
    """

    def __init__(self, connection: socket.socket, timeout: float = _ANSWER_S) -> None:
        self._socket = connection
        self._timeout = timeout
        self._buffer = b""
        self._events: deque[Event] = deque()
        self._serial = 0

    def handshake(self) -> str:
        """Leave negotiation mode; returns QEMU's version.

        Raises:
            QmpError: the other side is not a QMP server.
            VmEnded: it went away.
        """
        message = self._read(time.monotonic() + self._timeout)
        greeting = message.get("QMP")
        if not isinstance(greeting, dict):
            raise QmpError("QEMU's monitor did not greet us")
        self.execute("qmp_capabilities")
        version = _dict(_dict(greeting.get("version")).get("qemu"))
        return ".".join(str(version.get(part, 0)) for part in ("major", "minor", "micro"))

    def execute(self, command: str, arguments: Mapping[str, Json] | None = None) -> Json:
        """Run one command and return its result.

        Raises:
            QmpError: QEMU refused it.
            VmEnded: the monitor closed before the answer.
            VmTimeout: no answer came.
        """
        self._serial += 1
        request: dict[str, Json] = {"execute": command, "id": self._serial}
        if arguments:
            request["arguments"] = dict(arguments)
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise VmEnded(f"the machine ended before the command {command}") from error
        deadline = time.monotonic() + self._timeout
        while True:
            message = self._read(deadline)
            if message.get("id") != self._serial:
                self._keep(message)
            elif "error" in message:
                raise QmpError(f"QEMU refused {command}: {_dict(message['error']).get('desc')}")
            else:
                return message.get("return")

    def wait_event(self, name: str, timeout: float) -> Event:
        """The oldest kept or next event of that name; other events stay kept.

        Raises:
            VmTimeout: it did not happen within `timeout` seconds.
            VmEnded: the monitor closed.
        """
        for event in self._events:
            if event.name == name:
                self._events.remove(event)
                return event
        deadline = time.monotonic() + timeout
        while True:
            self._keep(self._read(deadline, f"event {name}"))
            if self._events and self._events[-1].name == name:
                return self._events.pop()

    def events(self) -> list[Event]:
        """All events so far, without waiting; they are forgotten here."""
        while self._buffer or select.select([self._socket], [], [], 0)[0]:
            try:
                self._keep(self._read(time.monotonic() + self._timeout))
            except VmEnded:
                break
        seen = list(self._events)
        self._events.clear()
        return seen

    def close(self) -> None:
        """Close the connection; the machine runs on."""
        self._socket.close()

    def status(self) -> str:
        """The run state: `running`, `paused`, `shutdown`, `guest-panicked`, …"""
        return str(_dict(self.execute("query-status")).get("status", "unknown"))

    def powerdown(self) -> None:
        """Press the power button."""
        self.execute("system_powerdown")

    def reset(self) -> None:
        """Press the reset button."""
        self.execute("system_reset")

    def quit(self) -> None:
        """End QEMU at once; the guest sees a power cut."""
        try:
            self.execute("quit")
        except VmEnded:
            return

    def stop(self) -> None:
        """Freeze the guest."""
        self.execute("stop")

    def resume(self) -> None:
        """Let a frozen guest go on."""
        self.execute("cont")

    def screendump(self, path: Path) -> None:
        """Write the display as PNG; needs a machine with a display."""
        self.execute("screendump", {"filename": str(path), "format": "png"})

    def human(self, line: str) -> str:
        """Run a command of the human monitor; its output is for people and may change."""
        return str(self.execute("human-monitor-command", {"command-line": line}))

    def snapshot_save(self, tag: str, disk: str, timeout: float = 120.0) -> None:
        """Save memory and the qcow2 node `disk` under `tag`."""
        self._job("snapshot-save", {"tag": tag, "vmstate": disk, "devices": [disk]}, timeout)

    def snapshot_load(self, tag: str, disk: str, timeout: float = 120.0) -> None:
        """Go back to what `snapshot_save` saved."""
        self._job("snapshot-load", {"tag": tag, "vmstate": disk, "devices": [disk]}, timeout)

    def _job(self, command: str, arguments: Mapping[str, Json], timeout: float) -> None:
        job = f"{command}-{self._serial}"
        self.execute(command, {"job-id": job, **arguments})
        deadline = time.monotonic() + timeout
        while True:
            event = self.wait_event("JOB_STATUS_CHANGE", deadline - time.monotonic())
            if event.data.get("id") == job and event.data.get("status") == "concluded":
                break
        jobs = cast("list[dict[str, Json]]", self.execute("query-jobs"))
        failure = next((entry.get("error") for entry in jobs if entry.get("id") == job), None)
        self.execute("job-dismiss", {"id": job})
        if failure:
            raise QmpError(f"QEMU failed at {command}: {failure}")

    def _keep(self, message: Mapping[str, Json]) -> None:
        name = message.get("event")
        if not isinstance(name, str):
            return
        stamp = _dict(message.get("timestamp"))
        at = float(cast(int, stamp.get("seconds", 0))) + (
            float(cast(int, stamp.get("microseconds", 0))) / 1e6
        )
        self._events.append(Event(name, _dict(message.get("data")), at))

    def _read(self, deadline: float, expected: str = "an answer") -> dict[str, Json]:
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._socket], [], [], left)[0]:
                raise VmTimeout(f"QEMU's monitor did not give {expected} in time")
            try:
                chunk = self._socket.recv(65536)
            except ConnectionResetError:
                chunk = b""
            if not chunk:
                raise VmEnded(f"the machine ended while {expected} was awaited")
            self._buffer += chunk
            if len(self._buffer) > _MAX_MESSAGE:
                raise QmpError("QEMU's monitor sent a line without an end")
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            message = json.loads(line)
        except ValueError as error:
            raise QmpError(f"QEMU's monitor sent no JSON: {line[:80]!r}") from error
        if not isinstance(message, dict):
            raise QmpError(f"QEMU's monitor sent no object: {line[:80]!r}")
        return message


def _dict(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}
