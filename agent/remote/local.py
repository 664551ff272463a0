"""The layers as a command sees them: which value of the effective configuration is from where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from agent.credentials import read_credentials, with_credentials
from agent.provisioning.identity import provisioned_keys
from agent.remote.candidates import Base, ConfigCandidate, first_that_fits
from agent.remote.checks import RunCheck
from agent.remote.layers import LayerName
from agent.remote.store import RemoteStore
from agent.settings import ENV_PREFIX, load_config
from contracts.config import AgentConfig
from contracts.errors import EdgetallyError
from contracts.layers import Path as KeyPath
from contracts.layers import leaves
from contracts.model_spec import ModelSpec
from runtime.bundle import open_bundle
from runtime.documents import load_toml


@dataclass(frozen=True)
class Value:
    """A value of the effective configuration.

    Args:
        path: where it stands, rows by their names.
        value: what it is; secrets as such.
        layer: where it is from.
    """

    path: KeyPath
    value: object
    layer: LayerName


@dataclass(frozen=True)
class Explained:
    """The effective configuration of a box.

    Args:
        candidate: what runs, or would.
        values: every value of it.
        notes: what is not as it should be, in words.
    """

    candidate: ConfigCandidate
    values: tuple[Value, ...]
    notes: tuple[str, ...]


class _Environment(AgentConfig, BaseSettings):
    """Only there to say which variables set which keys."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_nested_delimiter="__")


def explain(path: Path) -> Explained:
    """The effective configuration, read as the agent reads it when it starts; nothing is written.

    Args:
        path: agent.toml.

    Raises:
        DocumentError: the file or the environment is unreadable, or does not fit.
    """
    local = load_config(path)
    kept = RemoteStore.under(Path(local.state_dir)).load()
    specs, notes = _specs(local)
    candidate = first_that_fits(Base(local, kept.page, RunCheck(lambda: specs)), kept)
    notes += [f"remote configuration: the file {text}; what ran before is used" for text in kept.damage]
    if candidate.left_out is not None:
        notes.append(f"what was configured from afar does not fit: {candidate.left_out.reason}")
    if kept.current.trial:
        notes.append("the connection is on probation: it stays if the agent reaches the broker in time")
    layers = _layers(path, candidate)
    values = [
        Value(place, value, _origin(place, layers)) for place, value in leaves(candidate.config.model_dump()).items()
    ]
    return Explained(candidate, tuple(values), tuple(notes))


def _specs(local: AgentConfig) -> tuple[dict[str, ModelSpec], list[str]]:
    """What the box's models want and give; and which cannot be opened, in words."""
    specs, notes = {}, []
    for name, model in local.slots.items():
        try:
            specs[name] = open_bundle(Path(model.bundle)).manifest.model
        except EdgetallyError as error:  # noqa: PERF203 - every model is to be named
            notes.append(f"model {name!r} cannot be opened, so what it can count is not known: {error}")
    return specs, notes


def _layers(path: Path, candidate: ConfigCandidate) -> list[tuple[LayerName, dict[KeyPath, object]]]:
    """What each layer sets, the highest first."""
    environment = EnvSettingsSource(_Environment)()
    # A list in a variable replaces the file's, as the settings do not merge lists.
    file = {k: v for k, v in load_toml(path).items() if not (k in environment and isinstance(v, list))}
    # What the file has too is found there only where no credential lies over it.
    over = leaves(with_credentials(file, read_credentials()))
    credential = {place: value for place, value in over.items() if leaves(file).get(place) != value}
    remote = candidate.desired.config.keys if candidate.desired is not None else {}
    documents: list[tuple[LayerName, Mapping[str, object]]] = [
        ("remote", remote),
        ("page", candidate.base.page),
        ("environment", environment),
        ("file", file),
        ("provisioning", provisioned_keys(Path(candidate.config.state_dir))),
    ]
    found = [(name, leaves(document)) for name, document in documents]
    return [*found[:3], ("credential", credential), *found[3:]]


def _origin(place: KeyPath, layers: Sequence[tuple[LayerName, dict[KeyPath, object]]]) -> LayerName:
    """The highest layer that sets the value, or something inside it that is left out."""
    for name, found in layers:
        if any(other[: len(place)] == place for other in found):
            return name
    return "default"
