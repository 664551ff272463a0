"""The parts of a support bundle. Each gives a text, which is cleaned and cut by who packs it."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from agent.doctor.ground import Ground
from agent.doctor.table import examine
from agent.doctor.view import document
from agent.engines.supply import EngineSupply
from agent.engines.view import engines_document
from agent.remote.show import config_toml, explained_document
from agent.settings import engines_dir
from agent.store.database import NAME as DATABASE
from agent.update.command import Desk, status_document
from contracts.config import AgentConfig
from contracts.version import VERSION

UNITS = "edgetally-agent"
_LINES = "20000"  # of the journal
_KERNEL_LINES = "1000"
_MOST_FILES = 2000  # of the state directory that are listed
_PLACES = ("dev/video*", "dev/media*", "dev/dri/*", "dev/accel/*", "dev/nv*", "dev/apex*", "dev/fastrpc*")


@dataclass(frozen=True)
class Part:
    """A file of the bundle.

    Args:
        doing: what is being done, for who waits.
        make: gives its text; None where there is nothing to be told.
    """

    doing: str
    make: Callable[[Ground], str | None]


def _json(value: object) -> str:
    return json.dumps(value, indent=2, default=str)


def _doctor(ground: Ground) -> str:
    return _json(document(list(examine(ground))))


def _config(ground: Ground) -> str:
    return f"# {ground.problem}\n" if ground.explained is None else config_toml(ground.explained)


def _explained(ground: Ground) -> str | None:
    return None if ground.explained is None else _json(explained_document(ground.explained))


def _versions(_: Ground) -> str:
    lines = [f"edgetally {VERSION}", f"python {sys.version}", f"platform {platform.platform()}", *_packages()]
    return "\n".join(lines) + "\n"


def _packages() -> Iterator[str]:
    found = {(one.name, one.version) for one in metadata.distributions()}
    yield from (f"{name} {version}" for name, version in sorted(found))


def _environment(_: Ground) -> str:
    """Names alone: a value may be a secret, and those that count stand in the configuration."""
    return "\n".join(sorted(os.environ)) + "\n"


def _journal(ground: Ground) -> str | None:
    return ground.run(["journalctl", "-u", UNITS, "-n", _LINES, "--no-pager", "-o", "short-iso"])


def _kernel(ground: Ground) -> str | None:
    return ground.run(["journalctl", "-k", "-n", _KERNEL_LINES, "--no-pager", "-o", "short-iso"])


def _service(ground: Ground) -> str | None:
    shown = [ground.run(["systemctl", verb, "--no-pager", UNITS]) for verb in ("cat", "show")]
    return "\n\n".join(text for text in shown if text) or None


def _system(ground: Ground) -> str:
    commands = (["uname", "-a"], ["uptime"], ["df", "-h"], ["free", "-m"], ["lsusb"], ["ip", "-br", "address"])
    told = [f"$ {' '.join(command)}\n{text}" for command in commands if (text := ground.run(command))]
    nodes = [_row(path) for pattern in _PLACES for path in sorted(ground.root.glob(pattern))]
    return "\n".join([*told, "devices", *nodes]) + "\n"


def _state(ground: Ground) -> str | None:
    """What lies in the state directory: names and sizes, and how many rows each table has."""
    if ground.config is None:
        return None
    state = Path(ground.config.state_dir)
    rows = [_row(path, state) for path in sorted(state.rglob("*"))[:_MOST_FILES]]
    return "\n".join([*rows, "", "rows of the database", *_rows(state / DATABASE)]) + "\n"


def _rows(path: Path) -> Iterator[str]:
    if not path.exists():
        yield "there is none"
        return
    try:
        # Without locks and without files of its own beside it: the agent may run, and its user is another one.
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)) as database:
            names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for name in names:
                quoted = '"' + name.replace('"', '""') + '"'
                (count,) = database.execute(f"SELECT count(*) FROM {quoted}").fetchone()  # noqa: S608 - quoted
                yield f"{count:>8} {name}"
    except sqlite3.Error as error:
        yield f"it cannot be read now: {error}"


def _row(path: Path, below: Path = Path("/")) -> str:
    try:
        found = path.lstat()
    except OSError as error:
        return f"{path}: {error.strerror}"
    size = found.st_rdev if stat.S_ISCHR(found.st_mode) else found.st_size
    name = path.relative_to(below) if path.is_relative_to(below) else path
    return f"{stat.filemode(found.st_mode)} {found.st_uid}:{found.st_gid} {size:>12} {int(found.st_mtime)} {name}"


def _of_config(make: Callable[[AgentConfig, Ground], object]) -> Callable[[Ground], str | None]:
    return lambda ground: None if ground.config is None else _json(make(ground.config, ground))


PARTS: dict[str, Part] = {
    "versions.txt": Part("asking for versions", _versions),
    "facts.json": Part("reading facts", lambda ground: _json(ground.facts)),
    "config.toml": Part("reading the configuration", _config),
    "config-explained.json": Part("reading the configuration", _explained),
    "environment.txt": Part("reading the environment", _environment),
    "update.json": Part("reading updates", _of_config(lambda config, _: status_document(Desk(config)))),
    "engines.json": Part(
        "reading engines",
        _of_config(lambda config, ground: engines_document(EngineSupply(engines_dir(config), ground.facts))),
    ),
    "state.txt": Part("looking at the state directory", _state),
    "system.txt": Part("asking the system", _system),
    "service.txt": Part("asking systemd", _service),
    "journal.txt": Part("reading the log", _journal),
    "kernel.txt": Part("reading the kernel's log", _kernel),
    "doctor.json": Part("having the doctor look at all of it", _doctor),
}
