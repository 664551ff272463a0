"""Signing desired documents with an operator's key, as boxes with operators' keys ask for it."""

from __future__ import annotations

import json
from typing import Protocol

from securesystemslib.dsse import Envelope

from contracts.desired import ENVELOPE_TYPE, LARGEST_DOCUMENT
from contracts.errors import DocumentError
from fleet.publishing.keys import Keyring
from fleet.publishing.sign import operator_signer


class Sign(Protocol):
    """Makes of a document what is published."""

    def __call__(self, device: str, document: str) -> str:
        """The envelope around the document of a box, or the document itself.

        Raises:
            DocumentError: boxes do not take as many bytes.
        """


def unsigned(device: str, document: str) -> str:
    """The document itself, for boxes that have no operator's key."""
    _check(device, document)
    return document


def signed(keyring: Keyring, key: str) -> Sign:
    """Signs with a key.

    Args:
        keyring: that holds it.
        key: its name, or ``operator`` for the newest of that role.

    Raises:
        UnknownNameError: there is no such key.
        KeyFileError: it is no operator's key, or cannot be opened.
    """
    signer = operator_signer(keyring, key)

    def sign(device: str, document: str) -> str:
        envelope = Envelope(document.encode(), ENVELOPE_TYPE, {})
        envelope.sign(signer)
        text = json.dumps(envelope.to_dict())
        _check(device, text)
        return text

    return sign


def _check(device: str, text: str) -> None:
    size = len(text.encode())
    if size > LARGEST_DOCUMENT:
        problem = f"it has {size} bytes, boxes take {LARGEST_DOCUMENT}; give it fewer cameras, lines or zones"
        raise DocumentError(f"what {device} should run", [problem])
