"""The effective configuration for people and for programs; secrets are never in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pydantic import SecretStr

from agent.remote.local import Explained, Value
from contracts.addresses import shown
from contracts.toml_lines import assignment, toml_lines

_HIDDEN = "(set, not shown)"


def explained_document(explained: Explained) -> dict[str, object]:
    """Each value with its layer, as plain data."""
    return {
        "document": _identity(explained),
        "notes": list(explained.notes),
        "values": {
            ".".join(value.path): {"value": _plain(value.path, value.value), "layer": value.layer}
            for value in explained.values
        },
    }


def explained_lines(explained: Explained) -> list[str]:
    """Each value with its layer, a line each."""
    rows = [(".".join(one.path), _text(one), one.layer) for one in explained.values]
    widths = [max(len(row[column]) for row in rows) for column in (0, 2)]
    return [f"{path:<{widths[0]}}  {layer:<{widths[1]}}  {text}" for path, text, layer in rows]


def config_document(explained: Explained) -> dict[str, object]:
    """The configuration itself, nested as in agent.toml."""
    document = _safe((), explained.candidate.config.model_dump())
    assert isinstance(document, dict)
    return document


def config_toml(explained: Explained) -> str:
    """The configuration as an agent.toml; what is not set, and what is secret, stands there as a comment."""
    return "\n".join(toml_lines(config_document(explained), _assignment)).strip() + "\n"


def _identity(explained: Explained) -> dict[str, object] | None:
    desired = explained.candidate.desired
    if desired is None:
        return None
    return {
        "epoch": desired.epoch,
        "config_revision": desired.config_revision,
        "config_digest": desired.config.digest,
    }


def _text(value: Value) -> str:
    plain = _plain(value.path, value.value)
    return "-" if plain is None else plain if plain == _HIDDEN else json.dumps(plain, ensure_ascii=False)


def _plain(path: Sequence[str], value: object) -> object:
    return _safe(tuple(path[:-1]), {path[-1]: value})[path[-1]]  # type: ignore[index]


def _safe(path: tuple[str, ...], value: object) -> object:
    """Plain data, with what may not be shown put out of sight."""
    if isinstance(value, SecretStr) or (path[-1:] == ("password",) and value is not None):
        return _HIDDEN
    if isinstance(value, Mapping):
        return {key: _safe((*path, key), inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_safe(path, inner) for inner in value]
    if path[:1] == ("camera",) and path[-1] == "source" and isinstance(value, str):
        return shown(value)
    return value


def _assignment(key: str, value: object) -> str:
    if value is None:
        return f"# {key} is not set"
    if value == _HIDDEN:
        return f"# {key} is set, and not shown"
    return assignment(key, value)
