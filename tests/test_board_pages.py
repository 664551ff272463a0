"""docs/boards says of each board what was run, emulated and not run, and names the test of everything it claims."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from targets.load import all_targets

TESTS = Path(__file__).parent
PAGES = sorted((TESTS.parent / "docs" / "boards").glob("*.md"))
STATES = ("run", "emulated", "stand-in", "not run")
ELSEWHERE = {"test_boot.py", "test_arm64.py"}  # all of these run on another machine or processor than the test itself
EMULATED = {*ELSEWHERE, "test_qnn.py"}


def rows(page: Path) -> list[tuple[str, str, str]]:
    found = [line.strip("| ").split(" | ") for line in page.read_text().splitlines() if line.startswith("| ")]
    return [(what, state, shown) for what, state, shown in found[1:]]


def places() -> dict[str, str]:
    """Every test, and the file it is in."""
    files = list(TESTS.rglob("test_*.py"))
    return {
        name: file.name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.stem))
def test_what_a_board_is_said_to_do_is_shown_by_tests_that_are_there(page: Path) -> None:
    known = places()
    assert rows(page)
    for what, state, shown in rows(page):
        named = re.findall(r"`(test_\w+)`", shown)
        assert state in STATES, what
        assert bool(named) is (state != "not run"), what
        assert set(named) <= set(known), what
        files = {known[name] for name in named}
        assert state != "emulated" or files <= EMULATED, what
        assert state == "emulated" or not files & ELSEWHERE, what


def test_every_target_is_on_the_page_of_a_board() -> None:
    told = {name for page in PAGES for name in re.findall(r"`([\w-]+)`", page.read_text())}
    assert {target.name for target in all_targets()} - told == set()
