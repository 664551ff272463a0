"""A PostgreSQL of the tests' own, on a loopback port; it ends with its test."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.brokers import free_port, wait_until

_SEARCHED = os.pathsep.join([os.environ.get("PATH", ""), *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin")))])


@contextmanager
def postgres() -> Iterator[str]:
    """The address of an empty database; as root the server runs as another user, as it wants none of root."""
    initdb, server = shutil.which("initdb", path=_SEARCHED), shutil.which("postgres", path=_SEARCHED)
    if initdb is None or server is None:
        reason = "no PostgreSQL here; run: apt-get install postgresql"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    pytest.importorskip("psycopg", reason="run: pip install 'edgetally[fleet-postgresql]'")
    with tempfile.TemporaryDirectory() as folder:  # not below tmp_path, where only its owner may go
        port, data, user = free_port(), Path(folder) / "data", "postgres" if os.geteuid() == 0 else None
        if user is not None:
            shutil.chown(folder, user)
        made = [initdb, "-D", str(data), "-U", "fleet", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(made, user=user, check=True, capture_output=True, cwd="/")
        options = ["-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", folder, "-F"]
        process = subprocess.Popen([server, *options], user=user, cwd="/", stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: _answers(port))
            yield f"postgresql://fleet@127.0.0.1:{port}/postgres"
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def _answers(port: int) -> bool:
    import psycopg

    try:
        psycopg.connect(host="127.0.0.1", port=port, user="fleet", dbname="postgres").close()
    except psycopg.OperationalError:
        return False
    return True
