"""What is tried fills the cores, stays small, and never leaves what was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.tuning.setting import Setting, how_many, lanes_to_try, respects, usual_lanes
from contracts.config import RuntimeConfig
from contracts.manifest import Artifact
from runtime.bundle import open_bundle
from tests.fakes.bundles import artifact, make_bundle

cores = st.integers(1, 256)
numbers = st.none() | st.integers(1, 64)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    root: Path = tmp_path_factory.mktemp("s") / "b"
    rows = [
        artifact(root, "cpu/fp32"),
        artifact(root, "gpu/fp16", backend="openvino", options={"device": "GPU"}),
        artifact(root, "jetson/fp16", backend="tensorrt"),
    ]
    return {one.target: one for one in open_bundle(make_bundle(root, rows)).manifest.artifacts}


@settings(deadline=None)
@given(cores, numbers, numbers)
def test_pairs_are_few_differ_and_keep_what_is_wanted(
    made: dict[str, Artifact], count: int, lanes: int | None, threads: int | None
) -> None:
    wanted = RuntimeConfig(lanes=lanes, threads=threads)
    for one in made.values():
        pairs = lanes_to_try(one, wanted, count)
        assert pairs[0] == usual_lanes(wanted, count)
        assert len(pairs) == len(set(pairs)) <= 20
        for pair in pairs:
            assert 1 <= pair[0] <= 64
            assert pair[1] >= 1
            setting = Setting(artifact="a", digest="0" * 64, execution_precision="f32", lanes=pair[0], threads=pair[1])
            assert respects(setting, wanted)


@pytest.mark.parametrize(
    ("count", "pairs"),
    [
        (1, {(1, 1), (2, 1)}),
        (2, {(2, 1), (1, 2), (1, 1), (3, 1)}),
        (4, {(4, 1), (2, 2), (1, 4), (2, 1), (1, 1), (5, 1)}),
        (6, {(6, 1), (1, 6), (2, 3), (4, 1), (1, 1), (2, 1), (7, 1)}),
    ],
)
def test_on_a_processor_lanes_and_threads_fill_the_cores(
    made: dict[str, Artifact], count: int, pairs: set[tuple[int, int]]
) -> None:
    assert set(lanes_to_try(made["cpu"], RuntimeConfig(), count)) == pairs


@pytest.mark.parametrize("target", ["gpu", "jetson"])
def test_an_accelerator_is_tried_with_a_few_lanes(made: dict[str, Artifact], target: str) -> None:
    assert set(lanes_to_try(made[target], RuntimeConfig(), 8)) == {(8, 1), (1, 1), (2, 1), (4, 1)}


def test_who_measured_nothing_has_a_lane_a_core() -> None:
    assert usual_lanes(RuntimeConfig(), 6) == (6, 1)
    assert usual_lanes(RuntimeConfig(threads=4), 6) == (1, 4)
    assert usual_lanes(RuntimeConfig(lanes=2), 6) == (2, 1)
    assert usual_lanes(RuntimeConfig(), 200) == (64, 1)


@pytest.mark.parametrize(
    "wanted",
    [{"artifact": "b"}, {"execution_precision": "bf16"}, {"lanes": 1}, {"threads": 2}],
)
def test_another_than_what_was_asked_for_does_not_respect_it(wanted: dict[str, object]) -> None:
    setting = Setting(artifact="a", digest="0" * 64, execution_precision="f32", lanes=2, threads=1)
    assert respects(setting, RuntimeConfig())
    assert not respects(setting, RuntimeConfig.model_validate(wanted))


def test_it_reads_as_a_person_would_say_it() -> None:
    assert how_many(1, 2) == "1 lane of 2 threads"
    assert how_many(2, 1) == "2 lanes of 1 thread"
