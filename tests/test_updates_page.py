"""docs/updates.md names every code and state that an update has, and no other."""

from __future__ import annotations

import re
import typing
from pathlib import Path

from contracts.update import UpdateCode, UpdateState

PAGE = (Path(__file__).parent.parent / "docs/updates.md").read_text()


def test_every_code_has_its_row() -> None:
    section = PAGE.partition("## Codes")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == sorted(typing.get_args(UpdateCode))


def test_every_state_is_explained() -> None:
    section = PAGE.partition("## What happens")[2].partition("\n## ")[0]
    assert not [state for state in typing.get_args(UpdateState) if f"`{state}`" not in section]


def test_every_file_of_tests_that_is_named_exists() -> None:
    root = Path(__file__).parent.parent
    assert [name for name in re.findall(r"tests/[\w/]+\.py", PAGE) if not (root / name).is_file()] == []


def test_every_test_that_is_named_exists() -> None:
    files = Path(__file__).parent.rglob("test_*.py")
    defined = {name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)}
    assert set(re.findall(r"`(test_\w+)`", PAGE)) - defined == set()
