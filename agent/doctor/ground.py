"""What the checks look at: the box, its configuration, and the agent that may be running on it."""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.facts import device_facts
from agent.remote.local import Explained, explain
from contracts.config import AgentConfig
from contracts.errors import EdgetallyError
from contracts.facts import Facts

USER = "edgetally"
"""Whom the service runs as."""

_ROOT = Path("/")
_PATIENCE = 20.0  # seconds that a program of the system's may take

Run = Callable[[Sequence[str]], "str | None"]
"""What a program says on stdout; None where it is not here, fails or takes too long."""


def run_program(command: Sequence[str]) -> str | None:
    """See `Run`."""
    try:
        done = subprocess.run(  # noqa: S603 - programs of the system's
            command, capture_output=True, text=True, errors="replace", timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


@dataclass(frozen=True)
class Ground:
    """See above.

    Args:
        path: of agent.toml.
        facts: the box's.
        explained: the configuration in force; None where it cannot be read.
        problem: why not.
        running: whether an agent has the state directory.
        offline: whether the broker is left out.
        root: the file system's root; tests give the tree of another box.
        run: runs a program of the system's.
    """

    path: Path
    facts: Facts
    explained: Explained | None = None
    problem: EdgetallyError | None = None
    running: bool = False
    offline: bool = False
    root: Path = _ROOT
    run: Run = field(default=run_program)

    @property
    def config(self) -> AgentConfig | None:
        """What is in force."""
        return None if self.explained is None else self.explained.candidate.config


def survey(path: Path, *, offline: bool = False) -> Ground:
    """The ground of this box.

    Args:
        path: agent.toml.
        offline: leave the broker out.
    """
    facts = device_facts()
    try:
        explained = explain(path)
    except EdgetallyError as error:
        return Ground(path, facts, problem=error, offline=offline)
    running = is_held(Path(explained.candidate.config.state_dir))
    return Ground(path, facts, explained, running=running, offline=offline)


def is_held(state_dir: Path) -> bool:
    """Whether an agent has the state directory; it is left as it is."""
    try:
        with (state_dir / "agent.lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
