"""A fleet that lets boxes in, as its operator sets it up: an authority, a console with TLS, a broker that asks for
certificates; all by the commands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fleet.store.database import Database
from tests.integration.brokers import Mosquitto, free_port
from tests.integration.consoles import ROOT, Running, add_users, console

PASSPHRASE = "correct horse battery"


@dataclass(frozen=True)
class Site:
    """The operator's folder.

    Args:
        folder: that holds all of it.
        console_port: of the console.
        broker_port: of the broker.
    """

    folder: Path
    console_port: int
    broker_port: int

    @property
    def server(self) -> str:
        return f"https://localhost:{self.console_port}"

    @property
    def database(self) -> str:
        return str(self.folder / "fleet.db")

    def fleet(self, *arguments: object, stdin: str = "", code: int = 0) -> str:
        """What `edgetally-fleet` prints, of its errors too; on this database."""
        return self._run("fleet.cli", arguments, stdin, code)

    def agent(self, *arguments: object, stdin: str = "", code: int = 0) -> str:
        """The same of `edgetally-agent`."""
        return self._run("agent.cli", arguments, stdin, code)

    def token(self, *options: object) -> str:
        """A new token."""
        return self.fleet("enrol", "token", "create", *options).splitlines()[0]

    @property
    def ca(self) -> str:
        """SHA-256 of the authority."""
        return self.fleet("ca", "show").split()[-1]

    def _run(self, module: str, arguments: tuple[object, ...], stdin: str, code: int) -> str:
        environment = {**os.environ, "EDGETALLY_FLEET_DATABASE": self.database, "PYTHONPATH": str(ROOT)}
        environment["EDGETALLY_KEY_PASSPHRASE_FILE"] = str(self.folder / "passphrase")
        command = [sys.executable, "-m", module, *map(str, arguments)]
        ran = subprocess.run(
            command, capture_output=True, text=True, cwd=self.folder, env=environment, input=stdin, check=False
        )
        assert ran.returncode == code, ran.stdout + ran.stderr
        assert "Traceback" not in ran.stderr, ran.stderr
        return ran.stdout + ran.stderr


def make_site(folder: Path) -> Site:
    """An authority, certificates of the servers and of the controller, and enrolment.toml."""
    folder.mkdir(parents=True, exist_ok=True)
    site = Site(folder, free_port(), free_port())
    (folder / "passphrase").write_text(PASSPHRASE)
    site.fleet("ca", "init")
    for name in ("console", "broker"):
        site.fleet("ca", "issue", name, "--host", "localhost", "--host", "127.0.0.1", "--out", ".")
    site.fleet("ca", "issue", "fleet", "--out", ".")
    (folder / "enrolment.toml").write_text(f'broker = "localhost:{site.broker_port}"\n')
    database = Database(site.database)
    add_users(database, ada="admin")
    database.close()
    return site


@contextmanager
def enrolling(site: Site) -> Iterator[Running]:
    """Its console, which lets boxes in."""
    before = os.environ.get("EDGETALLY_KEY_PASSPHRASE_FILE")
    os.environ["EDGETALLY_KEY_PASSPHRASE_FILE"] = str(site.folder / "passphrase")
    files = {f"--{name}": str(site.folder / file) for name, file in _FILES.items()}
    options = [text for pair in files.items() for text in pair]
    try:
        with console(site.folder, site.database, *options, port=site.console_port) as running:
            yield running
    finally:
        if before is None:
            del os.environ["EDGETALLY_KEY_PASSPHRASE_FILE"]
        else:
            os.environ["EDGETALLY_KEY_PASSPHRASE_FILE"] = before


def make_broker(site: Site, *config: object) -> Mosquitto:
    """Mosquitto with the rules and the configuration that are written for it, started."""
    (site.folder / "state").mkdir(exist_ok=True)
    site.fleet("broker", "acl", "--controller", "fleet", "--out", "rules.acl")
    files = ["--acl", "rules.acl", "--certificate", "broker.pem", "--key", "broker.key", "--client-ca", "ca/ca.pem"]
    given = [site.folder / one if "." in one else one for one in files]
    where = ["--port", site.broker_port, "--address", "127.0.0.1", "--state", site.folder / "state"]
    text = site.fleet("broker", "config", *given, *where, *config)
    return Mosquitto(site.folder, text.splitlines()).start()


_FILES = {"certificate": "console.pem", "key": "console.key", "enrolment": "enrolment.toml"}
