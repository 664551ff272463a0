"""How measuring counts, turns and times; the figures of real runtimes are in tests/integration/test_measure.py."""

from __future__ import annotations

import itertools
import json
import statistics
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import ArtifactError, ModelFileError
from contracts.model_spec import ModelSpec
from runtime.measure import FULL, QUICK, Effort, MeasureJob, latency, measure, repeat, road_pictures, throughput

SPEC = ModelSpec.model_validate(
    {
        "name": "tiny",
        "version": "1.0.0",
        "labels": ["vehicle"],
        "input": {"width": 64, "height": 64, "resize": "letterbox"},
        "output": {"decoder": "density"},
    }
)
SHORT = Effort(warmup_runs=3, warmup_seconds=0.0, runs=7, seconds=0.0)


def null_job(folder: Path, shape: tuple[int, ...] = (1, 1, 4, 4), **changes: object) -> MeasureJob:
    file = folder / "null.json"
    file.write_text(json.dumps({"density": {"dtype": "float32", "shape": shape}}))
    job = MeasureJob(
        model_file=file, backend="null", execution_precision="f32", spec=SPEC, input_name="image", effort=SHORT
    )
    return job.model_copy(update=changes)


@given(st.lists(st.floats(0.001, 1e4), min_size=2, max_size=300))
def test_percentiles_are_those_of_the_inclusive_method(values: list[float]) -> None:
    came = latency(values)
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    assert (came.p50, came.p90, came.p99) == pytest.approx((cuts[49], cuts[89], cuts[98]))
    assert (came.n, came.min, came.mean) == (len(values), min(values), pytest.approx(statistics.fmean(values)))


def test_one_run_is_all_of_its_percentiles() -> None:
    came = latency([3.0])
    assert (came.min, came.mean, came.p50, came.p90, came.p99, came.n) == (3, 3, 3, 3, 3, 1)


def test_repeating_takes_the_pictures_in_turn_until_the_runs_are_reached() -> None:
    assert repeat(lambda picture: picture, "abc", runs=7, seconds=0.0) == list("abcabca")


def test_repeating_goes_on_until_the_seconds_are_reached_too(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(0.0, 0.25)  # told to begin with, and before every run but the first
    monkeypatch.setattr("runtime.measure.time", SimpleNamespace(perf_counter=clock.__next__))
    assert len(repeat(lambda picture: picture, "a", runs=1, seconds=1.0)) == 4


def test_throughput_runs_every_lane_at_the_same_time_and_each_on_another_picture() -> None:
    together = threading.Barrier(3, timeout=20)  # passes only if all three are inside at once
    seen: dict[int, list[int]] = {}

    def lane(number: int) -> Callable[[int], None]:
        def run(picture: int) -> None:
            together.wait()
            seen.setdefault(number, []).append(picture)

        return run

    fps = throughput([lane(0), lane(1), lane(2)], [10, 20, 30], least=6, seconds=0.0)
    assert seen == {0: [10, 20], 1: [20, 30], 2: [30, 10]}
    assert fps > 0


def test_throughput_raises_what_a_lane_raises() -> None:
    def broken(_: int) -> None:
        raise ArtifactError("no")

    with pytest.raises(ArtifactError, match="no"):
        throughput([broken, lambda _: None], [1], least=2, seconds=0.0)


@pytest.mark.parametrize(
    ("effort", "quick"),
    [
        (FULL, False),
        (QUICK, True),
        (Effort(runs=199), True),
        (Effort(seconds=9.9), True),
        (Effort(warmup_runs=0), True),
    ],
)
def test_anything_less_than_the_rule_is_called_quick(effort: Effort, quick: bool) -> None:
    assert effort.quick == quick


def test_every_run_of_every_stage_is_accounted_for(tmp_path: Path) -> None:
    came = measure(null_job(tmp_path, lanes=2))
    assert {stage: value.n for stage, value in came.stages.items()} == dict.fromkeys(
        ("preprocess", "infer", "postprocess", "total"), 7
    )
    assert (came.warmup, came.lanes, came.threads, came.quick) == (3, 2, 1, True)
    parts = sum(came.stages[stage].mean for stage in ("preprocess", "infer", "postprocess"))
    assert came.stages["total"].mean == pytest.approx(parts)
    assert came.fps > 0
    assert came.peak_mb > came.model_mb >= 0
    assert came.environment.runtime == "null"


def test_outputs_that_the_decoder_does_not_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError):
        measure(null_job(tmp_path, shape=(1, 2, 4, 4)))


def test_a_file_that_the_backend_refuses_is_an_error_and_no_figure(tmp_path: Path) -> None:
    job = null_job(tmp_path)
    job.model_file.write_text("[]")
    with pytest.raises(ModelFileError):
        measure(job)


def test_the_pictures_differ_and_are_the_same_every_time() -> None:
    first = [picture.to_ndarray() for picture in road_pictures()]
    again = [picture.to_ndarray() for picture in road_pictures()]
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    assert len({picture.tobytes() for picture in first}) == len(first) > 1
    assert {(p.width, p.height, p.format.name) for p in road_pictures()} == {(1920, 1080, "yuv420p")}
