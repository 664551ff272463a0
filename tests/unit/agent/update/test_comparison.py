"""Two models are told apart by what they see, where enough was there to be seen; three against two decides nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.update.comparison import THINGS, Alike, Seen, ShadowJudge, Undecided
from agent.update.errors import UpdateError
from contracts.update_config import ShadowConfig

CONFIG = ShadowConfig(seconds=100.0, frames=60)
LATER = 1000.0


def cars(number: float, **more: float) -> Seen:
    return Seen(amounts={"car": float(number), **more})


def after(pairs: list[tuple[Seen, Seen]], camera: str = "gate", judge: ShadowJudge | None = None) -> ShadowJudge:
    judge = judge or ShadowJudge(CONFIG, 0.0)
    for old, new in pairs:
        judge.take(camera, old, new)
    return judge


def road(seed: int, frames: int, *, share: float = 1.0, flicker: float = 0.1) -> list[tuple[Seen, Seen]]:
    """Things stay for some ten frames; each model misses some now and then, the new one sees a share of them."""
    draw, pairs = np.random.default_rng(seed), []
    things: list[bool] = []
    for _ in range(frames):
        things = [one for one in things if draw.random() > 0.1] + [
            bool(draw.random() < share) for _ in range(draw.poisson(0.3))
        ]
        old = sum(draw.random() > flicker for _ in things)
        new = sum(draw.random() > flicker for one in things if one)
        pairs.append((cars(old), cars(new)))
    return pairs


def decided(judge: ShadowJudge) -> str:
    try:
        found = judge.decide(LATER)
    except UpdateError as error:
        return error.code
    return "alike" if isinstance(found, Alike) else "undecided"


def test_the_same_eyes_pass_with_the_numbers() -> None:
    found = after([(cars(n % 4), cars(n % 4)) for n in range(100)]).decide(LATER)
    assert found == Alike("over 100 frames: gate 150 against 150 (+0%)")


def test_before_both_time_and_frames_are_there_nothing_is_decided() -> None:
    judge = after(road(1, 30, share=0.0))
    assert judge.decide(LATER) == Undecided("30 of 60 frames, 1000 of 100 s beside the old", 0.5)
    found = after(road(1, 70), judge=judge).decide(25.0)
    assert found == Undecided("100 of 60 frames, 25 of 100 s beside the old", 0.25)


def test_three_against_two_parked_cars_decide_nothing_however_long_they_stand() -> None:
    found = after([(cars(3), cars(2))] * 5000).decide(LATER)
    assert isinstance(found, Undecided)
    assert "differ by -33% (1.5e+04, 1e+04), but too few different things were seen" in found.text


@pytest.mark.parametrize("seed", range(20))
def test_models_that_miss_different_things_now_and_then_are_not_told_apart(seed: int) -> None:
    assert decided(after(road(seed, 600))) != "counts_differ"


@pytest.mark.parametrize(("share", "frames"), [(0.3, 3000), (0.0, 900)])
def test_one_that_misses_most_is_refused_once_enough_was_seen(share: float, frames: int) -> None:
    found = [decided(after(road(seed, frames, share=share))) for seed in range(10)]
    assert found == ["counts_differ"] * 10


def test_one_that_sees_what_is_not_there_is_refused() -> None:
    draw = np.random.default_rng(3)
    pairs = [(cars(0), cars(draw.poisson(1.0))) for _ in range(300)]
    assert decided(after(pairs)) == "counts_differ"
    assert decided(after([(cars(0), cars(n == 7)) for n in range(300)])) == "undecided"


def test_an_empty_road_passes_and_says_that_nothing_was_there() -> None:
    found = after([(cars(0), cars(0))] * 60).decide(LATER)
    assert isinstance(found, Alike)
    assert found.text.endswith("; nothing was there to be seen")


def test_a_camera_that_is_far_off_is_not_hidden_by_the_others() -> None:
    judge = after(road(1, 3000, share=0.2), "yard")
    for seed in range(2, 12):
        after(road(seed, 3000), f"gate{seed}", judge)
    with pytest.raises(UpdateError, match=r"yard \d+ against") as caught:
        judge.decide(LATER)
    assert "gate" not in caught.value.reason


def test_a_label_that_is_taken_for_another_is_found_though_the_sum_is_the_same() -> None:
    draw = np.random.default_rng(4)
    numbers = draw.poisson(2.0, (600, 2)).tolist()
    pairs = [(cars(car, van=van), cars(0, van=van + car)) for car, van in numbers]
    with pytest.raises(UpdateError, match="gate, car 0 against"):
        after(pairs).decide(LATER)


def test_labels_that_only_one_knows_are_left_out() -> None:
    draw = np.random.default_rng(5).poisson(2.0, 100).tolist()
    assert decided(after([(cars(n), cars(n, person=9.0)) for n in draw])) == "alike"


def test_a_density_map_is_held_against_the_sum_of_all_labels() -> None:
    draw = np.random.default_rng(6).poisson(2.0, 100).tolist()
    assert decided(after([(cars(n, van=1.0), Seen({THINGS: n + 1.0})) for n in draw])) == "alike"


def test_models_with_nothing_in_common_cannot_be_compared() -> None:
    for new in (Seen({"person": 1.0}), Seen(answers={"state": "open"})):
        with pytest.raises(UpdateError) as caught:
            after([(cars(1), new)])
        assert caught.value.code == "cannot_count"


def answers(said: str) -> Seen:
    return Seen(answers={"state": said})


def test_of_a_classifier_the_share_of_equal_answers_decides() -> None:
    draw = np.random.default_rng(7)
    mostly = [(answers("open"), answers("open" if draw.random() < 0.9 else "closed")) for _ in range(300)]
    seldom = [(answers("open"), answers("open" if draw.random() < 0.3 else "closed")) for _ in range(300)]
    assert [decided(after(pairs)) for pairs in (mostly, seldom)] == ["alike", "counts_differ"]


def test_what_it_would_take_is_told_and_is_about_enough() -> None:
    pairs = road(11, 60, share=0.4)
    found = after(pairs).decide(LATER)
    assert isinstance(found, Undecided)
    assert "frames more" in found.text


def test_failures_refuse_it_once_they_are_many() -> None:
    judge = after(road(1, 100))
    for _ in range(9):
        judge.fail("no memory")
    assert decided(judge) != "cannot_count"
    for _ in range(10):
        judge.fail("no memory")
    with pytest.raises(UpdateError, match="failed on 19 of 119 frames of the cameras: no memory"):
        judge.decide(LATER)


AMOUNTS = st.integers(0, 6)


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS), min_size=1, max_size=120), st.integers(1, 5))
def test_whatever_comes_it_decides_the_same_way_for_everybody(pairs: list[tuple[int, int]], times: int) -> None:
    judge = after([(cars(old), cars(new)) for old, new in pairs] * times)
    if len(pairs) * times < CONFIG.frames:
        assert decided(judge) == "undecided"
    old, new = (sum(side) * times for side in zip(*pairs, strict=True))
    within = abs(new - old) <= CONFIG.max_difference * old
    if decided(judge) == "alike":  # of less than one thing, which may be in every frame, no share is taken
        assert abs(new - old) <= CONFIG.max_difference * max(old, len(pairs) * times)
    if within and len(pairs) * times >= CONFIG.frames:
        assert decided(judge) == "alike"
