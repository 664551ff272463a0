"""Which boxes come when, which not at all and why, and what a plan says that it proves."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.rollout.planning import Candidate, Plan, plan, propose_waves
from fleet.rollout.spec import parse_waves
from fleet.rollout.statistics import failure_rate_bound
from tests.unit.fleet.rollout.specs import spec

CANDIDATES = st.lists(
    st.builds(
        Candidate,
        device=st.integers(0, 10_000).map("box-{}".format),
        hardware_class=st.sampled_from(["jetson", "rk3588", "x86"]),
        online=st.sampled_from([None, True, False]),
        misfit=st.sampled_from([None, None, None, "no TensorRT 10"]),
        runs_it_already=st.booleans(),
        in_penalty=st.booleans(),
        has_warnings=st.booleans(),
        labels=st.sampled_from([{}, {"site": "taipei"}, {"site": "tainan"}]),
        targets=st.sampled_from([(), ("cpu",), ("cpu", "jetson")]),
    ),
    max_size=60,
    unique_by=lambda one: one.device,
)
WAVES = st.sampled_from(["1,5%,25%,100%", "100%", "1,2,3,100%", "10,50%,100%", "1000,1%,100%"]).map(parse_waves)


def box(number: int, hardware_class: str = "jetson", **more: Any) -> Candidate:
    return Candidate(f"box-{number}", hardware_class, **({"online": True} | more))


def canaries(boxes: list[Candidate], waves: str = "1,100%", seed: str = "1") -> tuple[str, ...]:
    return plan(spec(waves=parse_waves(waves)), boxes, seed=seed).classes[0].waves[0].boxes


@given(CANDIDATES, WAVES, st.text(max_size=5))
def test_every_box_that_fits_is_in_one_wave_of_its_class_and_every_other_is_left_out(
    boxes: list[Candidate], waves: Any, seed: str
) -> None:
    made = plan(spec(waves=waves), boxes, seed=seed)
    planned = [(one.hardware_class, device) for one in made.classes for wave in one.waves for device in wave.boxes]
    left_out = [device for one in made.left_out for device in one.devices]
    fit = [one for one in boxes if one.misfit is None and not one.in_penalty]
    assert sorted(planned) == sorted((one.hardware_class, one.device) for one in fit)
    assert sorted(left_out) == sorted({one.device for one in boxes} - {one.device for one in fit})


@given(CANDIDATES, WAVES)
def test_waves_have_boxes_and_rise_by_what_the_spec_says(boxes: list[Candidate], waves: Any) -> None:
    for one in plan(spec(waves=waves), boxes, seed="1").classes:
        total = one.waves[-1].cumulated
        done = 0
        for wave in one.waves:
            done += len(wave.boxes)
            assert wave.boxes
            assert wave.cumulated == done == waves[wave.wave].of(total)
        assert [wave.wave for wave in one.waves] == sorted({wave.wave for wave in one.waves})


@given(CANDIDATES, WAVES, st.randoms())
def test_the_same_boxes_in_any_order_make_the_same_plan(
    boxes: list[Candidate], waves: Any, order: random.Random
) -> None:
    shuffled = boxes.copy()
    order.shuffle(shuffled)
    assert plan(spec(waves=waves), shuffled, seed="7") == plan(spec(waves=waves), boxes, seed="7")


@given(CANDIDATES)
def test_no_box_is_a_canary_while_a_better_one_is_not(boxes: list[Candidate]) -> None:
    by_id = {one.device: one for one in boxes}

    def rank(device: str) -> tuple[bool, bool, bool]:
        one = by_id[device]
        return one.runs_it_already, not one.online, one.has_warnings

    for one in plan(spec(), boxes, seed="1").classes:
        first, *later = one.waves
        worst = max(map(rank, first.boxes))
        assert all(worst <= rank(device) for wave in later for device in wave.boxes)


def test_each_class_has_its_own_canary() -> None:
    made = plan(spec(), [*(box(n) for n in range(20)), *(box(n, "rk3588") for n in range(20, 40))], seed="1")
    assert [(one.hardware_class, one.waves[0].cumulated) for one in made.classes] == [("jetson", 1), ("rk3588", 1)]


def test_another_seed_has_other_canaries() -> None:
    boxes = [box(n) for n in range(50)]
    assert len({canaries(boxes, seed=str(seed)) for seed in range(20)}) > 10


def test_canaries_are_of_different_sites() -> None:
    boxes = [box(n, labels={"site": "large" if n < 90 else f"small-{n}"}) for n in range(95)]
    by_id = {one.device: one.labels["site"] for one in boxes}
    assert len({by_id[device] for device in canaries(boxes, "6,100%")}) == 6


def test_an_online_box_of_the_same_site_goes_before_an_offline_one_of_another() -> None:
    boxes = [box(1, labels={"site": "a"}), box(2, labels={"site": "a"}), box(3, labels={"site": "b"}, online=False)]
    assert sorted(canaries(boxes, "2,100%")) == ["box-1", "box-2"]


def test_later_waves_take_what_is_online_and_does_not_run_it_yet_first() -> None:
    boxes = [
        *(box(n) for n in range(10)),
        *(box(n, online=False) for n in range(10, 20)),
        box(20, runs_it_already=True),
    ]
    waves = plan(spec(waves=parse_waves("1,10,100%")), boxes, seed="1").classes[0].waves
    assert {*waves[0].boxes, *waves[1].boxes} == {f"box-{n}" for n in range(10)}
    assert (waves[2].offline, waves[2].boxes[-1]) == (10, "box-20")


def test_each_wave_says_what_it_proves() -> None:
    wave = plan(spec(waves=parse_waves("59,100%")), [box(n) for n in range(299)], seed="1").classes[0].waves
    assert wave[0].proves == "0 failures in 59 bounds the failure rate at 4.95% with 95% confidence"
    assert wave[1].bound == pytest.approx(0.01, abs=1e-4)


def test_boxes_that_run_it_already_prove_nothing() -> None:
    boxes = [*(box(n) for n in range(5)), *(box(n, runs_it_already=True) for n in range(5, 100))]
    last = plan(spec(), boxes, seed="1").classes[0].waves[-1]
    assert (last.cumulated, last.bound) == (100, failure_rate_bound(5, 0))


def notes(*boxes: Candidate, **more: Any) -> str:
    return "\n".join(plan(spec(**more), boxes, seed="1").notes)


def test_what_fits_nothing_is_listed_with_why() -> None:
    misfits = [*(box(n, misfit="no TensorRT 10") for n in range(30)), box(31, misfit="no runtime")]
    made: Plan = plan(spec(), misfits, seed="1")
    assert made.classes == ()
    assert made.notes == ("31 boxes fit no artifact of this release (30: no TensorRT 10; 1: no runtime)",)


def test_what_failed_lately_is_listed() -> None:
    assert "1 box failed lately and is left out" in notes(box(1), box(2, in_penalty=True))


def test_a_class_that_is_too_small_to_prove_anything_is_warned_of() -> None:
    assert "jetson: too small to exclude a failure rate of 1%, which takes 299 boxes" in notes(*map(box, range(298)))
    assert "too small" not in notes(*map(box, range(299)))
    assert "in one wave" in notes(box(1))
    assert "no box of its first wave is online" in notes(box(1, online=None), box(2, online=False))


@pytest.mark.parametrize("max_failed", [0.0, 1.0])
def test_a_plan_is_made_whatever_may_fail(max_failed: float) -> None:
    assert "too small" in notes(box(1), max_failed=max_failed)


def test_coverage_says_how_many_boxes_meet_each_target() -> None:
    made = plan(spec(targets=("cpu", "npu")), [box(1, targets=("cpu",)), box(2, targets=("cpu", "gpu"))], seed="1")
    assert made.coverage == {"cpu": 2, "npu": 0}
    assert "no box meets the release's target npu" in made.notes


def test_proposed_waves_exclude_the_risk_before_all_get_it() -> None:
    found = propose_waves({"large": 10_000, "small": 40}, 0.01)
    assert ",".join(map(str, found.waves)) == "1,7,45,299,2990,100%"
    assert (found.needed, found.proven) == (299, ("large",))
    assert found.too_small["small"] == (
        "has 40 and 299 are needed to exclude 1%: 0 failures in 7 bounds the failure rate at 34.8% with 95% "
        "confidence; altogether, 0 failures in 40 bounds the failure rate at 7.22% with 95% confidence"
    )


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 200_000), max_size=4),
    st.floats(0.001, 0.9),
    st.sampled_from([0.8, 0.95, 0.99]),
)
def test_proposals_begin_with_one_grow_tenfold_at_most_and_prove_what_they_say(
    classes: dict[str, int], risk: float, confidence: float
) -> None:
    found = propose_waves(classes, risk, confidence)
    assert spec(waves=found.waves).waves == found.waves
    assert {*found.proven, *found.too_small} == set(classes)
    for boxes in classes.values():
        sizes = [wave.of(boxes) for wave in found.waves]
        assert sizes[0] == 1
        assert all(after <= 10 * before for before, after in itertools.pairwise(sizes))
    for name in found.proven:
        before = max(wave.of(classes[name]) for wave in found.waves[:-1] if wave.of(classes[name]) < classes[name])
        assert failure_rate_bound(before, 0, confidence) <= risk


def test_a_class_of_just_as_many_as_are_needed_proves_it_only_once_all_have_it() -> None:
    found = propose_waves({"one-more": 300, "just": 299}, 0.01)
    assert (found.proven, list(found.too_small)) == (("one-more",), ["just"])


@pytest.mark.parametrize("risk", [0.0, 1.0, -1.0, float("nan")])
def test_a_risk_that_is_none_is_refused(risk: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        propose_waves({"jetson": 5}, risk)
