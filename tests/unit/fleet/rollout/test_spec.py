"""What can be asked of a rollout, and what cannot."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fleet.rollout.amounts import AmountError, parse_duration, parse_share, show_duration, show_share
from fleet.rollout.spec import RolloutSpec, Wave, parse_waves
from tests.unit.fleet.rollout.specs import spec

WAVES = st.builds(
    lambda boxes, shares: (*(Wave(boxes=n) for n in boxes), *(Wave(share=p / 1000) for p in shares), Wave(share=1.0)),
    st.lists(st.integers(1, 9999), max_size=4, unique=True).map(sorted),
    st.lists(st.integers(1, 999), max_size=4, unique=True).map(sorted),
)


def test_waves_are_numbers_and_shares() -> None:
    assert parse_waves("1, 5%,25%,100%") == spec().waves


@pytest.mark.parametrize(
    "text",
    ["", "1", "1,5%", "5%,1,100%", "5%,5%,100%", "2,1,100%", "0,100%", "0%,100%", "100%,100%", "101%", "-1,100%", "5",
     "1,,100%", "1.5,100%", "nan%", "1" * 40, ",".join(str(n) for n in range(1, 60)) + ",100%"],
)  # fmt: skip
def test_waves_that_do_not_rise_to_all_are_refused(text: str) -> None:
    with pytest.raises(AmountError, match=r"expected|should"):
        parse_waves(text)


@given(WAVES)
def test_waves_are_read_as_they_are_shown(waves: tuple[Wave, ...]) -> None:
    assert parse_waves(",".join(map(str, waves))) == waves


@given(WAVES, st.integers(1, 100_000))
def test_every_wave_has_a_box_and_the_last_all_and_a_later_share_never_fewer(waves: tuple[Wave, ...], n: int) -> None:
    sizes = [wave.of(n) for wave in waves]
    assert all(1 <= size <= n for size in sizes)
    assert sizes[-1] == n
    shares = [wave.of(n) for wave in waves if wave.share is not None]
    assert shares == sorted(shares)


@pytest.mark.parametrize(
    ("share", "boxes", "expected"), [(0.07, 100, 7), (0.05, 10, 1), (0.25, 10, 3), (0.29, 100, 29)]
)
def test_a_share_is_rounded_up_and_not_by_what_a_binary_number_cannot_say(
    share: float, boxes: int, expected: int
) -> None:
    assert Wave(share=share).of(boxes) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"waves": ()},
        {"waves": (Wave(boxes=1),)},
        {"waves": (Wave(share=0.5), Wave(share=0.25), Wave(share=1.0))},
        {"max_failed": 1.1},
        {"max_failed": float("nan")},
        {"min_committed": -0.1},
        {"max_silent": 2},
        {"max_drift": 0},
        {"soak_seconds": -1},
        {"silent_after_seconds": 0},
        {"deadline_seconds": 0},
        {"retries": -1},
        {"halt": "some"},
        {"on_halt": "nothing"},
        {"artifacts": ()},
        {"manifest": "A" * 64},
        {"unheard_of": 1},
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RolloutSpec.model_validate(spec().model_dump() | wrong)


@pytest.mark.parametrize("wrong", [{}, {"boxes": 1, "share": 0.5}, {"boxes": 0}, {"share": 0.0}])
def test_a_wave_is_a_number_or_a_share(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Wave.model_validate(wrong)


def test_a_spec_survives_being_stored() -> None:
    asked = spec(waves=parse_waves("1,0.5%,100%"), max_drift=0.2, targets=("cpu",), query="site=taipei")
    assert RolloutSpec.model_validate_json(asked.model_dump_json()) == asked


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), ("90s", 90), ("1h30m", 5400), ("2d", 172_800), ("0s", 0), ("1d2h3m4s", 93_784), (" 5m ", 300)],
)
def test_durations_are_read(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "m", "1.5h", "-5m", "5m1h", "1w", "367d", "5 m", "९s9"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(AmountError, match=r"30m|366d"):
        parse_duration(text)


@given(st.integers(0, 366 * 86_400))
def test_a_duration_is_shown_as_it_could_have_been_written_and_never_longer(seconds: int) -> None:
    shown = parse_duration(show_duration(seconds))
    assert shown <= seconds
    assert seconds - shown < max(60, seconds * 0.05)


@pytest.mark.parametrize(("text", "share"), [("1%", 0.01), ("2.5%", 0.025), ("0%", 0), ("100%", 1), ("7 %", 0.07)])
def test_shares_are_read(text: str, share: float) -> None:
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["1", "0.01", "", "%", "101%", "-1%", "1e1%", "nan%"])
def test_a_share_without_its_sign_or_beyond_all_is_refused(text: str) -> None:
    with pytest.raises(AmountError, match="0% to 100%"):
        parse_share(text)


@pytest.mark.parametrize(
    ("share", "text"), [(1, "100%"), (0.9999, "99.9%"), (0, "0%"), (0.01, "1%"), (0.123456, "12.3%"), (1e-6, "0.0001%")]
)
def test_shares_are_shown(share: float, text: str) -> None:
    assert show_share(share) == text
