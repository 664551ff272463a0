"""Where the cameras' 1080p H.264 comes from: a file played in real time, or an RTSP server on loopback."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from contracts.errors import EdgetallyError

_SERVER = Path("tests/integration/rtsp_server.py")
_PYTHON = "/usr/bin/python3"  # the system's, which has GStreamer's bindings


@contextlib.contextmanager
def rtsp_server(clip: Path) -> Iterator[str]:
    """A GStreamer RTSP server that gives every client the clip from its start, in real time; yields its address.

    Raises:
        EdgetallyError: it does not start here.
    """
    if shutil.which(_PYTHON) is None:
        raise EdgetallyError(f"--rtsp needs {_PYTHON} with GStreamer's bindings; see {_SERVER}")
    command = [_PYTHON, str(_SERVER), str(clip)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        if not port:
            raise EdgetallyError(f"the RTSP server did not start; {_SERVER} names the packages that it needs")
        try:
            yield f"rtsp://127.0.0.1:{port}/stream"
        finally:
            server.kill()
