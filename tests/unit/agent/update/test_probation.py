"""A model is kept for what it shows: never without frames, and never blamed for what was no better before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.update.continuity import Past, Piece
from agent.update.probation import (
    Before,
    CameraBefore,
    CameraEvidence,
    Evidence,
    Failing,
    NotYet,
    Passed,
    Verdict,
    judge,
)
from contracts.health import Temperature
from contracts.messages import Quality
from contracts.update_config import ProbationConfig

CONFIG = ProbationConfig(seconds=100.0, frames=100)
STEP = 5.0
AT = 1000.0


def before(**changes: Any) -> Before:
    known: dict[str, Any] = {"rss_mb": 500.0, "celsius": {"cpu": 70.0}, "connected": True}
    return Before(AT, **{"cameras": {"gate": CameraBefore(10.0)}} | known | changes)


def look(seconds: float, fps: float = 10.0, **changes: Any) -> CameraEvidence:
    """A camera that was counted steadily for so long."""
    frames = int(seconds * fps)
    return replace(CameraEvidence(frames, frames, 0, "ok"), **changes)


def looks(
    camera: Callable[[float], CameraEvidence] = look, seconds: float = 100.0, name: str = "gate", **box: Any
) -> list[Evidence]:
    known: dict[str, Any] = {"rss_mb": 510.0, "temperatures": {"cpu": Temperature(celsius=71.0, hot=85.0)}}
    return [
        Evidence(AT + n * STEP, {name: camera(n * STEP)}, **known | {"acknowledged": n} | box)
        for n in range(1, int(seconds / STEP) + 1)
    ]


def verdict(samples: Sequence[Evidence], past: Before | None = None, **config: Any) -> Verdict:
    return judge(past or before(), samples, CONFIG.model_copy(update=config), samples[-1].at if samples else AT)


def code(samples: Sequence[Evidence], past: Before | None = None, **config: Any) -> str:
    return verdict(samples, past, **config).code


def test_a_model_that_does_as_well_as_before_is_kept_and_says_what_it_showed() -> None:
    found = verdict(looks())
    assert isinstance(found, Passed)
    assert (found.code, found.text) == ("committed", "1000 frames of gate were counted in 100 s")


def test_before_its_time_is_over_nothing_is_kept() -> None:
    found = verdict(looks(seconds=50.0))
    assert found == NotYet("50 of 100 s", 0.5, "held_too_long")


class TestErrors:
    """The model fails on frames."""

    @staticmethod
    def failing(share: float) -> Callable[[float], CameraEvidence]:
        def camera(seconds: float) -> CameraEvidence:
            came = int(seconds * 10)
            return CameraEvidence(came, came - int(came * share), int(came * share), "ok")

        return camera

    def test_one_that_fails_on_every_frame_goes_at_once(self) -> None:
        found = verdict(looks(self.failing(1.0), seconds=10.0))
        assert isinstance(found, Failing)
        assert (found.code, "100 of 100 frames" in found.reason) == ("errors", True)

    @pytest.mark.parametrize(("share", "ends"), [(0.005, "committed"), (0.01, "committed"), (0.1, "errors")])
    def test_a_share_beyond_what_is_allowed_is_not_kept(self, share: float, ends: str) -> None:
        assert code(looks(self.failing(share)), min_fps_share=0.5) == ends

    def test_a_share_that_was_there_before_is_not_its_fault(self) -> None:
        past = before(cameras={"gate": CameraBefore(9.0, errors=0.1)})
        assert code(looks(self.failing(0.1)), past) == "committed"

    def test_a_frame_or_two_may_fail_while_models_change(self) -> None:
        assert code(looks(lambda s: look(s, errors=2), seconds=5.0)) == "no_frames"
        assert code(looks(lambda s: look(s, errors=2))) == "committed"


class TestFrames:
    """Frames that come have to be counted."""

    def test_where_none_is_counted_it_is_taken_back(self) -> None:
        hangs = looks(lambda s: look(s, counted=0, quality="stale"), seconds=60.0)
        found = verdict(hangs)
        assert isinstance(found, Failing)
        assert (found.code, "600 frames came in 60 s and none was counted" in found.reason) == ("no_frames", True)
        assert code(hangs[:5]) == "no_frames"
        assert isinstance(verdict(hangs[:5]), NotYet)

    @pytest.mark.parametrize("quality", ["no_camera", "obscured", "stale"])
    def test_a_box_that_sees_nothing_waits_and_fails_nobody(self, quality: Quality) -> None:
        dark = looks(lambda _: CameraEvidence(0, 0, 0, quality), seconds=10_000.0)
        assert verdict(dark) == NotYet("no camera gives frames that can be counted", 0.0, "no_frames")

    def test_a_camera_that_went_dark_holds_up_no_other(self) -> None:
        samples = looks()
        both = [replace(one, cameras={**one.cameras, "yard": CameraEvidence(40, 40, 0, "obscured")}) for one in samples]
        past = before(cameras={"gate": CameraBefore(10.0), "yard": CameraBefore(10.0)})
        found = verdict(both, past)
        assert isinstance(found, Passed)
        assert found.text.endswith("; yard gave too few to tell")

    def test_a_slow_camera_is_waited_for(self) -> None:
        past = before(cameras={"gate": CameraBefore(0.5)})
        found = verdict(looks(lambda s: look(s, 0.5)), past)
        assert found == NotYet("50 of 100 frames of camera gate were counted", 0.5, "no_frames")
        assert code(looks(lambda s: look(s, 0.5), seconds=200.0), past) == "committed"

    def test_one_that_gave_none_before_does_not_count_against_it(self) -> None:
        past = before(cameras={"gate": CameraBefore(10.0), "yard": CameraBefore(0.0)})
        broken = CameraEvidence(1000, 0, 1000, "model_error")
        samples = [replace(one, cameras={**one.cameras, "yard": broken}) for one in looks()]
        assert code(samples, past) == "committed"

    def test_where_none_gave_any_before_one_that_gives_some_now_is_enough(self) -> None:
        past = before(cameras={"gate": CameraBefore(0.0), "yard": CameraBefore(0.0)})
        assert code(looks(), past) == "committed"
        assert code(looks(lambda s: look(s, 0.5)), past) == "no_frames"


class TestRate:
    """As many frames as before have to be counted."""

    def test_a_slower_model_is_taken_back_with_the_numbers(self) -> None:
        found = verdict(looks(lambda s: look(s, counted=int(s * 5))))
        assert isinstance(found, Failing)
        assert found.code == "fps_low"
        assert "500 frames were counted where 1000 were before it (50%" in found.reason

    def test_a_camera_that_gives_fewer_is_not_its_fault(self) -> None:
        assert code(looks(lambda s: look(s, 4.0))) == "committed"

    def test_the_dark_half_of_the_time_is_not_asked_for(self) -> None:
        past = before(cameras={"gate": CameraBefore(10.0)})
        half = looks(lambda s: CameraEvidence(int(min(s, 50) * 30), int(min(s, 50) * 10), 0, "ok"))
        assert code(half, past) == "committed"


class TestMemoryAndHeat:
    """The box has to bear it."""

    def test_memory_that_stays_above_the_limit(self) -> None:
        assert code(looks(rss_mb=1001.0, seconds=15.0)) == "memory"
        assert code(looks(rss_mb=1000.0)) == "committed"
        assert code(looks(rss_mb=None)) == "committed"

    def test_memory_of_the_moment_in_which_both_are_loaded_is_not_held_against_it(self) -> None:
        samples = [replace(one, rss_mb=2000.0) if n < 2 else one for n, one in enumerate(looks())]
        assert [code(samples[:n]) for n in (1, 2, 3, 20)] == [
            "no_frames",
            "held_too_long",
            "held_too_long",
            "committed",
        ]

    @pytest.mark.parametrize(
        ("was", "now", "limit", "ends"),
        [
            (70.0, 86.0, None, "temperature"),
            (70.0, 84.0, None, "committed"),
            (70.0, 84.0, 80.0, "temperature"),
            (84.0, 86.0, None, "committed"),  # no hotter than before, but for noise
            (95.0, 96.0, None, "committed"),
        ],
    )
    def test_it_is_taken_back_where_the_box_is_hotter_than_before_and_too_hot(
        self, was: float, now: float, limit: float | None, ends: str
    ) -> None:
        hot = looks(temperatures={"cpu": Temperature(celsius=now, hot=85.0)})
        assert code(hot, before(celsius={"cpu": was}), max_celsius=limit) == ends

    def test_a_sensor_that_sheds_nothing_has_no_limit(self) -> None:
        assert code(looks(temperatures={"cpu": Temperature(celsius=110.0, hot=None)})) == "committed"


class TestBroker:
    """Somebody has to have heard of it, where anybody could."""

    def test_a_box_that_had_a_broker_waits_for_its_answer(self) -> None:
        found = verdict(looks(acknowledged=0))
        assert isinstance(found, NotYet)
        assert found.code == "no_broker"

    def test_one_that_had_none_is_kept_and_says_so(self) -> None:
        found = verdict(looks(acknowledged=0), before(connected=False))
        assert isinstance(found, Passed)
        assert (found.code, found.offline) == ("committed_offline", True)
        assert "kept without a broker" in found.text

    def test_unless_it_has_to_have_one(self) -> None:
        assert code(looks(acknowledged=0), before(connected=False), offline=False) == "no_broker"

    def test_one_that_found_a_broker_meanwhile_is_not_offline(self) -> None:
        assert code(looks(), before(connected=False)) == "committed"


def test_one_that_counts_nothing_where_much_was_counted_is_taken_back() -> None:
    past = Past(tuple(Piece(float(n * 7 % 9), 10.0) for n in range(60)), crossings=True)

    def blind(seconds: float) -> CameraEvidence:
        return look(seconds, amount=Piece(0.0, seconds))

    def sees(seconds: float) -> CameraEvidence:
        return look(seconds, amount=Piece(0.4 * seconds, seconds))

    with_past = before(cameras={"gate": CameraBefore(10.0, past=past)})
    config = {"seconds": 600.0}
    found = verdict(looks(blind, seconds=600.0), with_past, **config)
    assert isinstance(found, Failing)
    assert (found.code, "camera gate counted 0 crossings" in found.reason) == ("counts_differ", True)
    assert code(looks(sees, seconds=600.0), with_past, **config) == "committed"
    assert code(looks(blind, seconds=590.0), with_past, **config) == "held_too_long"


QUALITIES: st.SearchStrategy[Quality] = st.sampled_from(["ok", "stale", "obscured", "no_camera", "model_error"])
NAMES = ("gate", "yard", "roof")


@st.composite
def histories(draw: st.DrawFn, most_counted: int = 3000) -> list[Evidence]:
    """Any looks at a box: frames only rise, everything else is anything."""
    sums = dict.fromkeys(NAMES, (0, 0, 0))
    samples = []
    for n in range(1, draw(st.integers(1, 12))):
        for name in NAMES:
            came, counted, failed = sums[name]
            more, errors = draw(st.integers(0, most_counted - counted)), draw(st.integers(0, 50))
            sums[name] = (came + more + errors + draw(st.integers(0, 50)), counted + more, failed + errors)
        cameras = {name: CameraEvidence(*of, draw(QUALITIES)) for name, of in sums.items()}
        celsius = {"cpu": Temperature(celsius=draw(st.floats(20, 110)), hot=85.0)}
        samples.append(Evidence(AT + n * 20.0, cameras, draw(st.floats(100, 3000)), celsius, draw(st.integers(0, 3))))
    return samples


BEFORES = st.builds(
    lambda fps, connected: before(
        cameras={name: CameraBefore(one) for name, one in zip(NAMES, fps, strict=True)}, connected=connected
    ),
    st.lists(st.sampled_from([0.0, 0.1, 10.0, 30.0]), min_size=3, max_size=3),
    st.booleans(),
)


@given(BEFORES, histories(most_counted=99))
def test_nothing_is_ever_kept_without_enough_frames(past: Before, samples: list[Evidence]) -> None:
    assert not isinstance(judge(past, samples, CONFIG, AT + 1e6), Passed)


@given(BEFORES, histories())
def test_what_is_kept_counted_enough_and_was_heard_or_could_not_be(past: Before, samples: list[Evidence]) -> None:
    found = judge(past, samples, CONFIG, AT + 240.0)
    if isinstance(found, Passed):
        last = samples[-1]
        assert any(seen.counted >= CONFIG.frames for seen in last.cameras.values())
        assert last.acknowledged or not past.connected
        assert found.offline == (last.acknowledged == 0)
    if isinstance(found, NotYet):
        assert 0 <= found.fraction <= 1


@given(
    st.lists(st.sampled_from([0.0, 5.0, 30.0]), min_size=3, max_size=3),
    st.lists(st.floats(0, 0.3), min_size=3, max_size=3),
    st.floats(40, 100),
    st.booleans(),
    st.data(),
)
def test_a_box_that_does_as_before_never_fails_gets_on_and_is_kept(
    fps: list[float], errors: list[float], celsius: float, connected: bool, data: st.DataObject
) -> None:
    cameras = {
        name: CameraBefore(rate * (1 - share), share) for name, rate, share in zip(NAMES, fps, errors, strict=True)
    }
    past = before(cameras=cameras, connected=connected, celsius={"cpu": celsius})
    samples, fractions = [], [0.0]
    for n in range(1, 41):
        seconds = n * STEP
        seen = {}
        for name, rate, share in zip(NAMES, fps, errors, strict=True):
            came = int(seconds * rate)
            failed = int(came * share)
            seen[name] = CameraEvidence(came, came - failed, failed, "ok" if rate else "no_camera")
        heat = {"cpu": Temperature(celsius=celsius + data.draw(st.floats(-2, 2)), hot=85.0)} if n % 20 == 0 else {}
        samples.append(Evidence(AT + seconds, seen, 500.0, heat, n if connected else 0))
        found = judge(past, samples, CONFIG, AT + seconds)
        assert not isinstance(found, Failing), found
        if isinstance(found, NotYet):
            fractions.append(found.fraction)
        elif n > 21:
            break
    assert fractions == sorted(fractions)
    if any(fps):
        assert isinstance(found, Passed)


@given(BEFORES, histories())
def test_an_answer_of_the_broker_never_makes_things_worse(past: Before, samples: list[Evidence]) -> None:
    heard = [replace(one, acknowledged=5) for one in samples]
    now = AT + 240.0
    rank = {Failing: 0, NotYet: 1, Passed: 2}
    assert rank[type(judge(past, heard, CONFIG, now))] >= rank[type(judge(past, samples, CONFIG, now))]
