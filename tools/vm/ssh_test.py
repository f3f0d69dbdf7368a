from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from tools.vm.ssh import Login, answers

LOGIN = Login(2222, Path("/k"))


def test_the_words_of_a_login() -> None:
    words = LOGIN.arguments()
    assert words[:2] == ("-F", "/dev/null")
    assert words[-3:] == ("-p", "2222", "core@127.0.0.1")
    assert "IdentityFile=/k" in words
    assert "-t" not in words


def test_a_command_comes_last_and_a_terminal_when_asked() -> None:
    words = LOGIN.arguments(("uname", "-r"), terminal=True)
    assert words[-3:] == ("core@127.0.0.1", "uname", "-r")
    assert "-t" in words


@pytest.fixture
def server() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def test_the_servers_greeting_counts(server: socket.socket) -> None:
    def greet() -> None:
        for words in (b"", b"SSH-2.0-test\r\n"):
            connection, _ = server.accept()
            with connection:
                connection.sendall(words)

    with server:
        thread = threading.Thread(target=greet)
        thread.start()
        assert answers(server.getsockname()[1], 60)
        thread.join()


def test_nobody_there(server: socket.socket) -> None:
    port = server.getsockname()[1]
    server.close()
    assert not answers(port, 0)
