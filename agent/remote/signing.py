"""Who a document is from: once operators' keys are provisioned, only what one of them signed is read.

The keys are those of ``operator-keys.json``, beside agent.toml or as signed metadata names them. The library that
verifies is imported with the first document that needs it: a box without keys never does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from agent.remote.parse import parse_json
from agent.remote.refusals import DocumentRefusedError
from contracts.desired import OperatorKeys, SignedEnvelope, canonical
from contracts.documents import read_document
from contracts.errors import DocumentError
from contracts.rpc import SignedRequest
from runtime.documents import load_json

KEYS_NAME = "operator-keys.json"

EnvelopeKind = type[SignedEnvelope] | type[SignedRequest]
"""Which kind of document an envelope is around: a signature of one kind is none of another."""

_AWAITED = (
    "this box has a TUF root, so signed metadata names who may sign, and none was read yet; it is looked at again once "
    "a server of [update], or a repository on a stick, gave it; 'update.unsigned_documents' in agent.toml takes it now"
)
_PROVISION = f"put the operator's public key into {KEYS_NAME} beside agent.toml"


@dataclass(frozen=True)
class Opened:
    """A document out of its envelope.

    Args:
        document: what it says, not validated yet.
        signed: whether an operator's signature on it is valid.
    """

    document: dict[str, object]
    signed: bool


def load_keys(path: Path, awaited: Callable[[], bool] = lambda: False) -> OperatorKeys | None:
    """The operators' keys; None where none were provisioned.

    Args:
        path: of the file.
        awaited: whether there will be keys that are not known yet; asked where there is no file.

    Raises:
        DocumentRefusedError: there is a file, but it holds no usable keys, or keys are awaited: then nothing is taken.
    """
    if not os.path.lexists(path):
        if awaited():
            raise DocumentRefusedError("keys_awaited", _AWAITED)
        return None
    try:
        return read_document(OperatorKeys, {"keys": load_json(path)}, str(path))
    except DocumentError as error:
        raise DocumentRefusedError("key_unusable", f"no document is taken, as the keys are broken: {error}") from None


def open_payload(payload: bytes, keys: OperatorKeys | None, kind: EnvelopeKind = SignedEnvelope) -> Opened:
    """Take a document out of what came.

    Args:
        payload: what came: the document or, where it is signed, a DSSE envelope around it.
        keys: whose signatures are accepted; None where none were provisioned.
        kind: of the envelope.

    Raises:
        DocumentRefusedError: it cannot be read, or its signature is missing, foreign or wrong.
    """
    document = parse_json(payload)
    is_envelope = "payloadType" in document
    if keys is None:
        if is_envelope:
            raise DocumentRefusedError(
                "no_operator_key", f"the document is signed, but nobody's key is here; {_PROVISION}"
            )
        return Opened(document, signed=False)
    if not is_envelope:
        raise DocumentRefusedError(
            "signature_missing", "an operator's key is provisioned, so a signed document is expected; sign it"
        )
    return Opened(parse_json(_verified(document, keys, kind)), signed=True)


def _verified(document: Mapping[str, object], keys: OperatorKeys, kind: EnvelopeKind) -> bytes:
    """The payload of an envelope that one of the keys signed."""
    try:
        # A plain dictionary of the right shape and size, as the library trusts that it is one.
        envelope = kind.model_validate_json(canonical(document), strict=True).model_dump(mode="json")
    except ValueError:
        (name,) = get_args(kind.model_fields["payloadType"].annotation)
        raise DocumentRefusedError(
            "signature_wrong",
            f"expected a DSSE envelope of type {name}, got another shape; sign the document anew",
        ) from None
    ids = {str(signature["keyid"]) for signature in envelope["signatures"]}
    if not ids:
        raise DocumentRefusedError("signature_missing", "the envelope holds no signature; sign the document")
    if not ids & set(keys.keys):
        raise DocumentRefusedError(
            "signature_foreign",
            f"the signature is by {_named(ids)}, accepted are {_named(set(keys.keys))}; sign with one of those",
        )
    return _verify(envelope, keys)


def _verify(envelope: dict[str, object], keys: OperatorKeys) -> bytes:
    try:
        from securesystemslib.dsse import Envelope
        from securesystemslib.exceptions import Error
        from securesystemslib.signer import Key
    except ImportError:
        raise DocumentRefusedError(
            "key_unusable",
            "no document is taken, as signatures cannot be verified here; run: pip install 'edgetally[signing]'",
        ) from None
    accepted = [Key.from_dict(keyid, key.model_dump()) for keyid, key in keys.keys.items()]
    try:
        opened = Envelope.from_dict(envelope)
        opened.verify(accepted, threshold=1)
    except (Error, ValueError, TypeError, KeyError):
        raise DocumentRefusedError(
            "signature_wrong", "the signature does not fit the document; sign exactly what is published"
        ) from None
    return bytes(opened.payload)


def _named(ids: set[str]) -> str:
    return ", ".join(sorted(repr(one[:12]) for one in ids))
