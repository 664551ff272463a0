"""All targets that ship can be read, agree with the other tables, and are found by name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from contracts.errors import UnknownNameError
from contracts.facts import Requirement, version_key
from converters.table import FAMILIES
from runtime.backends.table import BACKENDS
from runtime.documents import load_toml
from targets.load import Target, all_targets, load_target

ROOT = Path(__file__).parents[3]


def extras() -> dict[str, list[str]]:
    project = load_toml(ROOT / "pyproject.toml")["project"]
    assert isinstance(project, dict)
    found: dict[str, list[str]] = project["optional-dependencies"]
    return found


def test_the_three_targets_ship() -> None:
    names = [target.name for target in all_targets()]
    assert names == ["x86-openvino", "x86-onnxruntime", "arm64-onnxruntime"], "what is usually faster comes first"


@pytest.mark.parametrize("target", all_targets(), ids=lambda target: target.name)
class TestEveryTarget:
    def test_lies_in_a_file_of_its_name(self, target: Target) -> None:
        assert (ROOT / "targets" / f"{target.name}.toml").is_file()

    def test_names_a_family_a_backend_and_an_extra_that_exist(self, target: Target) -> None:
        assert target.family in FAMILIES
        assert target.backend in BACKENDS
        assert target.extra in extras()

    def test_runs_in_f32_first(self, target: Target) -> None:
        assert target.execution_precisions[0] == "f32"
        assert target.precisions[0] == "fp32"

    def test_asks_for_the_runtime_that_its_extra_installs(self, target: Target) -> None:
        (wanted,) = (r.at_least for r in target.requires if r.fact == f"runtime.{target.backend}")
        (package,) = extras()[target.extra]
        (floor,) = re.findall(r">=([\d.]+)", package)
        assert version_key(wanted) == version_key(floor)

    def test_asks_for_an_architecture(self, target: Target) -> None:
        assert Requirement(fact="arch", equals="aarch64" if "arm64" in target.name else "x86_64") in target.requires


def test_a_misspelt_name_gets_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown target 'x86-opnvino'.*did you mean 'x86-openvino'"):
        load_target("x86-opnvino")
