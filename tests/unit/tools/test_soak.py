"""Growth is seen where there is growth, and not where there is only noise."""

from __future__ import annotations

import numpy as np
import pytest

from tools.soak.__main__ import Soaked, growth_of, problems_of
from tools.soak.sample import Sample
from tools.soak.slope import second_half_slope


def samples(mb_an_hour: float, files: int = 0, noise: float = 0.05) -> list[Sample]:
    """Two hours at 1000 frames and one window a second, after a start that takes memory."""
    random = np.random.default_rng(1)
    return [
        Sample(
            at=float(second),
            rss_mb=100 + min(second, 1000) / 100 + mb_an_hour * second / 3600 + random.normal(0, noise),
            files=10 + files * (second > 4000),
            threads=8,
            frames=1000 * second,
            windows=second,
            reconnects=0,
            steady_frames=0,
            crossed=(0, 0),
        )
        for second in range(0, 7200, 10)
    ]


@pytest.mark.parametrize("true", [0.0, 3.0, -2.0])
def test_the_slope_is_of_the_second_half_only(true: float) -> None:
    soaked = samples(true)
    slope = second_half_slope([one.at / 3600 for one in soaked], [one.rss_mb for one in soaked])
    assert slope.slope == pytest.approx(true, abs=0.1)
    assert 0.01 < slope.high - slope.low < 0.2


def test_samples_that_follow_on_do_not_make_the_interval_too_narrow() -> None:
    """Of memory that only wanders, nineteen of twenty intervals should hold zero; single samples' would hold few."""
    held = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        wander = np.zeros(2000)
        for step in range(1, len(wander)):
            wander[step] = 0.9 * wander[step - 1] + random.normal()
        slope = second_half_slope(range(len(wander)), wander.tolist())
        held += slope.low <= 0 <= slope.high
    assert held >= 85


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="soak for longer"):
        second_half_slope(range(30), [1.0] * 30)


def test_a_leak_by_frames_is_told_for_a_box_and_a_steady_agent_has_no_problem() -> None:
    steady, leaking = samples(0.0), samples(30.0)
    assert list(problems_of(Soaked(steady, 0), growth_of(steady))) == []
    # 30 MB for 3.6 million frames; a box of four cameras at 30 fps has 0.432 million an hour.
    by_frames, by_windows = growth_of(leaking).box
    assert by_frames.slope == pytest.approx(3.6, abs=0.1)
    assert by_windows.slope == pytest.approx(12.0, abs=0.3)
    assert any("memory grows" in problem for problem in problems_of(Soaked(leaking, 0), growth_of(leaking)))


def test_files_that_stay_open_and_a_wrong_count_are_told() -> None:
    soaked = samples(0.0, files=3)
    soaked[-1] = soaked[-1].model_copy(update={"crossed": (1, 0)})
    problems = list(problems_of(Soaked(soaked, 0), growth_of(soaked)))
    assert [problem.split(":")[0].split(" (")[0] for problem in problems] == [
        "open files grew",
        "crossings in and out should be",
    ]
