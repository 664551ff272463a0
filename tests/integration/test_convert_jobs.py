"""``--jobs 2`` gives what ``--jobs 1`` gives, and a process that is killed ends in a row of the report."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.errors import ModelFileError
from converters import build as building
from converters.build import build
from converters.made import Made
from converters.make_target import Task, make_target
from converters.report.write import read_report
from converters.request import Request
from runtime.bundle import Bundle
from tests.unit.converters.networks import write_model_dir

FIRST, SECOND = "x86-onnxruntime", "x86-openvino"
_FIFO = "EDGETALLY_TEST_FIFO"
_DOOMED = "EDGETALLY_TEST_DOOMED"


@pytest.fixture
def request_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Request:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    model = write_model_dir(tmp_path / "model")
    return Request(model, tmp_path / "out.bundle", (FIRST, SECOND), pictures=8, measuring="none", rounds=0, jobs=2)


def test_two_at_once_give_what_one_after_the_other_gives(request_of: Request, tmp_path: Path) -> None:
    two = build(request_of)
    one = build(replace(request_of, out=tmp_path / "one.bundle", jobs=1))
    assert two.manifest.artifacts == one.manifest.artifacts
    assert {artifact.target for artifact in two.manifest.artifacts} == {FIRST, SECOND}
    assert two.manifest.warnings == one.manifest.warnings
    assert read_report(two).rows == read_report(one).rows
    assert files_of(two) == files_of(one)


def files_of(bundle: Bundle) -> dict[str, bytes]:
    artifacts = bundle.path / "artifacts"
    return {str(file.relative_to(artifacts)): file.read_bytes() for file in artifacts.rglob("*") if file.is_file()}


def killed_or_made(task: Task) -> Made:
    """What a process of the pool does in place of `make_target`: the doomed die amid their work."""
    if task.target.name not in os.environ[_DOOMED].split(","):
        return make_target(task)
    half = task.root / "artifacts" / task.target.name / "fp32" / "half.onnx"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half of it")
    with Path(os.environ[_FIFO]).open("rb"):  # opens when the other target is finished
        os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("it was killed")


@pytest.fixture
def fifo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    os.mkfifo(tmp_path / "fifo")
    monkeypatch.setenv(_FIFO, str(tmp_path / "fifo"))
    monkeypatch.setattr(building, "make_target", killed_or_made)
    return tmp_path / "fifo"


def test_a_process_that_is_killed_costs_its_target_a_row_and_no_other(
    request_of: Request, fifo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(_DOOMED, SECOND)

    def follow(what: str, _done: int, _total: int) -> None:
        if what == f"made {FIRST}":
            fifo.open("wb").close()

    bundle = build(request_of, follow)
    rows = [row for row in read_report(bundle).rows if row.target == SECOND]
    assert {row.status for row in rows} == {"failed"}
    assert {row.precision for row in rows} == {"int8", "fp32", "fp16"}
    assert all("was ended from outside (out of memory?); build again with --jobs 1" in row.reason for row in rows)
    assert {artifact.target for artifact in bundle.manifest.artifacts} == {FIRST}
    assert not list(bundle.path.rglob("half.onnx"))


def test_where_all_are_killed_the_build_ends_with_the_reason(
    request_of: Request, fifo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(_DOOMED, f"{FIRST},{SECOND}")
    writer = os.open(fifo, os.O_RDWR)  # open at once
    try:
        with pytest.raises(ModelFileError, match=r"no artifact could be made; .* was ended from outside"):
            build(request_of)
    finally:
        os.close(writer)
    assert [path.name for path in request_of.out.parent.iterdir() if path.name.startswith(".out")] == []
