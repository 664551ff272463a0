"""Servers that integration tests start, and end."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import TracebackType

import pytest
from typing_extensions import Self

_SYSTEM_PYTHON = Path("/usr/bin/python3")
_PROGRAM = Path(__file__).with_name("rtsp_server.py")
_PACKAGES = (
    "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad"
)


def require_rtsp_server() -> None:
    """Skip the test where GStreamer's RTSP server is not installed; fail it in CI."""
    program = 'import gi; gi.require_version("GstRtspServer", "1.0"); from gi.repository import GstRtspServer'
    try:
        run = subprocess.run([_SYSTEM_PYTHON, "-c", program], capture_output=True, check=False)
        missing = run.returncode != 0
    except OSError:
        missing = True
    if missing:
        reason = f"no RTSP server here; run: apt-get install --no-install-recommends {_PACKAGES}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


class RtspServer:
    """A camera that can be switched off and on again at the same address.

    Args:
        clip: an H.264 MP4 file.
        user: demanded of the client, with ``password``; None lets anyone watch.
        through: elements that the stream passes before it is sent.
        shared: who comes later sees what the others see, not the clip's beginning.
    """

    def __init__(
        self,
        clip: Path,
        user: str | None = None,
        password: str = "",
        *,
        through: str = "identity",
        shared: bool = False,
    ) -> None:
        self._clip = clip
        self._options = ["--through", through, *(["--shared"] if shared else [])]
        self._options += ["--user", user, "--password", password] if user else []
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def url(self, credentials: str = "") -> str:
        """Where it is watched; ``credentials`` as ``user:password``."""
        at = f"{credentials}@" if credentials else ""
        return f"rtsp://{at}127.0.0.1:{self.port}/stream"

    def start(self) -> None:
        """Switch it on: the first time at a free port, later at the same one."""
        self._process = subprocess.Popen(
            [str(_SYSTEM_PYTHON), str(_PROGRAM), str(self._clip), "--port", str(self.port), *self._options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.strip().isdigit(), f"the RTSP server did not start (exit code {self._process.poll()})"
        self.port = int(line)

    def kill(self) -> None:
        """Pull its plug; harmless where it is off."""
        if self._process is None:
            return
        self._process.kill()
        self._process.communicate()
        self._process = None

    def send_signal(self, number: int) -> None:
        """Freeze it (SIGSTOP) or let it go on (SIGCONT)."""
        assert self._process is not None
        self._process.send_signal(number)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
