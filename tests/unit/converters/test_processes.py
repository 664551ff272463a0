"""What an error says of a child process that failed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from converters.processes import SHOWN, last_line, signal_name


def test_signals_are_named_where_they_have_a_name() -> None:
    assert signal_name(9) == "SIGKILL"
    assert signal_name(200) == "signal 200"


def test_the_last_line_that_says_something_is_taken() -> None:
    assert last_line(b"begun\n  no memory \n\n \n") == "no memory"
    assert last_line(b"") == last_line(b" \n\n") == ""


@given(st.binary())
def test_whatever_it_wrote_gives_one_short_line(stderr: bytes) -> None:
    line = last_line(stderr)
    assert len(line) <= SHOWN
    assert len(line.splitlines()) <= 1
