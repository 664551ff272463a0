"""Runs in the guest: takes scripts for sh over a virtio-serial port, and answers what they wrote; no network needed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

PORT = Path("/dev/virtio-ports/edgetally.shell")


def main() -> None:
    """Answer one script a line, until the power goes."""
    with PORT.open("r+b", buffering=0) as port:
        port.write(b'{"ready": true}\n')
        waiting = b""
        while True:
            waiting += port.read(65536) or b""
            line, newline, rest = waiting.partition(b"\n")
            if newline:
                waiting = rest
                _write_all(port.fileno(), json.dumps(_run(json.loads(line)["script"])).encode() + b"\n")


def _run(script: str) -> dict[str, object]:
    done = subprocess.run(
        ["sh", "-euc", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return {"code": done.returncode, "said": done.stdout.decode(errors="replace")}


def _write_all(port: int, data: bytes) -> None:
    while data:
        data = data[os.write(port, data) :]


if __name__ == "__main__":
    main()
