"""docs/provisioning.md says what the code does: its commands parse, its tables are whole, its tests exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import get_args

import pytest
import typer

from agent.cli import app as agent
from fleet.cli import app as fleet
from fleet.enrolment.errors import RefusalCode
from fleet.enrolment.terms import EnrolmentConfig
from runtime.documents import read_toml

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs/provisioning.md").read_text()
PROGRAMS = {"edgetally-fleet": fleet, "edgetally-agent": agent}
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
    if line.startswith(tuple(PROGRAMS))
]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_page_is_one(line: str) -> None:
    program, *arguments = shlex.split(line, comments=True)
    command = typer.main.get_command(PROGRAMS[program])
    # Each group passes on what is left; the command itself takes all of it, or says what it does not know.
    while hasattr(command, "commands"):
        command, arguments = command.commands[arguments[0]], arguments[1:]
    command.make_context(line, list(arguments))


def test_enrolment_toml_of_the_page_fits_and_its_table_has_every_key(tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml enrolment\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "enrolment.toml").write_text(block)
    read_toml(EnrolmentConfig, tmp_path / "enrolment.toml")
    table = PAGE.partition("<!-- terms")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE)) == set(EnrolmentConfig.model_fields)


def test_every_word_that_a_box_may_be_refused_with_has_its_line() -> None:
    table = PAGE.partition("| the server says |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([a-z_]+)`", table)) - {"edgetally-fleet"} >= set(get_args(RefusalCode))


def test_every_test_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", PAGE))
    text = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(named) >= 9
    assert not [name for name in named if f"def {name}(" not in text]
