"""edgetally-fleet rollout as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from contracts.errors import EdgetallyError
from fleet.cli import app
from fleet.publishing.init import keep_root
from fleet.store.audit import AuditLog
from fleet.store.database import Database
from tests.fakes.rollout_fleet import FakeFleet
from tests.unit.fleet.repositories import Operator

FACTS = {"arch": "x86_64", "cpu.isa": ["avx2"], "runtime.onnxruntime": "1.20"}


class Shell:
    """Runs commands on a database and a repository."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(str(folder / "fleet.db"))
        operator = Operator(folder)
        operator.publish("cars", "2.0.0")
        self.create = ["rollout", "create", "--model", "cars@2.0.0", "--repository", str(folder / "repository")]
        keep_root(operator.keys, operator.root)
        self.create += ["--keys", str(operator.keys)]

    def __call__(self, *arguments: str, answer: str = "") -> Result:
        database = ["--database", self.database.where.removeprefix("sqlite:///")]
        return CliRunner().invoke(app, [*arguments, *database], input=answer)

    def good(self, *arguments: str) -> str:
        result = self(*arguments)
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
    monkeypatch.setenv("COLUMNS", "200")
    shell = Shell(tmp_path)
    FakeFleet(shell.database).add("p", 20, FACTS, site="taipei")
    return shell


def test_a_dry_run_shows_what_each_wave_proves_and_makes_nothing(shell: Shell) -> None:
    said = shell.good(*shell.create, "--dry-run")
    assert "cars 2.0.0 to 20 boxes, waves 1,5%,25%,100%:" in said
    assert "0 failures in 20 bounds the failure rate at 13.9% with 95% confidence" in said
    assert shell.document("rollout", "list") == []


def test_a_rollout_is_made_watched_and_stepped_into(shell: Shell) -> None:
    made = shell.document(*shell.create, "--yes", "--as", "ada", "--soak", "10m")
    number = str(made["id"])
    assert (made["boxes"], made["classes"][0]["hardware_class"]) == (20, "x86_64-avx2")
    shown = shell.document("rollout", "show", number)
    assert (shown["state"], shown["spec"]["soak_seconds"], shown["spec"]["approval"]) == ("running", 600, False)
    assert "rollout 1 is paused now" in shell.good("rollout", "pause", number, "--as", "ben")
    assert "0 of 20 boxes run it" in shell.good("rollout", "show", number)
    boxes = shell.document("rollout", "boxes", number, "--state", "waiting")
    assert {each["wave"] for each in boxes} == {0, 2, 3}
    who = [(each.entry.author.who, each.entry.action) for each in AuditLog(shell.database).newest(9)]
    assert who == [("ben", "rollout.pause"), ("ada", "rollout.create")]


def test_nobody_starts_one_unasked(shell: Shell) -> None:
    assert "give --yes where nobody can answer" in shell.refused(*shell.create)
    assert shell.document("rollout", "list") == []


def test_waves_are_proposed_from_the_risk_asked_for(shell: Shell) -> None:
    said = shell.good(*shell.create, "--risk", "20%", "--dry-run")
    assert "waves that exclude 20%: 1,4,14,100% (14 boxes without failure)" in said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--select", "stie=taipei"], "did you mean 'site'?"),
        (["--select", "site=tainan"], "no box would get it"),
        (["--waves", "5%,1"], "waves '5%,1'"),
        (["--soak", "half an hour"], "expected a duration such as"),
        (["--max-failed", "1"], "expected a share"),
        (["--risk", "1%", "--waves", "1,100%"], "give one of them"),
        (["--halt", "everything"], "halt"),
    ],
)
def test_what_cannot_be_read_says_what_was_expected(shell: Shell, more: list[str], said: str) -> None:
    assert said in shell.refused(*shell.create, "--yes", *more)


def test_a_release_that_is_not_there_or_withdrawn_is_not_rolled_out(shell: Shell) -> None:
    wrong = [part if part != "cars@2.0.0" else "cars@2.0.1" for part in shell.create]
    assert "did you mean 'cars 2.0.0'?" in shell.refused(*wrong)
    assert "should be NAME@VERSION" in shell.refused("rollout", "create", "--model", "cars", *shell.create[4:])


def test_an_unknown_rollout_or_state_is_said(shell: Shell) -> None:
    assert "there is no rollout 7" in shell.refused("rollout", "show", "7")
    assert "there is no rollout 7" in shell.refused("rollout", "boxes", "7")
    assert "did you mean 'failed'?" in shell.refused("rollout", "boxes", "1", "--state", "faild")
    assert "there is no rollout 7" in shell.refused("rollout", "abort", "7")


def test_what_looks_like_markup_is_text(shell: Shell) -> None:
    number = str(shell.document(*shell.create, "--yes", "--approval", "--as", "[/x] :car: ada")["id"])
    assert "[/x] :car: ada" in shell.good("rollout", "list")
    shell.good("rollout", "abort", number, "--as", "[/y]")
    assert "abort by [/y]" in shell.good("rollout", "list")
    assert "abort by [/y]" in shell.good("rollout", "show", number)


def test_two_people_do_not_overwrite_each_other(shell: Shell) -> None:
    number = str(shell.document(*shell.create, "--yes")["id"])
    shell.good("rollout", "pause", number, "--if-revision", "1")
    assert "it is paused now, revision 2" in shell.refused("rollout", "resume", number, "--if-revision", "1")


def test_watching_ends_with_the_rollout_and_says_by_its_exit_code_whether_it_is_completed(shell: Shell) -> None:
    number = str(shell.document(*shell.create, "--yes")["id"])
    shell.good("rollout", "abort", number)
    result = shell("rollout", "watch", number)
    assert result.exit_code == 1
    assert "cars 2.0.0, aborted, 0 of 20 boxes run it" in result.output


def test_in_a_file_watching_tells_what_happens_a_line_each_and_then_how_it_stands(shell: Shell) -> None:
    number = str(shell.document(*shell.create, "--yes")["id"])
    shell.good("rollout", "pause", number, "--as", "ada")
    shell.good("rollout", "abort", number, "--as", "ben")
    happened, _, stands = shell("rollout", "watch", number).output.partition("rollout 1:")
    assert [line.partition("  ")[2] for line in happened.splitlines()] == ["all: pause - by ada", "all: abort - by ben"]
    assert stands.endswith("you can: revert\n")


def test_how_a_rollout_stands_fits_a_terminal_of_80_characters(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    number = str(shell.document(*shell.create, "--yes")["id"])
    monkeypatch.setattr("fleet.printing._FILE_WIDTH", 80)
    shown = shell.good("rollout", "show", number)
    assert "│ x86_64-avx2 │ waiting │" in shown
    assert "committed" in shown
    assert "…" not in shown


@pytest.mark.parametrize(
    ("more", "note"),
    [
        (["--select", "site=tainan"], "note: no box is meant by 'site=tainan'"),
        (["--slot", "side"], "note: none of these boxes runs a slot 'side'; they run main"),
    ],
)
def test_a_plan_tells_what_may_be_a_typing_error(shell: Shell, more: list[str], note: str) -> None:
    assert note in shell(*shell.create, "--dry-run", *more).output
