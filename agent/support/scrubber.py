"""Takes out of a text all that is known to be secret, and all that looks like it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

from pydantic import BaseModel, SecretStr

from contracts.addresses import redacted
from contracts.documents import without_credentials

_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?P<kind>[A-Z0-9 ]*PRIVATE KEY)-----.*?(?:-----END (?P=kind)-----|\Z)", re.DOTALL
)
_SECRET_NAME = re.compile(r"(?i)password|passwd|passphrase|secret|token|credential|private")
_SET_CREDENTIAL = re.compile(r"(?m)^(\s*SetCredential\w*=[^:\n]*:)(?:\\\n|[^\n])*$")
_ASSIGNED = re.compile(r"""(?m)(\w*)["']?\s*[=:]\s*(?:"([^"\n]*)"|'([^'\n]*)')""")
_PROPERTY = re.compile(r"""([\w:-]+)\s*=\s*("[^"]*"|'[^']*'|\S+)""")
_LOGIN = re.compile(r"(?i)user|login|pw|pass|auth|key|token|secret|cookie")
_WORDS = frozenset({"true", "false", "null", "none"})  # of documents, whatever a variable is called
_SHORTEST = 4  # characters; replacing shorter ones would tear words apart and hide nothing
_HIDDEN = "…"


class Scrubber:
    """See above.

    Args:
        secrets: texts that may stand nowhere.
        sources: of cameras, of which only scheme and host may be shown.
    """

    def __init__(self, secrets: Iterable[str], sources: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        forms = {form for form in forms if len(form) >= _SHORTEST and form.lower() not in _WORDS}
        # The longest first: a shorter one may be a part of it.
        self._secrets = sorted(forms, key=len, reverse=True)
        self._sources = sorted(set(sources), key=len, reverse=True)

    def clean(self, text: str) -> str:
        """The text without them."""
        for source in self._sources:
            text = redacted(text, source)
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        text = _SET_CREDENTIAL.sub(rf"\1{_HIDDEN}", _PRIVATE_KEY.sub(f"{_HIDDEN} a private key", text))
        return without_credentials(text)


def secrets_of(value: object, name: str = "") -> Iterator[str]:
    """What is secret in a configuration or a document: secret texts, and what is called a password or the like.

    Args:
        value: a model, a document, or part of one.
        name: of the part.
    """
    for key, text in _texts(value, name):
        if isinstance(text, SecretStr):
            yield text.get_secret_value()
        elif key == "source" and text.startswith("gst:"):
            yield from _properties(text)
        elif _SECRET_NAME.search(key):
            yield text


def _texts(value: object, name: str) -> Iterator[tuple[str, str | SecretStr]]:
    """Every text in a value, with the name of the key that it is below."""
    if isinstance(value, (str, SecretStr)):
        yield name, value
    elif isinstance(value, BaseModel):
        yield from _texts(dict(value), name)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, str(key))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(inner, name)


def _properties(pipeline: str) -> Iterator[str]:
    """What a GStreamer pipeline sets that may be a user, a password or an address."""
    for name, value in _PROPERTY.findall(pipeline):
        if _LOGIN.search(name) or "://" in value:
            yield value.strip("\"'")


def sources_of(value: object, name: str = "") -> Iterator[str]:
    """The sources of cameras in one; arguments as of `secrets_of`."""
    for key, text in _texts(value, name):
        if key != "source" or isinstance(text, SecretStr):
            continue
        if text.startswith("gst:"):
            yield text
            yield from (word for word in _properties(text) if "://" in word)
        elif "://" in text:
            yield text


def document_of_text(text: str) -> dict[str, list[str]]:
    """What a file that does not parse may assign, by the names that stand before a quoted text."""
    found: dict[str, list[str]] = {}
    for name, double, single in _ASSIGNED.findall(text):
        found.setdefault(name, []).append(double or single)
    return found


def secrets_of_environment(environment: Mapping[str, str]) -> Iterator[str]:
    """Values of variables that are called like a secret, and every one of ours that may be one."""
    for name, value in environment.items():
        if _SECRET_NAME.search(name):
            yield value
        elif name.startswith("EDGETALLY_"):
            yield from _of_json(value)


def secrets_of_folder(folder: Path, prefix: str) -> Iterator[str]:
    """The lines of credentials of the service manager's, but names of users; what cannot be read is left out."""
    try:
        files = [path for path in folder.iterdir() if path.name.startswith(prefix)]
    except OSError:
        return
    for path in files:
        if not path.name.endswith("username"):
            yield from lines_of(path)


def lines_of(path: Path) -> Iterator[str]:
    """The lines of a secret file, but those that say what it is; none where it cannot be read."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return
    yield from (line.strip() for line in text.splitlines() if not line.startswith("-----"))


def _of_json(text: str) -> Iterator[str]:
    """A variable may hold a table or a list as JSON."""
    if not text.startswith(("{", "[")):
        return
    try:
        document = json.loads(text)
    except ValueError:
        return
    yield from secrets_of(document)
    yield from sources_of(document)


def _forms(secret: str) -> set[str]:
    """As it stands, as in JSON, and as in a URL."""
    in_json = {json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    return {secret, *in_json, quote(secret, safe=""), quote_plus(secret)}
