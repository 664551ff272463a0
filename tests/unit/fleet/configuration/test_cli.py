"""edgetally-fleet config and audit as a person runs them."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from contracts.errors import EdgetallyError
from fleet.cli import app
from fleet.store.database import Database
from fleet.store.devices import DeviceStore, Told
from tests.unit.fleet.configuration.samples import SECRET, box


class Shell:
    """Runs commands in the current folder.

    Args:
        terminal: whether somebody could be asked.
    """

    def __init__(self) -> None:
        self._runner = CliRunner()
        self.terminal = False

    def __call__(self, *arguments: str, answer: str = "") -> Result:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("fleet.configuration.change_cli._is_asked", lambda: self.terminal)
            result = self._runner.invoke(app, list(arguments), input=answer)
        assert SECRET not in result.output + str(result.exception)
        return result

    def good(self, *arguments: str, answer: str = "") -> str:
        result = self(*arguments, answer=answer)
        assert result.exit_code == 0, result.output + repr(result.exception)
        return result.output

    def document(self, *arguments: str) -> Any:
        return json.loads(self.good(*arguments, "--json"))

    def refused(self, *arguments: str) -> str:
        result = self(*arguments)
        assert isinstance(result.exception, EdgetallyError), result.output
        return str(result.exception)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("EDGETALLY_FLEET_DATABASE", "fleet.db")
    database = Database("fleet.db")
    boxes = [box("box-1"), box("box-2", "berlin"), box("box-3", None)]
    DeviceStore(database).change([each.device for each in boxes], lambda _: [Told(e, 1, 1, seen=True) for e in boxes])
    database.close()
    Path("fleet.toml").write_text(
        f'window_seconds = 5\n[broker]\npassword = "{SECRET}"\n'
        f'[[camera]]\nid = "gate"\nsource = "rtsp://me:{SECRET}@cam-${{label.site}}.example/1"\n'
    )
    Path("taipei.json").write_text('{"window_seconds": 7, "camera": [{"id": "gate", "fps": null}]}')
    return Shell()


def test_a_layer_is_made_shown_changed_and_removed(shell: Shell) -> None:
    said = shell.good("config", "set", "fleet", "fleet.toml", "--yes", "--as", "ada")
    assert "this changes 2 of 3 boxes; 1 box would get a problem, and stay as now" in said
    assert "problem of 1 (box-3): 'camera.gate.source' needs ${label.site}" in said
    assert "fleet is revision 1" in said
    assert "says that already (revision 1)" in shell.good("config", "set", "fleet", "fleet.toml")
    said = shell.good("config", "set", "group/taipei", "taipei.json", "--query", "site=taipei", "--rank", "3", "-y")
    assert "window_seconds: 5 → 7" in said
    listed = shell.document("config", "list")
    assert [(each["layer"], each["revision"], each.get("query"), each.get("rank")) for each in listed] == [
        ("fleet", 1, None, None),
        ("group/taipei", 1, "site=taipei", 3),
    ]
    assert listed[0]["changed_by"] == "ada"
    assert "group/taipei" in shell.good("config", "list")
    assert "group/taipei is removed" in shell.good("config", "remove", "group/taipei", "--yes")
    assert [each["layer"] for each in shell.document("config", "list")] == ["fleet"]
    assert [each["action"] for each in shell.document("config", "history", "group/taipei")] == [
        "config.remove",
        "config.set",
    ]
    assert len(shell.document("audit")) == 3
    assert len(shell.document("audit", "--limit", "1")) == 1
    assert "ada (cli)  config.set  layer:fleet: fleet is revision 1" in shell.good("audit", "--subject", "layer:fleet")


def test_what_is_shown_can_be_changed_and_handed_in_with_the_secrets_that_nobody_saw(shell: Shell) -> None:
    shell.good("config", "set", "fleet", "fleet.toml", "--yes")
    shown = shell.good("config", "show", "fleet")
    assert 'password = "***"' in shown
    Path("changed.toml").write_text(shown.replace("window_seconds = 5", "window_seconds = 6"))
    said = shell.good("config", "set", "fleet", "changed.toml", "--yes")
    assert "window_seconds: 5 → 6" in said
    assert "password" not in said.replace(' broker.password = "***"', "")
    resolved = shell.document("config", "resolve", "box-1")
    assert resolved["config"]["camera"][0]["source"] == "rtsp://cam-taipei.example/***"


def test_nothing_is_written_where_it_is_only_looked_at_refused_or_nobody_could_be_asked(shell: Shell) -> None:
    assert "nothing is changed" in shell.good("config", "set", "fleet", "fleet.toml", "--dry-run")
    assert "--yes" in shell.refused("config", "set", "fleet", "fleet.toml")
    shell.terminal = True
    assert shell("config", "set", "fleet", "fleet.toml", answer="n\n").exit_code == 1
    assert shell.document("config", "list") == []
    assert "fleet is revision 1" in shell.good("config", "set", "fleet", "fleet.toml", answer="y\n")


def test_a_dry_run_tells_a_program_which_boxes_change_and_how(shell: Shell) -> None:
    Path("debug.toml").write_text('log_level = "debug"')
    shown = shell.document("config", "set", "group/a", "debug.toml", "--query", "site=berlin", "--dry-run")
    assert shown["preview"]["changed"] == 1
    assert shown["preview"]["affected"] == [
        {"difference": [{"path": "log_level", "before": None, "after": '"debug"'}], "devices": ["box-2"]}
    ]


def test_a_revision_that_is_not_there_any_more_is_refused(shell: Shell) -> None:
    shell.good("config", "set", "fleet", "fleet.toml", "--yes", "--if-revision", "0")
    Path("other.toml").write_text("window_seconds = 9")
    assert "expected no such layer, there is revision 1" in shell.refused(
        "config", "set", "fleet", "other.toml", "--yes", "--if-revision", "0"
    )
    assert "expected revision 2" in shell.refused("config", "remove", "fleet", "--yes", "--if-revision", "2")


def test_what_a_box_gets_is_shown_with_the_layer_of_each_value(shell: Shell) -> None:
    shell.good("config", "set", "fleet", "fleet.toml", "--yes")
    shell.good("config", "set", "group/taipei", "taipei.json", "--query", "site=taipei", "--yes")
    values = shell.document("config", "resolve", "box-1")["values"]
    assert values["window_seconds"] == {"value": 7.0, "layer": "group/taipei"}
    assert values["broker.password"] == {"value": "***", "layer": "fleet"}
    assert "box-1: fleet < group/taipei" in shell.good("config", "resolve", "box-1")
    assert "problem: 'camera.gate.source' needs ${label.site}" in shell.good("config", "resolve", "box-3")
    assert "did you mean 'box-3'" in shell.refused("config", "resolve", "bux-3")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "group/taipei"], "there is no layer group/taipei, nor any other"),
        (["remove", "group/taipei"], "there is no layer group/taipei, nor any other"),
        (["show", "grop/taipei"], "did you mean 'group'"),
        (["set", "fleet", "none.toml"], "expected a TOML file"),
        (["set", "group/a", "fleet.toml"], "--query"),
        (["set", "group/a", "fleet.toml", "--query", "site="], "query 'site='"),
        (["set", "group/a", "fleet.toml", "--query", "online=yes"], "'online'"),
        (["set", "fleet", "fleet.toml", "--rank", "1"], "only groups do"),
        (["set", "fleet", "fleet.toml", "--as", "x" * 65], "--as should be"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(shell: Shell, arguments: list[str], said: str) -> None:
    assert said in shell.refused("config", *arguments)


def test_the_name_of_a_layer_that_is_none_is_answered_with_the_nearest(shell: Shell) -> None:
    shell.good("config", "set", "fleet", "fleet.toml", "--yes")
    shell.good("config", "set", "group/taipei", "taipei.json", "--query", "site=taipei", "--yes")
    assert "did you mean 'group/taipei'" in shell.refused("config", "show", "group/taipai")


@pytest.mark.parametrize("command", ["list", "show", "set", "remove", "resolve", "history"])
def test_help_has_an_example(shell: Shell, command: str) -> None:
    assert "Example: edgetally-fleet" in shell.good("config", command, "--help").replace("`", "")


def test_the_commands_of_the_page_work_as_they_are_written(shell: Shell) -> None:
    page = (Path(__file__).parents[4] / "docs/fleet-configuration.md").read_text()
    for name, text in re.findall(r"```toml\n# (\S+\.toml)\n(.*?)```", page, re.DOTALL):
        Path(name).write_text(text)
    commands = [line for line in page.splitlines() if line.startswith("edgetally-fleet ")]
    assert len(commands) > 8
    shell.terminal = True
    for command in commands:
        shell.good(*shlex.split(command.partition(" > ")[0], comments=True)[1:], answer="y\n")
