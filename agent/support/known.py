"""Where secrets of a box may stand: what is secret in the configuration in force, in every layer, and in what was."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from agent.credentials import PREFIX, read_credentials
from agent.doctor.ground import Ground
from agent.remote.store import RemoteStore
from agent.service.last_good import FILE, FOLDER
from agent.support.scrubber import document_of_text, lines_of, secrets_of_environment, secrets_of_folder
from contracts.config import AgentConfig
from contracts.errors import EdgetallyError
from runtime.documents import load_toml

_STATE = Path("/var/lib/edgetally")
_CREDENTIALS = ("/run/credentials/edgetally-agent.service", "/etc/credstore")


def known_documents(ground: Ground) -> Iterator[object]:
    """The configuration in force, agent.toml, the last good one, what came from afar and what the page set."""
    file = _document(ground.path)
    yield file
    with contextlib.suppress(EdgetallyError):
        yield [{"source": source} for source in read_credentials().sources.values()]
    for state in {_STATE, *_state_dirs(ground, file)}:
        yield _document(state / FOLDER / FILE)
        kept = RemoteStore.under(state).load()
        yield from (kept.current.document or {}, kept.good.document or {}, kept.page)
    if ground.config is not None:
        yield ground.config


def known_secrets(ground: Ground, environment: Mapping[str, str]) -> Iterator[str]:
    """Those of this process, of the service, and of the files with keys that the configuration names.

    Args:
        ground: of the box.
        environment: of this process.
    """
    for variables in (environment, _of_unit(ground), _of_agent(ground)):
        yield from secrets_of_environment(variables)
    for folder in (environment.get("CREDENTIALS_DIRECTORY", ""), *_CREDENTIALS):
        if folder:
            yield from secrets_of_folder(Path(folder), PREFIX)
    if ground.config is not None:
        for path in _keys(ground.config):
            yield from lines_of(path)


def _state_dirs(ground: Ground, file: Mapping[str, object]) -> Iterator[Path]:
    """Also of a configuration that does not fit, or does not parse."""
    if ground.config is not None:
        yield Path(ground.config.state_dir)
    named = file.get("state_dir")
    yield from (Path(one) for one in (named if isinstance(named, list) else [named]) if isinstance(one, str))


def _document(path: Path) -> Mapping[str, object]:
    try:
        return load_toml(path)
    except EdgetallyError:
        with contextlib.suppress(OSError):
            return document_of_text(path.read_text(errors="replace"))
        return {}


def _of_unit(ground: Ground) -> dict[str, str]:
    """The variables that the unit and its drop-ins set."""
    told = ground.run(["systemctl", "show", "edgetally-agent", "--property=Environment"]) or ""
    try:
        words = shlex.split(told.strip().removeprefix("Environment="))
    except ValueError:
        words = told.split()
    return dict(word.partition("=")[::2] for word in words)


def _of_agent(ground: Ground) -> dict[str, str]:
    """The variables of the agent that runs; none where it cannot be read."""
    if ground.config is None:
        return {}
    try:
        pid = int((Path(ground.config.state_dir) / "agent.lock").read_text().strip())
        words = (ground.root / f"proc/{pid}/environ").read_text(errors="replace").split("\0")
    except (OSError, ValueError):
        return {}
    return dict(word.partition("=")[::2] for word in words)


def _keys(config: AgentConfig) -> Iterator[Path]:
    tls, page = config.broker.tls, config.page
    named = (tls and tls.key, page and page.key, config.update.key)
    yield from (Path(name) for name in named if name)
