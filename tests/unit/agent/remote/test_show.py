"""`edgetally-agent config`: each value with its layer, and never a secret."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from agent.cli import app
from agent.disk import Disk
from agent.remote.rules import Floors
from agent.remote.store import KeptDocument, RemoteStore
from contracts.config import AgentConfig
from tests.unit.agent.remote.boxes import desired

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = """
device = "box-1"
bundle = "b"
state_dir = "{state}"
health_seconds = 20
[broker]
host = "127.0.0.1"
password = "hunter22"
[[camera]]
id = "gate"
source = "rtsp://user:hunter22@192.0.2.1/key=hunter22"
[[camera.line]]
name = "stop"
start = [0, 0.5]
end = [1, 0.5]
[[camera]]
id = "yard"
source = "synthetic"
"""
REMOTE: dict[str, Any] = {
    "window_seconds": 5,
    "broker": {"username": "box"},
    "camera": [{"id": "gate", "line": [{"name": "stop", "labels": ["car"]}]}, {"id": "yard", "enabled": False}],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "agent.toml").write_text(FILE.replace("{state}", str(tmp_path / "state")))
    monkeypatch.setenv("EDGETALLY_STATE_SECONDS", "3")
    store = RemoteStore(Disk(tmp_path / "state" / "remote"))
    store.write_current(KeptDocument(document=desired(REMOTE, 4), floors=Floors(epoch=1, config_revision=4)))
    store.write_page({"window_seconds": 6, "labels": {"site": "north"}})
    return tmp_path


def config(folder: Path, *flags: str) -> Result:
    return CliRunner().invoke(app, ["config", "--config", str(folder / "agent.toml"), *flags])


def test_each_value_names_its_layer(folder: Path) -> None:
    found = json.loads(config(folder, "--explain", "--json").stdout)
    layers = {path: entry["layer"] for path, entry in found["values"].items()}
    expected = {
        "window_seconds": "remote",
        "labels.site": "page",
        "state_seconds": "environment",
        "health_seconds": "file",
        "broker.port": "default",
        "broker.host": "file",
        "broker.username": "remote",
        "camera.gate.line.stop.labels": "remote",
        "camera.gate.line.stop.start": "file",
        "camera.gate.line.stop.anchor": "default",
    }
    assert {path: layers[path] for path in expected} == expected
    assert not any(path.startswith("camera.yard") for path in layers)
    assert found["document"]["config_revision"] == 4
    (note,) = found["notes"]  # there is no bundle here
    assert note.startswith("model 'main' cannot be opened, so what it can count is not known")


def test_the_lines_say_the_same(folder: Path) -> None:
    lines = [line.split() for line in config(folder, "--explain").stdout.splitlines()]
    assert ["window_seconds", "remote", "5.0"] in lines


def test_without_explaining_it_is_the_configuration(folder: Path) -> None:
    as_json = json.loads(config(folder, "--json").stdout)
    as_toml = tomllib.loads(config(folder).stdout)
    assert as_json["window_seconds"] == as_toml["window_seconds"] == 5
    assert as_toml["camera"] == [
        {key: value for key, value in camera.items() if value is not None} for camera in as_json["camera"]
    ]
    assert AgentConfig.model_validate(as_toml).camera[0].line[0].labels == ("car",)


@pytest.mark.parametrize("flags", [(), ("--json",), ("--explain",), ("--explain", "--json")])
def test_no_secret_is_shown(folder: Path, flags: tuple[str, ...]) -> None:
    shown = config(folder, *flags)
    assert shown.exit_code == 0
    assert "hunter22" not in shown.output
    assert "192.0.2.1" in shown.output


def test_a_damaged_document_is_said(folder: Path) -> None:
    (folder / "state/remote/current").write_bytes(b"")
    shown = config(folder)
    assert "current is damaged" in shown.stderr
    assert tomllib.loads(shown.stdout)["window_seconds"] == 6


def test_looking_changes_nothing(folder: Path) -> None:
    def state() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (folder / "state/remote").iterdir()}

    before = state()
    config(folder, "--explain")
    assert state() == before
