"""What a real agent would not take, a simulated box does not take either."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner

from agent.remote.refusals import DocumentRefusedError
from agent.remote.rules import Moment
from contracts.desired import ENVELOPE_TYPE, OperatorKeys
from tools.fleet_sim.desk import Desk, revisions

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.timezone.utc).timestamp()
MOMENT = Moment(NOW, trusted=True)


def document(**changes: Any) -> dict[str, Any]:
    usual = {
        "device": "box-1", "epoch": 3, "config_revision": 5, "config": {}, "model_revision": 2,
        "models": {"main": {"name": "m", "version": "2", "manifest": "f" * 64}},
        "issued": "2026-05-31T23:59:00Z", "expires": "2026-06-02T00:00:00Z",
    }  # fmt: skip
    return usual | changes


def as_bytes(said: object) -> bytes:
    return json.dumps(said).encode()


def refusal(desk: Desk, payload: bytes) -> object:
    with pytest.raises(DocumentRefusedError):
        desk.take(payload, MOMENT)
    assert desk.refused is not None
    return desk.refused["code"]


def test_a_document_is_new_once_and_the_same_from_then_on() -> None:
    desk = Desk("box-1", None)
    assert desk.take(as_bytes(document()), MOMENT).verdict == "new"
    assert desk.take(as_bytes(document()), MOMENT).verdict == "same"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (as_bytes(document(device="box-2", config_revision=6)), "wrong_device"),
        (as_bytes(document(epoch=2, config_revision=6)), "stale_epoch"),
        (as_bytes(document(config_revision=4)), "stale_revision"),
        (as_bytes(document(model_revision=1)), "stale_revision"),
        (as_bytes(document(config={"window_seconds": 5})), "revision_reused"),
        (as_bytes(document(models={})), "revision_reused"),
        (as_bytes(document(config_revision=6, expires="2026-05-31T23:59:30Z")), "expired"),
        (as_bytes(document(config_revision=6, issued="2026-06-01T12:00:00Z")), "not_yet_valid"),
        (as_bytes(document(config_revision="6")), "invalid"),
        (as_bytes(document(config_revision=6, config={"camera": [{"id": "a", "source": "gst:x"}]})), "needs_signature"),
        (b'{"epoch": 3, "epoch": 4}', "not_json"),
        (b"\xff", "not_json"),
        (as_bytes({"payloadType": "x"}), "no_operator_key"),
    ],
)
def test_what_an_agent_refuses_is_refused(payload: bytes, code: str) -> None:
    desk = Desk("box-1", None)
    desk.take(as_bytes(document()), MOMENT)
    assert refusal(desk, payload) == code
    assert desk.take(as_bytes(document()), MOMENT).verdict == "same"
    assert desk.refused is None


def test_a_box_that_has_keys_takes_what_they_signed_and_nothing_else() -> None:
    signer, stranger = CryptoSigner.generate_ed25519(), CryptoSigner.generate_ed25519()
    desk = Desk("box-1", keys(signer))
    assert refusal(desk, as_bytes(document())) == "signature_missing"
    assert refusal(desk, signed(stranger)) == "signature_foreign"
    assert refusal(desk, signed(signer, lambda sent: sent | {"payload": "e30="})) == "signature_wrong"
    assert desk.take(signed(signer), MOMENT).desired.model_revision == 2


def test_revisions_are_told_of_a_document_that_has_them() -> None:
    assert revisions(document()) == (3, 5, 2)
    assert revisions({"epoch": 1, "config_revision": 2}) == (1, 2, 0)
    assert revisions({"epoch": 1}) is None
    assert revisions({}) is None


def keys(signer: CryptoSigner) -> OperatorKeys:
    key = signer.public_key
    one = {"keytype": key.keytype, "scheme": key.scheme, "keyval": key.keyval}
    return OperatorKeys.model_validate({"keys": {key.keyid: one}})


def signed(signer: CryptoSigner, change: Callable[[dict[str, Any]], dict[str, Any]] = dict) -> bytes:
    envelope = Envelope(as_bytes(document()), ENVELOPE_TYPE, {})
    envelope.sign(signer)
    return as_bytes(change(envelope.to_dict()))
