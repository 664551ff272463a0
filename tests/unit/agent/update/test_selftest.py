"""How fast a model has to be, and when it is too slow for sure."""

from __future__ import annotations

from typing import Any

import pytest

from agent.tuning.rules import Figures
from agent.tuning.setting import Setting
from agent.update.selftest import needed_fps, too_slow
from agent.update.selftest_child import SelfTestResult
from contracts.config import CameraConfig


def camera(name: str, **changes: Any) -> CameraConfig:
    return CameraConfig(id=name, source="synthetic", **changes)


def result(fps: float, *, on_processor: bool = True) -> SelfTestResult:
    setting = Setting(artifact="any/fp32", digest="0" * 64, execution_precision="f32", lanes=2, threads=1)
    figures = Figures(fps=fps, latency_ms=10.0, cpu_ms=10.0)
    return SelfTestResult(setting=setting, on_processor=on_processor, samples=3, figures=figures, peak_mb=100.0)


@pytest.mark.parametrize(
    ("cameras", "coming", "needed"),
    [
        ([camera("a", fps=10.0), camera("b", fps=20.0)], {}, 30.0),
        ([camera("a", fps=30.0)], {"a": 15.0}, 15.0),
        ([camera("a", fps=10.0)], {"a": 10.4}, 10.0),
        ([camera("a", fps=10.0)], {"a": 0.0}, 10.0),
        ([camera("a")], {"a": 25.0}, 25.0),
        ([camera("a"), camera("b", fps=5.0)], {}, 5.0),
        ([camera("a")], {}, None),
        ([], {}, None),
    ],
)
def test_what_comes_and_is_counted_has_to_be_kept_up_with(
    cameras: list[CameraConfig], coming: dict[str, float], needed: float | None
) -> None:
    assert needed_fps(cameras, coming) == needed


@pytest.mark.parametrize(
    ("fps", "on_processor", "fits"),
    [(26.0, True, True), (24.0, True, False), (13.0, False, True), (12.0, False, False)],
)
def test_a_model_is_too_slow_only_beyond_what_the_measurement_may_be_off(
    fps: float, on_processor: bool, fits: bool
) -> None:
    assert (too_slow(result(fps, on_processor=on_processor), 30.0) is None) == fits


def test_where_nobody_knows_what_is_needed_nothing_is_too_slow() -> None:
    assert too_slow(result(0.1), None) is None


def test_the_numbers_are_told() -> None:
    told = too_slow(result(10.0), 30.0)
    assert told is not None
    for part in ("give 30.0 frames", "count 10.0 here", "200.0 ms a frame", "any/fp32 in f32 with 2 lanes of 1 thread"):
        assert part in told
