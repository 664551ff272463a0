"""Signing a desired document, as boxes with operators' keys ask for it."""

from __future__ import annotations

import json
from pathlib import Path

from securesystemslib.dsse import Envelope
from securesystemslib.signer import Signer

from contracts.desired import ENVELOPE_TYPE, LARGEST_DOCUMENT, Desired, OperatorKey
from contracts.documents import read_document
from contracts.errors import DocumentError, UnknownNameError
from fleet.publishing.errors import KeyFileError
from fleet.publishing.keys import KeyInfo, Keyring
from runtime.documents import load_json


def sign_desired(path: Path, keyring: Keyring, name: str) -> str:
    """A DSSE envelope around a desired document.

    Args:
        path: of the document.
        keyring: that holds the key.
        name: of the key, or ``operator`` for the newest of that role.

    Raises:
        DocumentError: the document does not fit, or is too large with its signature.
        UnknownNameError: there is no such key.
        KeyFileError: it is no operator's key, or cannot be opened.
    """
    read_document(Desired, load_json(path), str(path))
    signer = operator_signer(keyring, name)
    envelope = Envelope(path.read_bytes(), ENVELOPE_TYPE, {})
    envelope.sign(signer)
    text = json.dumps(envelope.to_dict())
    if len(text) > LARGEST_DOCUMENT:
        raise DocumentError(str(path), [f"signed it has {len(text)} bytes, boxes take {LARGEST_DOCUMENT}; shorten it"])
    return text


def operator_signer(keyring: Keyring, name: str) -> Signer:
    """What signs with an operator's key.

    Raises:
        UnknownNameError: there is no such key.
        KeyFileError: it is no operator's key, or cannot be opened.
    """
    info = _operator(keyring, name)
    signer = keyring.signer(info.keyid)
    if signer is None:
        raise KeyFileError(f"key {info.name}", "its private file is not here", "name its folder with --keys")
    return signer


def operator_keys(keyring: Keyring) -> dict[str, OperatorKey]:
    """What ``operator-keys.json`` beside a box's agent.toml holds: by key id, the keys that were not revoked."""
    return {info.keyid: info.key for info in keyring.of("operator")}


def _operator(keyring: Keyring, name: str) -> KeyInfo:
    operators = keyring.of("operator")
    if name == "operator" and operators:
        return operators[-1]
    info = keyring.named(name)
    if info is None:
        raise UnknownNameError("key", name, [one.name for one in operators])
    if info.role != "operator" or info.revoked:
        problem = "it is revoked" if info.revoked else f"it is of role {info.role}"
        raise KeyFileError(f"key {info.name}", f"expected an operator's key, {problem}", "name another one with --key")
    return info
