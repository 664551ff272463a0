"""All targets that ship can be read, agree with the other tables, and are found by name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from contracts.errors import UnknownNameError
from contracts.facts import Facts, refusals, version_key
from converters.table import FAMILIES
from runtime.backends.table import BACKENDS
from runtime.documents import load_toml
from targets.load import Target, all_targets, load_target

ROOT = Path(__file__).parents[3]
RUNTIMES = ("openvino", "onnxruntime", "tflite")  # of processors, whatever stands beside them
NEWEST = {f"runtime.{name}": "9999.0" for name in RUNTIMES}


def extras() -> dict[str, list[str]]:
    project = load_toml(ROOT / "pyproject.toml")["project"]
    assert isinstance(project, dict)
    found: dict[str, list[str]] = project["optional-dependencies"]
    return found


def fitting(facts: Facts) -> set[str]:
    return {target.name for target in all_targets() if not refusals(target.requires, facts)}


def test_every_file_is_a_target_of_its_name() -> None:
    files = {file.stem for file in (ROOT / "targets").glob("*.toml")}
    assert files == {target.name for target in all_targets()}
    assert {"x86-openvino", "x86-onnxruntime", "arm64-onnxruntime", "arm64-tflite", "x86-tflite"} <= files


def test_they_come_in_the_order_of_their_places() -> None:
    places = [target.place for target in all_targets()]
    assert places == sorted(places)


@pytest.mark.parametrize("target", all_targets(), ids=lambda target: target.name)
class TestEveryTarget:
    def test_names_a_family_a_backend_and_an_extra_that_exist(self, target: Target) -> None:
        assert target.family in FAMILIES
        assert target.backend in BACKENDS
        assert target.extra in extras()

    def test_is_tried_with_a_backend_that_exists_or_says_that_nothing_can(self, target: Target) -> None:
        assert target.checking_backend is None or target.checking_backend in BACKENDS

    def test_names_each_precision_once(self, target: Target) -> None:
        for names in (target.precisions, target.execution_precisions):
            assert len(set(names)) == len(names)

    def test_names_execution_precisions_that_backends_know(self, target: Target) -> None:
        """``native``: what the file says is what is computed."""
        assert set(target.execution_precisions) <= {"f32", "f16", "bf16", "native"}

    def test_asks_for_the_runtime_that_its_extra_installs(self, target: Target) -> None:
        """Where the device takes the runtime from its system (TensorRT of a JetPack), the extra says nothing of it."""
        wanted = [r.at_least for r in target.requires if r.fact == f"runtime.{target.backend}"]
        floors = [
            found
            for package in extras()[target.extra]
            if package.startswith((*RUNTIMES, "ai-edge-litert"))
            for found in re.findall(r">=([\d.]+)", package)
        ]
        for version, floor in zip(wanted, floors, strict=False):
            assert version_key(version) == version_key(floor)

    def test_fits_no_box_that_says_nothing_of_itself(self, target: Target) -> None:
        assert refusals(target.requires, {})


@pytest.mark.parametrize(("arch", "prefix"), [("x86_64", "x86-"), ("aarch64", "arm64-")])
def test_a_plain_processor_gets_its_own_targets_and_nobody_else_s(arch: str, prefix: str) -> None:
    names = fitting({"arch": arch, **NEWEST})
    assert {f"{prefix}onnxruntime", f"{prefix}tflite"} <= names
    assert all(name.startswith(prefix) for name in names)


def test_a_runtime_that_is_too_old_is_refused() -> None:
    assert "x86-openvino" not in fitting({"arch": "x86_64", "runtime.openvino": "2022.3"})


def test_what_checks_a_target_is_its_own_backend_unless_another_is_named() -> None:
    given = load_target("x86-openvino").model_dump()
    for checked_with, backend in (("", "openvino"), ("onnxruntime", "onnxruntime"), ("none", None)):
        assert Target.model_validate(given | {"checked_with": checked_with}).checking_backend == backend


@pytest.mark.parametrize(
    "change", [{"precisions": []}, {"execution_precisions": []}, {"evaluation_pictures": 3}, {"colour": "red"}]
)
def test_a_target_that_is_not_whole_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(change))):
        Target.model_validate(load_target("x86-openvino").model_dump() | change)


def test_a_misspelt_name_gets_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown target 'x86-opnvino'.*did you mean 'x86-openvino'"):
        load_target("x86-opnvino")
