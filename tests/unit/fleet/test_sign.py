"""Signed desired documents: what the operator signs, the box takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.remote.refusals import DocumentRefusedError
from agent.remote.signing import load_keys, open_payload
from contracts.errors import DocumentError, UnknownNameError
from fleet.publishing.errors import KeyFileError
from fleet.publishing.keys import Keyring
from fleet.publishing.passphrases import Passphrases
from fleet.publishing.sign import operator_keys, sign_desired
from tests.unit.agent.remote.boxes import desired
from tests.unit.fleet.repositories import now


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    keyring = Keyring([tmp_path / "keys"], Passphrases(None))
    keyring.make("operator", tmp_path / "keys", now(), unencrypted=True)
    keyring.make("online", tmp_path / "keys", now(), unencrypted=True)
    return keyring


def written(folder: Path, document: dict[str, Any]) -> Path:
    path = folder / "desired.json"
    path.write_text(json.dumps(document, indent=2))
    return path


def provisioned(folder: Path, keyring: Keyring) -> Path:
    path = folder / "operator-keys.json"
    path.write_text(json.dumps({keyid: key.model_dump() for keyid, key in operator_keys(keyring).items()}))
    return path


def test_a_box_with_the_operators_key_takes_what_was_signed(keyring: Keyring, tmp_path: Path) -> None:
    envelope = sign_desired(written(tmp_path, desired({"window_seconds": 5})), keyring, "operator")
    opened = open_payload(envelope.encode(), load_keys(provisioned(tmp_path, keyring)))
    assert opened.signed
    assert opened.document == desired({"window_seconds": 5})


def test_a_box_refuses_what_a_revoked_key_signed(keyring: Keyring, tmp_path: Path) -> None:
    envelope = sign_desired(written(tmp_path, desired()), keyring, "operator-1")
    keyring.make("operator", tmp_path / "keys", now(), unencrypted=True)
    keyring.mark_revoked(keyring.of("operator")[0].keyid)
    with pytest.raises(DocumentRefusedError) as refused:
        open_payload(envelope.encode(), load_keys(provisioned(tmp_path, keyring)))
    assert refused.value.code == "signature_foreign"
    with pytest.raises(KeyFileError, match="revoked"):
        sign_desired(written(tmp_path, desired()), keyring, "operator-1")


def test_what_a_box_would_refuse_is_not_signed(keyring: Keyring, tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="window_secnds"):
        sign_desired(written(tmp_path, desired({"window_secnds": 5})), keyring, "operator")
    (tmp_path / "desired.json").write_text("{")
    with pytest.raises(DocumentError, match="expected JSON"):
        sign_desired(tmp_path / "desired.json", keyring, "operator")
    large = written(tmp_path, desired())
    large.write_text(large.read_text() + " " * 200_000)
    with pytest.raises(DocumentError, match="shorten it"):
        sign_desired(large, keyring, "operator")


def test_only_an_operators_key_signs_documents(keyring: Keyring, tmp_path: Path) -> None:
    path = written(tmp_path, desired())
    with pytest.raises(KeyFileError, match="it is of role online"):
        sign_desired(path, keyring, "online-1")
    with pytest.raises(UnknownNameError, match="did you mean 'operator-1'"):
        sign_desired(path, keyring, "operator-2")
