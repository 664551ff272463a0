"""A real web server for a folder: everything runs on loopback and ends with its test."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.brokers import PATIENCE, free_port, wait_until

_SCRATCH = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@dataclass(frozen=True)
class Tls:
    """What HTTPS needs; `tests.integration.brokers.Authority` issues both.

    Args:
        certificate: PEM file of the server.
        key: PEM file of its private key.
        clients: PEM file of who issues clients' certificates; None where clients need none.
    """

    certificate: Path
    key: Path
    clients: Path | None = None

    def lines(self) -> list[str]:
        """Of the ``server`` block."""
        clients = [f'ssl_client_certificate "{self.clients}";', "ssl_verify_client on;"] if self.clients else []
        return [f'ssl_certificate "{self.certificate}";', f'ssl_certificate_key "{self.key}";', *clients]


@contextlib.contextmanager
def nginx(folder: Path, tls: Tls | None = None, lines: Sequence[str] = (), port: int | None = None) -> Iterator[str]:
    """Serve a folder as files; gives the base URL, without a slash at its end.

    Args:
        folder: what is served.
        tls: serve HTTPS, at ``https://localhost:…``; None: HTTP.
        lines: further ones of the ``server`` block: ``limit_rate 100k;``, ``max_ranges 0;``.
        port: to serve at; None: a free one.
    """
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if program is None:
        reason = "no nginx here; run: apt-get install nginx-light"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    port = port or free_port()
    with tempfile.TemporaryDirectory(prefix="nginx-") as prefix:
        config = Path(prefix) / "nginx.conf"
        config.write_text(_config(folder, Path(prefix), port, [*(tls.lines() if tls else []), *lines], tls=bool(tls)))
        process = subprocess.Popen([program, "-p", prefix, "-c", str(config), "-e", f"{prefix}/error.log"])
        try:
            wait_until(lambda: process.poll() is not None or _listens(port))
            assert process.poll() is None, Path(prefix, "error.log").read_text()
            yield f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _config(folder: Path, prefix: Path, port: int, lines: Sequence[str], *, tls: bool) -> str:
    # One process, so that ending it ends all; as root it would become a user who may not read the test's files.
    scratch = "\n".join(f'  {name}_temp_path "{prefix}/{name}";' for name in _SCRATCH)
    user = "user root;\n" if os.geteuid() == 0 else ""
    server = "\n".join(f"    {line}" for line in lines)
    return f"""{user}daemon off;
master_process off;
pid "{prefix}/nginx.pid";
events {{ worker_connections 256; }}
http {{
  access_log "{prefix}/access.log";
  sendfile on;
  default_type application/octet-stream;
{scratch}
  server {{
    listen 127.0.0.1:{port}{" ssl" if tls else ""};
    root "{folder}";
{server}
  }}
}}
"""


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
