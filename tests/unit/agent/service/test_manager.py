"""What is told to systemd arrives at its socket, and nothing that it does or lacks hurts the agent."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.service.manager import Nobody, Systemd, find_manager


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        yield listening


def test_words_come_to_the_socket_as_one_datagram(inbox: socket.socket, tmp_path: Path) -> None:
    find_manager({"NOTIFY_SOCKET": str(tmp_path / "notify")}).tell("READY=1\nSTATUS=counting\n")
    assert inbox.recv(4096) == b"READY=1\nSTATUS=counting\n"


def test_a_socket_in_the_abstract_namespace_is_reached() -> None:
    name = f"edgetally-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        find_manager({"NOTIFY_SOCKET": f"@{name}"}).tell("READY=1\n")
        assert listening.recv(4096) == b"READY=1\n"


def test_a_manager_that_reads_nothing_never_holds_up_who_tells(inbox: socket.socket, tmp_path: Path) -> None:
    manager = find_manager({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    for _ in range(10_000):  # the kernel's queue is full long before
        manager.tell("WATCHDOG=1\n")
    assert inbox.recv(4096) == b"WATCHDOG=1\n"


def test_a_manager_that_is_gone_is_told_in_vain(tmp_path: Path) -> None:
    find_manager({"NOTIFY_SOCKET": str(tmp_path / "nothing-here")}).tell("READY=1\n")


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "relative/path"}])
def test_who_has_no_manager_tells_nobody(environment: dict[str, str]) -> None:
    found = find_manager(environment)
    assert isinstance(found, Nobody)
    found.tell("READY=1\n")


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "7"}, 60.0),
        ({"WATCHDOG_USEC": "500000"}, 0.5),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_that_of_this_process(environment: dict[str, str], seconds: float | None) -> None:
    found = find_manager({"NOTIFY_SOCKET": "/run/nothing", **environment}, pid=7)
    assert isinstance(found, Systemd)
    assert found.watchdog == seconds
