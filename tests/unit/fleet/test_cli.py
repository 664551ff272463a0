"""edgetally-fleet as a person runs it."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fleet.cli import main
from fleet.publishing.passphrases import FILE_VARIABLE, VARIABLE
from tests.unit.agent.remote.boxes import desired
from tests.unit.fleet.repositories import bundle

SECRET = "correct horse battery staple"


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


class Shell:
    """Runs commands in a folder of their own.

    Args:
        capsys: to read what they print.
        patch: to set the command line.
    """

    def __init__(self, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self._capsys, self._patch = capsys, patch

    def __call__(self, *arguments: str | Path) -> Ran:
        self._patch.setattr(sys, "argv", ["edgetally-fleet", *map(str, arguments)])
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = self._capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        assert SECRET not in printed.out + printed.err
        return Ran(code, printed.out, printed.err)


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for variable in (FILE_VARIABLE, VARIABLE, "EDGETALLY_REPOSITORY", "EDGETALLY_KEYS"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    monkeypatch.setenv(FILE_VARIABLE, "secret")
    return Shell(capsys, monkeypatch)


@pytest.fixture
def ready(shell: Shell) -> Shell:
    assert shell("keys", "create", "--dir", "keys", "--root-keys", "stick", "--root-count", "3").code == 0
    assert shell("repository", "init", "models", "--root-keys", "stick").code == 0
    return shell


def test_from_keys_to_a_release_that_is_listed_checked_and_withdrawn(ready: Shell, tmp_path: Path) -> None:
    published = ready("publish", bundle(tmp_path), "-r", "models")
    assert (published.code, published.err) == (0, "")
    assert "fake 1.0.0 is released (release 1" in published.out
    assert "was released before" in ready("publish", bundle(tmp_path), "-r", "models").out
    assert "fake" in ready("repository", "list", "models").out
    checked = ready("repository", "check", "models")
    assert checked.code == 0
    assert "1 releases, 3 files" in checked.out
    assert ready("withdraw", "fake", "1.0.0", "-r", "models", "--reason", "counts vans twice").code == 0
    (release,) = ready("repository", "list", "models", "--json").document
    assert release["withdrawn"]["reason"] == "counts vans twice"
    assert release["targets"] == ["x86-onnxruntime"]


def test_every_command_answers_in_json(ready: Shell, tmp_path: Path) -> None:
    published = ready("publish", bundle(tmp_path), "-r", "models", "--json").document
    assert (published["model"], published["release"], published["new"], published["copied_files"]) == (
        "fake",
        1,
        True,
        3,
    )
    assert ready("repository", "check", "models", "--json").document["problems"] == []
    roles = {row["role"] for row in ready("repository", "refresh", "models", "--json").document}
    assert roles == {"root", "targets", "model-fake", "snapshot", "timestamp"}
    assert ready("repository", "collect", "models", "--json").document == {"removed": {}, "dry_run": False}
    exported = ready("export", "fake", "1.0.0", "--to", "usb", "-r", "models", "--json").document
    assert exported["bytes"] == published["copied_bytes"]
    replaced = ready("keys", "rotate", "online", "-r", "models", "--root-keys", "stick", "--json").document
    assert replaced["name"] == "online-2"
    keys = {row["name"]: row for row in ready("keys", "list", "-r", "models", "--json").document}
    assert keys["online-2"]["in_use"]
    assert not keys["online-1"]["in_use"]


def test_the_commands_of_the_page_work_as_they_are_written(shell: Shell, tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs/publishing.md").read_text()
    places = {"/media/stick": "stick", "/srv/models": "models", "/media/usb": "usb"}
    bundle(tmp_path, "yolox-nano", "0.1.1", ["x86-openvino"]).rename(tmp_path / "yolox.bundle")
    (tmp_path / "desired.json").write_text(json.dumps(desired()))
    commands = [line for line in page.splitlines() if line.startswith("edgetally-fleet ")]
    assert len(commands) == 9
    for command in commands:
        for place, here in places.items():
            command = command.replace(place, here)  # noqa: PLW2901
        ran = shell(*shlex.split(command)[1:])
        assert (ran.code, ran.err) == (0, ""), command
    assert (tmp_path / "usb/metadata/timestamp.json").is_file()


def test_keys_are_encrypted_unless_said_otherwise(ready: Shell, tmp_path: Path) -> None:
    assert b"ENCRYPTED" in (tmp_path / "keys/online-1.pem").read_bytes()
    assert ready("keys", "create", "--dir", "open", "--unencrypted").code == 0
    assert b"BEGIN PRIVATE KEY" in (tmp_path / "open/online-1.pem").read_bytes()
    assert (tmp_path / "open/root/root-1.pem").is_file()


def test_all_but_the_root_keys_are_enough_for_every_day(ready: Shell, tmp_path: Path) -> None:
    (tmp_path / "stick").rename(tmp_path / "safe")
    assert ready("publish", bundle(tmp_path), "-r", "models").code == 0
    assert ready("repository", "refresh", "models").code == 0
    refused = ready("keys", "rotate", "online", "-r", "models")
    assert refused.code == 2
    assert "--root-keys" in refused.err
    assert not (tmp_path / "keys/online-2.pem").exists(), "no key is made that cannot be used"
    assert ready("keys", "revoke", "online", "-r", "models", "--root-keys", "safe").code == 0


def test_a_revoked_operators_key_leaves_what_boxes_are_given(ready: Shell, tmp_path: Path) -> None:
    before = json.loads((tmp_path / "keys/operator-keys.json").read_text())
    done = ready("keys", "revoke", "operator", "-r", "models")
    assert done.code == 0
    after = json.loads((tmp_path / "keys/operator-keys.json").read_text())
    assert len(before) == len(after) == 1
    assert before.keys() != after.keys()


def test_a_signed_document_goes_to_standard_output_or_a_file(ready: Shell, tmp_path: Path) -> None:
    (tmp_path / "desired.json").write_text(json.dumps(desired()))
    printed = ready("sign", "desired.json")
    assert printed.document["payloadType"] == "application/vnd.edgetally.desired+json"
    assert ready("sign", "desired.json", "--out", "signed.json").out == ""
    assert json.loads((tmp_path / "signed.json").read_text()) == printed.document


def test_what_expires_soon_has_an_exit_code_of_its_own(ready: Shell) -> None:
    assert ready("repository", "refresh", "models", "--expires", "timestamp=2").code == 3
    checked = ready("repository", "check", "models")
    assert checked.code == 3
    assert "timestamp expires" in checked.err
    assert ready("repository", "refresh", "models").code == 0


def test_a_damaged_repository_is_an_error(ready: Shell, tmp_path: Path) -> None:
    ready("publish", bundle(tmp_path), "-r", "models")
    next((tmp_path / "models/blobs").rglob("*/*")).write_bytes(b"")
    checked = ready("repository", "check", "models")
    assert checked.code == 2
    assert "problem:" in checked.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["publish", "bundle", "-r", "models"], "root.json"),
        (["keys", "rotate", "online", "-r", "models"], "root.json"),
        (["repository", "check", "models"], "--root"),
        (["repository", "init", "models"], "keys create"),
        (["sign", "desired.json"], "expected a JSON file"),
    ],
)
def test_without_keys_or_a_repository_a_sentence_says_what_to_do(shell: Shell, arguments: list[str], said: str) -> None:
    ran = shell(*arguments)
    assert ran.code == 2
    assert ran.err.startswith("error: ")
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_a_wrong_passphrase_is_said_without_it(ready: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FILE_VARIABLE)
    monkeypatch.setenv(VARIABLE, "not the right one")
    ran = ready("publish", bundle(tmp_path), "-r", "models")
    assert ran.code == 2
    assert FILE_VARIABLE in ran.err
    assert "not the right one" not in ran.err


def test_keys_are_not_made_over_others(ready: Shell) -> None:
    ran = ready("keys", "create", "--dir", "keys")
    assert ran.code == 2
    assert "keys rotate" in ran.err


def test_a_typing_error_is_answered_with_the_nearest_command(shell: Shell) -> None:
    ran = shell("publsh")
    assert ran.code == 2
    assert "publish" in ran.err


@pytest.mark.parametrize(
    "command", [["publish"], ["withdraw"], ["export"], ["sign"], ["keys", "rotate"], ["repository", "refresh"]]
)
def test_help_has_an_example(shell: Shell, command: list[str]) -> None:
    assert "Example: edgetally-fleet" in shell(*command, "--help").out.replace("`", "")
