"""A NATS server of the tests' own, as an MQTT broker of version 3.1.1 alone; everything on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from typing_extensions import Self

from tests.integration.brokers import PATIENCE, free_port, wait_until

_CONFIG = """
server_name: test
listen: "127.0.0.1:{inner}"
jetstream {{ store_dir: "{store}" }}
mqtt {{ listen: "127.0.0.1:{port}" }}
"""


class Nats:
    """NATS as a process of ours; what it keeps is on the disk, in ``directory``.

    Args:
        directory: for its configuration, its log and what it keeps.
    """

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self._config = directory / "nats.conf"
        self._log = directory / "nats.log"
        self._process: subprocess.Popen[bytes] | None = None
        text = _CONFIG.format(inner=free_port(), port=self.port, store=directory / "jetstream")
        self._config.write_text(text)

    def start(self) -> Self:
        """Start it; returns once it takes connections."""
        program = shutil.which("nats-server", path="/usr/sbin:/usr/local/bin:/usr/bin:/opt/homebrew/bin")
        if program is None:
            reason = "no NATS here; run: apt-get install nats-server"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([program, "-c", str(self._config)], stdout=log, stderr=log)
        wait_until(self._answers)
        return self

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it; twice is harmless."""
        self._end(signal.SIGTERM)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except ConnectionRefusedError:
            return False
        return True

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE)
            self._process = None
