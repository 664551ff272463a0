"""Every toolchain has a lock with hashes and no addresses, and a worker that needs nothing of ours."""

from __future__ import annotations

import ast
import re

import pytest

from contracts.errors import UnknownNameError
from converters.toolchains.table import TOOLCHAINS, Toolchain, toolchain

OURS = {"contracts", "targets", "runtime", "converters", "agent", "fleet", "tools", "tests"}


@pytest.mark.parametrize("tool", TOOLCHAINS.values(), ids=lambda tool: tool.name)
class TestEveryToolchain:
    def test_its_lock_pins_every_package_with_hashes_and_holds_no_address(self, tool: Toolchain) -> None:
        text = tool.lock.read_text()
        assert "://" not in text
        packages = re.findall(r"^(\S.*?)(?: ;.*)? \\$", text, re.MULTILINE)
        assert packages
        assert all("==" in package for package in packages)
        assert len(re.findall(r"^\S", text, re.MULTILINE)) == len(packages), "a line without a hash behind it"

    def test_what_its_lock_was_made_from_is_in_it(self, tool: Toolchain) -> None:
        wanted = [line.partition("#")[0].strip() for line in tool.lock.with_suffix(".in").read_text().splitlines()]
        pinned = {line.split()[0] for line in tool.lock.read_text().splitlines() if line[:1].strip()}
        assert set(wanted) <= pinned
        assert any(re.match(rf"(nvidia-)?{tool.name}==", line) for line in wanted)

    def test_its_worker_imports_nothing_of_ours(self, tool: Toolchain) -> None:
        tree = ast.parse(tool.program.read_text())
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not {name.partition(".")[0] for name in names} & OURS


def test_a_misspelt_name_gets_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown toolchain 'onnxtf'.*did you mean 'onnx2tf'"):
        toolchain("onnxtf")
