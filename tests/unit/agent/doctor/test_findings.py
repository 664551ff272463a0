"""Checks become findings, findings an exit code; a check that fails inside, or what it starts, stops no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.doctor import table
from agent.doctor.beside import tried
from agent.doctor.child import MultiplyJob
from agent.doctor.finding import Finding, Level, of_trial
from agent.doctor.ground import Ground
from agent.doctor.table import CHECKS, Check, Checked, examine, exit_code
from agent.doctor.view import document, lines, summary
from agent.rpc.ports import Trial, TrialResult
from contracts.errors import DeviceError, UnknownNameError

GROUND = Ground(Path("/nowhere/agent.toml"), {})


def checked(*levels: Level) -> list[Checked]:
    return [Checked("a", tuple(Finding("a", level, "text", "mend it") for level in levels), 0.1)]


@pytest.mark.parametrize(
    ("levels", "code"),
    [
        (("ok",), 0),
        (("ok", "unknown"), 0),
        (("ok", "warning"), 3),
        (("warning", "wrong", "ok"), 2),
    ],
)
def test_the_worst_finding_decides_the_exit_code(levels: tuple[Level, ...], code: int) -> None:
    assert exit_code(checked(*levels)) == code
    assert document(checked(*levels))["exit_code"] == code


def test_only_what_is_not_well_comes_with_a_command() -> None:
    assert list(lines(checked("ok", "unknown")[0])) == ["ok       a: text", "?        a: text"]
    assert list(lines(checked("warning", "wrong")[0])) == [
        "warning  a: text",
        "         $ mend it",
        "WRONG    a: text",
        "         $ mend it",
    ]


def test_the_last_line_says_how_it_came_out() -> None:
    assert summary(checked("ok", "unknown")) == "nothing is wrong"
    assert summary(checked("wrong", "warning", "warning")).startswith("1 wrong, 2 warnings;")


@pytest.mark.parametrize(("passed", "level"), [(True, "ok"), (None, "unknown"), (False, "wrong")])
def test_a_part_of_the_self_test_is_a_finding(passed: bool | None, level: Level) -> None:
    trial = Trial("disk", lambda: TrialResult(passed=passed, text="it is so"))
    assert of_trial(trial).level == level


def test_an_error_is_a_finding_without_credentials() -> None:
    def fails() -> TrialResult:
        raise DeviceError("rtsp://me:secret@192.0.2.7/ does not open; look at it")

    found = of_trial(Trial("camera", fails), "ping it")
    assert (found.level, found.do) == ("wrong", "ping it")
    assert "secret" not in found.text


def test_a_check_that_fails_inside_is_said_and_those_after_it_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(_: Ground) -> Iterator[Finding]:
        yield Finding("first", "ok", "well")
        raise RuntimeError("secret")

    def well(_: Ground) -> Iterator[Finding]:
        yield Finding("later", "ok", "well")

    monkeypatch.setattr(table, "CHECKS", {"bug": Check(bug, ""), "well": Check(well, "")})
    found = [finding for one in examine(GROUND) for finding in one.findings]
    assert [one.what for one in found] == ["first", "bug", "later"]
    assert found[1].text == "the check itself failed (RuntimeError); this is a bug"


def test_one_check_alone_can_be_asked_for_and_an_unknown_one_is_named() -> None:
    assert [one.name for one in examine(GROUND, ["hardware"])] == ["hardware"]
    with pytest.raises(UnknownNameError, match=r"unknown check 'clok'.*did you mean 'clock'"):
        list(examine(GROUND, ["clok"]))


def test_without_a_configuration_every_check_still_says_something() -> None:
    names = [name for name in CHECKS if name != "runtimes"]
    assert all(one.findings for one in examine(GROUND, names))


CHILDREN = {
    "ends": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "exits": "import sys; sys.exit('libfoo.so.3: cannot open shared object file')",
    "hangs": "import threading; threading.Event().wait()",
    "babbles": "print('hello')",
    "finds": 'print(\'{"problem": "it is broken"}\')',
    "works": 'print(\'{"text": "it works"}\')',
}


@pytest.mark.parametrize(
    ("does", "level", "text"),
    [
        ("ends", "wrong", "it was ended by SIGSEGV"),
        ("killed", "wrong", "it was ended by SIGKILL, which the kernel does where memory runs out"),
        ("exits", "wrong", "it ended with exit code 1; the last it said: libfoo.so.3: cannot open"),
        ("hangs", "wrong", "it did not come to an end within 0.5 s"),
        ("babbles", "wrong", "it answered something else than what was asked for"),
        ("finds", "wrong", "it is broken"),
        ("works", "ok", "it works"),
    ],
)
def test_whatever_a_process_does_is_a_finding(
    does: str, level: Level, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_child.py").write_text(CHILDREN[does])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    seconds = 0.5 if does == "hangs" else 60.0
    found = tried("runtime x", MultiplyJob(backend="x"), seconds, child="a_child")
    assert found.level == level
    assert found.text.startswith(text)
