"""A support bundle of a box full of secrets: none of them is in it, and what is needed is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.doctor.ground import Ground, survey
from agent.remote.store import KeptDocument, RemoteStore
from agent.support import bundle
from agent.support.bundle import LARGEST_PART, pack
from agent.support.parts import PARTS, Part
from agent.support.scrubber import Scrubber
from contracts.errors import StorageError
from tests.e2e.agents import ROOT
from tests.integration.squares import write_bundle

CONFIG = """
device = "box-7"
bundle = "{bundle}"
state_dir = "{state}"
[broker]
host = "broker.example"
username = "box-7"
password = "planted-file-broker"
[broker.tls]
certificate = "{folder}/client.pem"
key = "{folder}/client.key"
[page]
address = "0.0.0.0:8080"
password = "planted-file-page"
[[camera]]
id = "gate"
source = "rtsp://planted-user:planted-pass@192.0.2.7/planted-path?k=planted-query"
[[camera]]
id = "yard"
source = "gst:rtspsrc location=rtsp://a:planted-gst@192.0.2.8/ user-pw=planted-gstpw ! decodebin"
size = [64, 64]
[[camera]]
id = "roof"
source = "http://192.0.2.9/planted-snapshot"
"""
KEY = "-----BEGIN PRIVATE KEY-----\nplanted-key-line-1\nplanted-key-line-2\n-----END PRIVATE KEY-----\n"
DOCUMENT = {
    "device": "box-7",
    "epoch": 1,
    "config_revision": 1,
    "config": {
        "broker": {"password": "planted-remote-broker"},
        "camera": [{"id": "gate", "source": "rtsp://u:planted-remote-pass@192.0.2.7/planted-remote-path"}],
    },
    "issued": "2026-01-01T00:00:00Z",
    "expires": "2027-01-01T00:00:00Z",
}


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    """A box with a secret in every place that knows one, and a log that says them all."""
    state = tmp_path / "state"
    (tmp_path / "client.key").write_text(KEY)
    (tmp_path / "client.pem").write_text("a certificate")
    path = tmp_path / "agent.toml"
    path.write_text(CONFIG.format(bundle=write_bundle(tmp_path / "b"), state=state, folder=tmp_path))
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "edgetally.page.password").write_text("planted-credential-page\n")
    (credentials / "edgetally.camera.roof.source").write_text("http://192.0.2.9/planted-credential-path")
    (credentials / "edgetally.update.key").write_text("-----BEGIN PRIVATE KEY-----\nplanted-credential-key\n")
    (state / "last-good").mkdir(parents=True)
    (state / "last-good" / "agent.toml").write_text('[broker]\npassword = "planted-last-good"\n')
    store = RemoteStore.under(state)
    store.write_current(KeptDocument(document=DOCUMENT))
    good = {"config": {"broker": {"password": "planted-good-broker"}}}
    store.write_good(KeptDocument(document=good))
    store.write_page({"broker": {"password": "planted-page-layer"}})
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    monkeypatch.setenv("EDGETALLY_BROKER", '{"password": "planted-env-json"}')
    monkeypatch.setenv("SOMEBODYS_API_TOKEN", "planted-env-token")
    ground = survey(path, offline=True)
    everything = sorted({word for file in _texts(tmp_path) for word in _planted(file)} | {"planted-env-json"})
    log = [f"2026-01-01 {word}: failed at x{word}y" for word in [*everything, "planted-unit-env", "planted-env-token"]]
    log += ['{"password": "planted-in-json"}', KEY, "https://a:planted-in-url@example.org/?token=planted-in-query"]

    def run(command: Sequence[str]) -> str | None:
        if "--property=Environment" in command:
            return "Environment=EDGETALLY_BROKER__PASSWORD=planted-unit-env A=b\n"
        if command[:2] == ["systemctl", "cat"]:
            return "[Service]\nSetCredential=a.b:planted-set-credential\nEnvironment=Y_PASSWORD=planted-unit-2\n"
        return "\n".join(log)

    return replace(ground, run=run)


def _texts(folder: Path) -> list[str]:
    return [path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file()]


def _planted(text: str) -> set[str]:
    return set(re.findall(r"planted-[a-z0-9-]+", text))


def packed(ground: Ground, folder: Path, parts: dict[str, Part] | None = None) -> dict[str, str]:
    path = folder / "out.tar.gz"
    chosen = parts or {name: part for name, part in PARTS.items() if name != "doctor.json"}
    done = pack(ground, path, parts=chosen)
    assert path.stat().st_mode & 0o077 == 0
    with tarfile.open(path) as archive:
        files = {member.name.partition("/")[2]: archive.extractfile(member) for member in archive.getmembers()}
        read = {name: file.read().decode() for name, file in files.items() if file is not None}
    assert tuple(read) == done.parts
    return read


def test_no_secret_is_in_it_wherever_it_was_planted(planted: Ground, tmp_path: Path) -> None:
    files = packed(planted, tmp_path)
    found = {name: _planted(text) for name, text in files.items()}
    assert {name: words for name, words in found.items() if words} == {}
    assert {"journal.txt", "service.txt", "config.toml", "environment.txt", "state.txt"} <= files.keys()


def test_what_is_needed_is_in_it(planted: Ground, tmp_path: Path) -> None:
    files = packed(planted, tmp_path)
    assert 'device = "box-7"' in files["config.toml"]
    assert "rtsp://192.0.2.7" in files["config.toml"]
    assert "# password is set, and not shown" in files["config.toml"]
    assert "edgetally " in files["versions.txt"]
    assert "EDGETALLY_BROKER" in files["environment.txt"]
    assert json.loads(files["facts.json"])["arch"]
    assert "remote/current" in files["state.txt"]


def test_a_part_that_is_too_long_keeps_its_end_and_all_together_have_a_limit(
    planted: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = Part("", lambda _: "begin\n" + "a line of the log\n" * (LARGEST_PART // 10) + "end")
    monkeypatch.setattr(bundle, "scrubber_of", lambda *_: Scrubber([], []))
    files = packed(planted, tmp_path, {"log.txt": long})
    assert len(files["log.txt"].encode()) < LARGEST_PART + 100
    assert files["log.txt"].startswith("(the first ")
    assert files["log.txt"].endswith("end")
    monkeypatch.setattr(bundle, "LARGEST", 10_000)
    (tmp_path / "out.tar.gz").unlink()
    files = packed(planted, tmp_path, {f"log{number}.txt": long for number in range(5)})
    assert sum(map(len, files.values())) < 11_000


def test_a_part_that_fails_is_said_and_the_others_are_packed(planted: Ground, tmp_path: Path) -> None:
    def fails(_: Ground) -> str:
        raise RuntimeError("planted-file-broker")

    files = packed(planted, tmp_path, {"bad.txt": Part("", fails), "good.txt": Part("", lambda _: "well")})
    assert "it could not be made (RuntimeError" in files["bad.txt"]
    assert files["good.txt"] == "well"
    assert "planted" not in files["bad.txt"]


def test_a_file_that_is_there_is_not_written_over(planted: Ground, tmp_path: Path) -> None:
    packed(planted, tmp_path)
    with pytest.raises(StorageError):
        pack(planted, tmp_path / "out.tar.gz", parts={})


def test_of_a_configuration_that_does_not_parse_nothing_secret_comes_out_either(
    planted: Ground, tmp_path: Path
) -> None:
    planted.path.write_text("[broken\n" + planted.path.read_text())
    ground = replace(survey(planted.path, offline=True), run=planted.run)
    assert ground.config is None
    files = packed(ground, tmp_path)
    words = {"planted-file-broker", "planted-file-page", "planted-user", "planted-pass", "planted-path"}
    assert not any(word in text for word in words for text in files.values())


def test_the_command_says_where_it_lies(planted: Ground, tmp_path: Path) -> None:
    command: list[Any] = [sys.executable, "-m", "agent.cli", "support-bundle", "--config", planted.path, "--offline"]
    command += ["--out", tmp_path / "sent.tar.gz"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=dict(os.environ), check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(f"{tmp_path / 'sent.tar.gz'} (")
    assert "planted" not in run.stdout + run.stderr
    with tarfile.open(tmp_path / "sent.tar.gz") as archive:
        doctor = next(member for member in archive.getmembers() if member.name.endswith("doctor.json"))
        file = archive.extractfile(doctor)
        assert file is not None
        told = file.read().decode()
    assert json.loads(told)["checks"]
    assert "planted" not in told
