"""Artifacts are put in the order in which a device tries them: sure before undecided, then the fastest measured.

The figures are put in by the tests; `tests/integration/test_measure.py` measures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import DeviceError
from contracts.manifest import Artifact
from contracts.measurement import Benchmark
from contracts.model_spec import ModelSpec
from converters.made import Made
from converters.report.rows import Row
from converters.speeds import measure_and_rank
from runtime.measure import MeasureJob
from tests.fakes.bundles import artifact
from tests.unit.converters.report.samples import accuracy, benchmark, row

SPEC = ModelSpec.model_validate(
    {
        "name": "tiny",
        "version": "1.0.0",
        "labels": ["vehicle"],
        "input": {"width": 64, "height": 64},
        "output": {"decoder": "density"},
    }
)
SURE, UNSURE = accuracy(), accuracy(verdict="undecided")
Figures = Mapping[tuple[str, str], float]
"""Frames a second by artifact and execution precision; what is missing cannot be measured."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path


def made(root: Path, **artifacts: dict[str, Any]) -> Made:
    """``int8={"f32": SURE}`` is an artifact of that precision, with what the gate said of each execution precision."""
    result = Made(warnings=["said before"])
    for precision, verdicts in artifacts.items():
        changes = {"evidence": "measured"} | verdicts.pop("changes", {})
        one = Artifact.model_validate(
            artifact(root, f"x86/{precision}", execution_precisions=list(verdicts), **changes)
        ).model_copy(update={"accuracy": {name: verdict for name, verdict in verdicts.items() if verdict}})
        result.artifacts.append(one)
        result.rows += [row("x86", precision, name, accuracy=verdict) for name, verdict in verdicts.items()]
    return result


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, root: Path) -> Callable[[Made, Figures], Made]:
    def measure(given: Made, figures: Figures) -> Made:
        def run(job: MeasureJob) -> Benchmark:
            key = (job.model_file.parent.name, job.execution_precision)
            if key not in figures:
                raise DeviceError("it crashed")
            return benchmark(fps=figures[key], execution_precision=job.execution_precision)

        monkeypatch.setattr("converters.speeds.run_benchmark", run)
        return measure_and_rank(given, root, SPEC, "quick", lambda _: None)

    return measure


Measured = Callable[[Made, Figures], Made]


def order(result: Made) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.precision, one.execution_precisions) for one in result.artifacts]


def by_name(result: Made) -> dict[tuple[str, str | None], Row]:
    return {(one.precision, one.execution_precision): one for one in result.rows}


def test_the_fastest_comes_first_and_so_does_its_fastest_execution_precision(root: Path, measured: Measured) -> None:
    given = made(root, fp32={"f32": SURE, "bf16": SURE}, int8={"f32": SURE})
    result = measured(given, {("fp32", "f32"): 50, ("fp32", "bf16"): 120, ("int8", "f32"): 100})
    assert order(result) == [("fp32", ("bf16", "f32")), ("int8", ("f32",))]
    assert [one.execution_precision for one in result.artifacts[0].benchmarks] == ["f32", "bf16"]
    assert result.warnings == ["said before"]


def test_undecided_ones_come_last_however_fast(root: Path, measured: Measured) -> None:
    given = made(root, int8={"f32": UNSURE}, fp32={"f32": SURE, "bf16": UNSURE})
    result = measured(given, {("int8", "f32"): 300, ("fp32", "f32"): 50, ("fp32", "bf16"): 200})
    assert order(result) == [("fp32", ("f32", "bf16")), ("int8", ("f32",))]
    rows = by_name(result)
    assert rows["fp32", "f32"].chosen, "the report names what a device would take"
    assert not rows["int8", "f32"].chosen


def test_what_could_not_be_measured_comes_after_what_was_and_says_why(root: Path, measured: Measured) -> None:
    given = made(root, int8={"f32": SURE}, fp32={"f32": SURE})
    result = measured(given, {("fp32", "f32"): 10})
    assert order(result) == [("fp32", ("f32",)), ("int8", ("f32",))]
    assert by_name(result)["int8", "f32"].reason == "not measured: it crashed"
    assert by_name(result)["int8", "f32"].benchmark is None


@pytest.mark.parametrize(
    "changes",
    [
        {"evidence": "built"},
        {"evidence": "emulated"},
        {"requires": [{"fact": "arch", "equals": "abacus"}]},
        {"requires": [{"fact": "runtime.onnxruntime", "at_least": "9999.0"}]},
    ],
    ids=str,
)
def test_what_is_not_for_this_host_is_not_timed_on_it(changes: dict[str, Any], root: Path, measured: Measured) -> None:
    given = made(root, int8={"f32": SURE, "changes": changes}, fp32={"f32": SURE})
    result = measured(given, {("int8", "f32"): 300, ("fp32", "f32"): 10})
    assert order(result)[0] == ("fp32", ("f32",))
    assert result.artifacts[1].benchmarks == ()
    assert by_name(result)["int8", "f32"].benchmark is None


def test_a_row_names_what_the_bare_runtime_would_have_taken(root: Path, measured: Measured) -> None:
    result = measured(made(root, fp32={"f32": SURE}), {("fp32", "f32"): 10})
    assert by_name(result)["fp32", "f32"].default_precision == "f32", "ONNX Runtime computes in the file's types"


def test_without_measuring_everything_stays_as_it_was_made(root: Path) -> None:
    given = made(root, fp32={"f32": UNSURE}, int8={"f32": SURE})
    assert measure_and_rank(given, root, SPEC, "none", lambda _: None) is given
