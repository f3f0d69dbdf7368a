"""A BuildGrid server on the loopback interface, for as long as a test needs it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

_START_S = 120.0
_STOP_S = 30.0

CONFIG = """\
server:
  - !channel
    address: "127.0.0.1:{port}"
    insecure-mode: true
authorization:
  method: none
storages:
  - !disk-storage &storage
    path: {directory}
caches:
  - !lru-action-cache &results
    storage: *storage
    max-cached-refs: 100000
    allow-updates: true
    cache-failed-actions: false
instances:
  - name: ''
    services:
      - !action-cache
        cache: *results
      - !cas
        storage: *storage
      - !bytestream
        storage: *storage
thread-pool-size: 60
"""


@contextmanager
def serve(program: Path, directory: Path) -> Iterator[str]:
    """Run the server with its storage in `directory`; gives its address once it answers."""
    port = _free_port()
    config = directory / "server.yml"
    config.write_text(CONFIG.format(port=port, directory=directory / "storage"))
    env = {"PATH": os.defpath, "HOME": str(directory), "PEX_ROOT": str(directory / "pex")}
    command = [sys.executable, os.fspath(program), "server", "start", os.fspath(config)]
    with (directory / "server.log").open("wb") as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(_START_S)
        yield f"grpc://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(_STOP_S)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert isinstance(port, int)
        return port
