"""Signed documents: OpenSSL signs, the agent verifies."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from contracts.desired import ENVELOPE_TYPE, RefusedDocument
from tests.unit.agent.remote.boxes import NOW, Box, as_bytes, desired, time_text

ROOT = Path(__file__).resolve().parents[2]


class Operator:
    """An operator with a key of its own.

    Args:
        folder: for the key.
        keyid: what the key is called.
    """

    def __init__(self, folder: Path, keyid: str) -> None:
        self.keyid = keyid
        self._folder = folder
        self._key = folder / f"{keyid}.pem"
        self._openssl("genpkey", "-algorithm", "ed25519", "-out", self._key)

    @property
    def key(self) -> dict[str, Any]:
        """The public key, as it stands in operator-keys.json."""
        public = self._openssl("pkey", "-in", self._key, "-pubout", "-outform", "DER")[-32:]
        return {self.keyid: {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public.hex()}}}

    def sign(self, payload: bytes, kind: str = ENVELOPE_TYPE) -> dict[str, Any]:
        """An envelope around it."""
        encoded = self._folder / "encoded"
        encoded.write_bytes(b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(payload), payload))
        signature = self._openssl("pkeyutl", "-sign", "-inkey", self._key, "-rawin", "-in", encoded)
        signatures = [{"keyid": self.keyid, "sig": base64.b64encode(signature).decode()}]
        return {"payload": base64.b64encode(payload).decode(), "payloadType": kind, "signatures": signatures}

    @staticmethod
    def _openssl(*arguments: object) -> bytes:
        done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Operator:
    return Operator(tmp_path_factory.mktemp("operator"), "operator-1")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Operator:
    return Operator(tmp_path_factory.mktemp("stranger"), "stranger-1")


@pytest.fixture
def box(tmp_path: Path, operator: Operator) -> Box:
    keys = tmp_path / "operator-keys.json"
    keys.write_text(json.dumps(operator.key))
    return Box(keys=keys)


def refusal(box: Box, document: object) -> RefusedDocument:
    refused = box.send(document).refused
    assert refused is not None
    assert box.applier.config == box.local
    return refused


def test_a_document_that_an_operator_signed_is_taken_and_runs_after_a_restart(box: Box, operator: Operator) -> None:
    assert box.send(operator.sign(as_bytes(desired({"window_seconds": 5})))).config_revision == 1
    box.boot()
    assert box.reports[-1].config_revision == 1


def test_what_needs_a_signature_is_taken_with_one(box: Box, operator: Operator) -> None:
    config = {"camera": [{"id": "gate", "source": "gst:videotestsrc"}]}
    refused = box.send(operator.sign(as_bytes(desired(config)))).refused
    assert refused is None or refused.code != "needs_signature"


def test_a_document_that_nobody_signed_is_refused(box: Box) -> None:
    assert refusal(box, desired()).code == "signature_missing"


def test_an_envelope_without_signatures_is_refused(box: Box, operator: Operator) -> None:
    envelope = operator.sign(as_bytes(desired()))
    assert refusal(box, envelope | {"signatures": []}).code == "signature_missing"


def test_a_document_that_a_stranger_signed_is_refused(box: Box, stranger: Operator) -> None:
    refused = refusal(box, stranger.sign(as_bytes(desired())))
    assert refused.code == "signature_foreign"
    assert "stranger-1" in refused.reason


def test_a_stranger_under_the_operators_name_is_refused(box: Box, stranger: Operator, operator: Operator) -> None:
    envelope = stranger.sign(as_bytes(desired()))
    envelope["signatures"][0]["keyid"] = operator.keyid
    assert refusal(box, envelope).code == "signature_wrong"


def test_a_signature_of_another_document_is_refused(box: Box, operator: Operator) -> None:
    envelope = operator.sign(as_bytes(desired()))
    other = operator.sign(as_bytes(desired(revision=2)))
    assert refusal(box, envelope | {"payload": other["payload"]}).code == "signature_wrong"


@pytest.mark.parametrize(
    "change",
    [
        {"payloadType": "text/plain"},
        {"payload": "!"},
        {"payload": 1},
        {"signatures": [{"keyid": "operator-1", "sig": "!"}]},
        {"signatures": [{"keyid": "operator-1", "sig": ""}]},
        {"signatures": [{"keyid": "operator-1"}]},
        {"signatures": [{"keyid": "operator-1", "sig": "AA=="}] * 2},
        {"signatures": {}},
    ],
)
def test_a_broken_envelope_is_refused(box: Box, operator: Operator, change: dict[str, Any]) -> None:
    assert refusal(box, operator.sign(as_bytes(desired())) | change).code == "signature_wrong"


def test_a_signature_for_another_kind_of_message_is_refused(box: Box, operator: Operator) -> None:
    envelope = operator.sign(as_bytes(desired()), kind="application/other")
    assert refusal(box, envelope).code == "signature_wrong"
    assert refusal(box, envelope | {"payloadType": ENVELOPE_TYPE}).code == "signature_wrong"


def test_a_signed_document_that_expired_is_refused(box: Box, operator: Operator) -> None:
    assert refusal(box, operator.sign(as_bytes(desired(expires=time_text(NOW + 1))))).code == "expired"


def test_a_signed_document_still_has_to_be_right(box: Box, operator: Operator) -> None:
    assert refusal(box, operator.sign(as_bytes(desired({"window_seconds": 0})))).code == "invalid"
    assert refusal(box, operator.sign(b"\xff")).code == "not_json"


def test_one_of_several_keys_is_enough_so_that_they_can_be_changed(
    box: Box, operator: Operator, stranger: Operator
) -> None:
    box.keys.write_text(json.dumps(operator.key | stranger.key))
    assert box.send(stranger.sign(as_bytes(desired()))).refused is None
    box.keys.write_text(json.dumps(stranger.key))
    refused = box.send(operator.sign(as_bytes(desired(revision=2)))).refused
    assert refused is not None
    assert refused.code == "signature_foreign"


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"k": {"keytype": "rsa"}}', '{"k": 1}'])
def test_with_broken_keys_nothing_is_taken(box: Box, operator: Operator, content: str) -> None:
    box.keys.write_text(content)
    for document in (desired(), operator.sign(as_bytes(desired()))):
        refused = refusal(box, document)
        assert refused.code == "key_unusable"
        assert str(box.keys) in refused.reason


def test_keys_whose_file_points_nowhere_are_broken_and_not_absent(box: Box) -> None:
    box.keys.unlink()
    box.keys.symlink_to("nowhere")
    assert refusal(box, desired()).code == "key_unusable"


def test_without_the_library_nothing_is_taken_and_the_cure_is_said(
    box: Box, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "securesystemslib.dsse", None)
    refused = refusal(box, operator.sign(as_bytes(desired())))
    assert refused.code == "key_unusable"
    assert "edgetally[signing]" in refused.reason


def test_a_box_without_keys_never_imports_the_library() -> None:
    program = "import sys; from tests.unit.agent.remote.boxes import Box, desired; Box().send(desired()); "
    program += "print([name for name in sys.modules if name.startswith('securesystemslib')])"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "[]", run.stderr


def test_the_commands_in_the_documentation_sign_a_document(tmp_path: Path) -> None:
    page = (ROOT / "docs/configuration.md").read_text()
    commands = page.partition("```sh\n")[2].partition("```")[0]
    (tmp_path / "desired.json").write_bytes(as_bytes(desired({"labels": {"site": "Süd"}})))
    run = subprocess.run(["sh", "-euc", commands], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    keys = tmp_path / "operator-keys.json"
    key = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": run.stdout.strip()}}
    keys.write_text(json.dumps({"operator-1": key}))
    box = Box(keys=keys)
    assert box.send((tmp_path / "envelope.json").read_bytes()).config_revision == 1
