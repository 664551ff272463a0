"""Secrets that the service manager hands over, each a file: a layer over agent.toml, which then holds none.

``edgetally.broker.password`` is ``broker.password``, ``edgetally.camera.gate.source`` the source of camera ``gate``.
Of what agent.toml wants the path of a file for, the credential is that file.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from contracts.documents import ID_PATTERN
from contracts.errors import DocumentError, did_you_mean

_log = logging.getLogger(__name__)

PREFIX = "edgetally."
_TEXTS = ("broker.username", "broker.password", "page.password")
_FILES = (
    "broker.tls.ca",
    "broker.tls.certificate",
    "broker.tls.key",
    "page.certificate",
    "page.key",
    "update.ca",
    "update.certificate",
    "update.key",
)
NAMES = (*_TEXTS, *_FILES)
"""The keys that a credential may set, beside the sources of cameras."""

_CAMERA = re.compile(rf"camera\.({ID_PATTERN.strip('^$')})\.source")
_LARGEST = 65_536  # bytes of a text; a service manager hands over at most 1 MB in all
_BY_HAND = ("/run/credentials/edgetally-agent.service", "/etc/credstore")
"""Where the service's are for who gives a command by hand, if they may read there: root, and the service's own user."""


@dataclass(frozen=True)
class Credentials:
    """What was handed over.

    Args:
        keys: path in agent.toml to value: the text, or the path of the file.
        sources: of cameras, by their ids.
    """

    keys: Mapping[tuple[str, ...], str]
    sources: Mapping[str, str]


def read_credentials(environment: Mapping[str, str] = os.environ, by_hand: tuple[str, ...] = _BY_HAND) -> Credentials:
    """The credentials of the service, or those that whoever gives a command may read.

    Args:
        environment: of the process; systemd sets ``CREDENTIALS_DIRECTORY``.
        by_hand: folders that are looked into, the first that can be read, where it does not.

    Raises:
        DocumentError: one is no text, is empty or too large. Its value is not repeated.
    """
    keys: dict[tuple[str, ...], str] = {}
    sources: dict[str, str] = {}
    given = environment.get("CREDENTIALS_DIRECTORY")
    for file in _files((given,) if given else by_hand):
        name = file.name.removeprefix(PREFIX)
        if (camera := _CAMERA.fullmatch(name)) is not None:
            sources[camera[1]] = _text(file)
        elif name in _TEXTS:
            keys[tuple(name.split("."))] = _text(file)
        elif name in _FILES:
            keys[tuple(name.split("."))] = str(file)
        else:
            _log.warning("nothing is called like the credential %s%s", file.name, did_you_mean(name, NAMES))
    return Credentials(keys, sources)


def with_credentials(document: Mapping[str, object], credentials: Credentials) -> dict[str, object]:
    """agent.toml with the credentials over it; what does not have the form of one is left to who validates it.

    A key of a table that the file does not have is left out: a credential alone opens no page and asks for no TLS.
    """
    result = dict(document)
    for path, value in credentials.keys.items():
        result = _set(result, path, value)
    cameras = result.get("camera")
    if isinstance(cameras, list):
        known = {row.get("id") for row in cameras if isinstance(row, Mapping)}
        for name in sorted(set(credentials.sources) - known):
            _log.warning("the credential of camera %r is of no camera in agent.toml", name)
        result["camera"] = [_with_source(row, credentials.sources) for row in cameras]
    return result


def _files(folders: tuple[str, ...]) -> Iterator[Path]:
    for folder in folders:
        try:
            found = sorted(Path(folder).iterdir())
        except OSError:
            continue
        ours = [path for path in found if path.name.startswith(PREFIX)]
        if ours:
            yield from ours
            return


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(_LARGEST + 1)
        text = data.decode().rstrip("\r\n")
    except OSError as error:
        raise DocumentError(f"credential {file.name}", [f"it cannot be read ({error.strerror}); {file}"]) from None
    except UnicodeDecodeError:
        raise DocumentError(f"credential {file.name}", ["expected UTF-8, got other bytes; write it anew"]) from None
    if not text or len(data) > _LARGEST or not text.isprintable():
        problem = f"expected one line of text of at most {_LARGEST} bytes, got something else; write it anew"
        raise DocumentError(f"credential {file.name}", [problem])
    return text


def _set(table: Mapping[str, object], path: tuple[str, ...], value: str) -> dict[str, object]:
    first, *rest = path
    if not rest:
        return {**table, first: value}
    inner = table.get(first)
    return {**table, first: _set(inner, tuple(rest), value)} if isinstance(inner, Mapping) else dict(table)


def _with_source(row: object, sources: Mapping[str, str]) -> object:
    if isinstance(row, Mapping) and isinstance(name := row.get("id"), str) and name in sources:
        return {**row, "source": sources[name]}
    return row
