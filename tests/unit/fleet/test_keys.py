"""Key files: what is written, and what opens them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fleet.publishing.errors import KeyFileError
from fleet.publishing.keys import Keyring, make_key
from fleet.publishing.passphrases import FILE_VARIABLE, VARIABLE, Passphrases
from tests.unit.fleet.repositories import now

SECRET = "correct horse battery staple"


@pytest.fixture(autouse=True)
def _no_passphrase_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FILE_VARIABLE, raising=False)
    monkeypatch.delenv(VARIABLE, raising=False)


def test_a_private_key_is_for_its_owner_alone_and_openssl_reads_it(tmp_path: Path) -> None:
    info = make_key(tmp_path / "keys", "online", "online-1", now(), SECRET)
    path = tmp_path / "keys/online-1.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    command = ["openssl", "pkey", "-in", str(path), "-passin", "stdin", "-pubout", "-outform", "DER"]
    done = subprocess.run(command, input=SECRET.encode(), capture_output=True, check=True)
    assert done.stdout[-32:].hex() == info.key.keyval.public


def test_a_key_is_opened_with_its_passphrase_alone(tmp_path: Path) -> None:
    info = make_key(tmp_path, "online", "online-1", now(), SECRET)
    assert Keyring([tmp_path], Passphrases(lambda _: SECRET)).signer(info.keyid) is not None
    with pytest.raises(KeyFileError, match="no passphrase that was given opens it") as caught:
        Keyring([tmp_path], Passphrases(lambda _: "another one, also long")).signer(info.keyid)
    assert "another one" not in str(caught.value)


def test_a_passphrase_is_asked_for_once_for_all_keys(tmp_path: Path) -> None:
    infos = [make_key(tmp_path, "root", f"root-{number}", now(), SECRET) for number in (1, 2, 3)]
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return SECRET

    keyring = Keyring([tmp_path], Passphrases(ask))
    assert all(keyring.signer(info.keyid) for info in infos)
    assert asked == ["Passphrase of root-1.pem: "]


def test_a_passphrase_comes_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = make_key(tmp_path / "keys", "online", "online-1", now(), SECRET)
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "secret"))
    assert Keyring([tmp_path / "keys"], Passphrases(None)).signer(info.keyid) is not None
    monkeypatch.delenv(FILE_VARIABLE)
    monkeypatch.setenv(VARIABLE, SECRET)
    assert Keyring([tmp_path / "keys"], Passphrases(None)).signer(info.keyid) is not None


def test_a_passphrase_file_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FILE_VARIABLE, "/nowhere/secret")
    with pytest.raises(KeyFileError, match="/nowhere/secret"):
        Passphrases(None).new()


@pytest.mark.parametrize(
    ("typed", "problem"),
    [(["short", "short"], "at least 12"), ([SECRET, f"{SECRET}!"], "differs"), (None, "no terminal")],
)
def test_a_new_passphrase_is_long_and_typed_twice(typed: list[str] | None, problem: str) -> None:
    answers = iter(typed or ())
    with pytest.raises(KeyFileError, match=problem) as caught:
        Passphrases((lambda _: next(answers)) if typed else None).new()
    assert SECRET not in str(caught.value)


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    make_key(tmp_path, "online", "online-1", now(), None)
    before = (tmp_path / "online-1.pem").read_bytes()
    with pytest.raises(KeyFileError, match="is there already"):
        make_key(tmp_path, "online", "online-1", now(), None)
    assert (tmp_path / "online-1.pem").read_bytes() == before


def test_the_private_half_of_another_key_is_refused(tmp_path: Path) -> None:
    info = make_key(tmp_path, "online", "online-1", now(), None)
    make_key(tmp_path / "other", "online", "online-1", now(), None)
    (tmp_path / "online-1.pem").write_bytes((tmp_path / "other/online-1.pem").read_bytes())
    with pytest.raises(KeyFileError, match="not the private half"):
        Keyring([tmp_path], Passphrases(None)).signer(info.keyid)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"role": "king"}'])
def test_a_public_file_that_is_damaged_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "online-1.pub.json").write_bytes(content)
    with pytest.raises(KeyFileError, match=r"online-1\.pub\.json"):
        Keyring([tmp_path], Passphrases(None)).all()


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_private_file_that_is_damaged_is_named(tmp_path: Path, content: bytes) -> None:
    info = make_key(tmp_path, "online", "online-1", now(), None)
    (tmp_path / "online-1.pem").write_bytes(content)
    with pytest.raises(KeyFileError, match=r"online-1\.pem"):
        Keyring([tmp_path], Passphrases(None)).signer(info.keyid)


def test_keys_are_numbered_over_all_folders_and_found_by_name_and_id(tmp_path: Path) -> None:
    keyring = Keyring([tmp_path / "keys", tmp_path / "stick"], Passphrases(None))
    first = keyring.make("root", tmp_path / "stick", now(), unencrypted=True)
    second = keyring.make("root", tmp_path / "keys", now(), unencrypted=True)
    assert [info.name for info in keyring.of("root")] == ["root-1", "root-2"]
    assert keyring.named("root-2") == second
    assert keyring.named(first.keyid[:8]) == first
    assert keyring.named("root-3") is None


def test_a_revoked_key_is_never_taken_again(tmp_path: Path) -> None:
    keyring = Keyring([tmp_path], Passphrases(None))
    info = keyring.make("operator", tmp_path, now(), unencrypted=True)
    keyring.mark_revoked(info.keyid)
    assert keyring.of("operator") == []
    assert [one.revoked for one in keyring.all()] == [True]
