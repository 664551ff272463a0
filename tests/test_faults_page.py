"""docs/faults.md promises what a test proves, and names each test that was written for it."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "faults.md").read_text()


def defined_in(pattern: str) -> set[str]:
    found = (re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE) for file in TESTS.rglob(pattern))
    return {name for names in found for name in names}


def test_every_test_that_is_named_exists_and_every_row_names_one() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert named - defined_in("test_*.py") == set()
    rows = [line for line in PAGE.splitlines() if re.match(r"\| (?!fault |thread |-)", line)]
    assert [row for row in rows if "`test_" not in row] == []


def test_every_test_of_faults_is_named() -> None:
    assert defined_in("test_fault_*.py") - set(re.findall(r"`(test_\w+)`", PAGE)) == set()
