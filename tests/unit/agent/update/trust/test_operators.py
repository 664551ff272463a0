"""The operators' keys of a repository, where signed documents are opened."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner

from agent.disk import Disk
from agent.remote.refusals import DocumentRefusedError
from agent.remote.signing import KEYS_NAME, load_keys, open_payload
from agent.update.errors import UpdateError
from agent.update.trust.operators import write_operator_keys
from contracts.desired import ENVELOPE_TYPE, canonical
from contracts.release import OPERATOR_ROLE
from tests.unit.agent.update.trust.repository import Box, Repository, signer


def signed(key: CryptoSigner) -> bytes:
    envelope = Envelope(canonical({"window_seconds": 5}), ENVELOPE_TYPE, {})
    signature = envelope.sign(key)
    assert signature.keyid == key.public_key.keyid
    raw = bytes.fromhex(signature.signature)
    return canonical(
        {
            "payload": base64.b64encode(envelope.payload).decode(),
            "payloadType": ENVELOPE_TYPE,
            "signatures": [{"keyid": signature.keyid, "sig": base64.b64encode(raw).decode()}],
        }
    )


def test_a_key_that_the_repository_replaced_is_accepted_no_more(tmp_path: Path) -> None:
    repository = Repository("cars")
    box = Box(tmp_path, repository)
    disk, path = Disk(tmp_path / "state"), tmp_path / "state" / KEYS_NAME
    old = repository.keys[OPERATOR_ROLE][0]

    def take() -> bool:
        box.refresh()
        keys = box.releases.operator_keys()
        assert keys is not None
        return write_operator_keys(disk, keys)

    assert take()
    assert open_payload(signed(old), load_keys(path)).signed
    assert not take(), "the same keys are not written again"

    before = repository.files()
    new = signer()
    repository.keys[OPERATOR_ROLE] = [new]
    repository.delegate(OPERATOR_ROLE, [])
    repository.publish()
    assert take()
    assert open_payload(signed(new), load_keys(path)).signed
    with pytest.raises(DocumentRefusedError) as refused:
        open_payload(signed(old), load_keys(path))
    assert refused.value.code == "signature_foreign"

    box.server.files = before  # and the state that names the old key does not come back
    with pytest.raises(UpdateError, match=r"nothing older|seen before"):
        box.refresh()


def test_a_broken_keys_file_is_replaced(tmp_path: Path) -> None:
    repository = Repository("cars")
    box = Box(tmp_path, repository)
    box.refresh()
    keys = box.releases.operator_keys()
    assert keys is not None
    (tmp_path / KEYS_NAME).write_bytes(b"{")
    assert write_operator_keys(Disk(tmp_path), keys)
    assert load_keys(tmp_path / KEYS_NAME) == keys
