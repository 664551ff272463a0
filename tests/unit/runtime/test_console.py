"""What a program says when it ends: one sentence for a person, or the traceback of a bug, never a password."""

from __future__ import annotations

import pytest

from contracts.errors import DeviceError
from runtime.console import run_program


def test_what_a_person_can_mend_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise DeviceError("rtsp://me:secret@camera/ does not open; check 'source'")

    assert run_program(fail) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: rtsp://")
    assert len(said.splitlines()) == 1
    assert "secret" not in said


def test_a_bug_is_its_traceback_without_credentials(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ZeroDivisionError("rtsp://me:secret@camera/")

    assert run_program(fail) == 1
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "ZeroDivisionError: rtsp://" in said
    assert "secret" not in said


def test_that_memory_ran_out_is_said_below_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise MemoryError

    assert run_program(fail) == 1
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.endswith("error: there was no memory left for it; allow this process more, or give it less to do\n")
