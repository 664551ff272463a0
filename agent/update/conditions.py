"""Whether a model may take over now: the hour, the box's heat and supply, and whoever is on site. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agent.drift.hours import LocalTime, local_time
from contracts.health import Telemetry
from contracts.update_config import UpdateConfig

LOOK_SECONDS = 60.0
"""After which a box that is hot, throttled or held is looked at again."""

LONGEST_SECONDS = 900.0
"""That pass at most between two looks: the clock may be set, and the configuration changed."""

_MINUTES_A_DAY = 1440
_MINUTE = 60.0  # seconds


@dataclass(frozen=True)
class Now:
    """How the box is.

    Args:
        wall: seconds since 1970.
        synced: whether that can be believed; None where the system does not tell.
        telemetry: what the hardware tells; None where it tells nothing.
        hold: who on site asked that no model is changed, and why; None where nobody did.
    """

    wall: float
    synced: bool | None
    telemetry: Telemetry | None = None
    hold: str | None = None


@dataclass(frozen=True)
class Wait:
    """Why no model may take over now.

    Args:
        reason: in words.
        seconds: after which it is worth another look, above 0.
    """

    reason: str
    seconds: float


def wait_of(config: UpdateConfig, now: Now, local: LocalTime = local_time) -> Wait | None:
    """Why a model may not take over now, with every reason; None where it may.

    What the hardware does not tell holds up nothing, as it sheds no load either.

    Args:
        config: window and temperature.
        now: how the box is.
        local: the box's own time.
    """
    waits = [*_hold(now), *_window(config.window, now, local), *_supply(now), *_heat(config.max_celsius, now)]
    if not waits:
        return None
    return Wait("; ".join(wait.reason for wait in waits), max(wait.seconds for wait in waits))


def _hold(now: Now) -> Iterator[Wait]:
    if now.hold is not None:
        yield Wait(f"held on site: {now.hold}", LOOK_SECONDS)


def _window(window: str | None, now: Now, local: LocalTime) -> Iterator[Wait]:
    """The window goes by the clock on the wall: on the night that skips its hours it does not come."""
    if window is None:
        return
    if now.synced is not True:
        why = "the clock is" if now.synced is False else "the system does not say that its clock is"
        not_known = " not synchronised" if now.synced is False else " synchronised"
        do = "check the time server, or take `window` out"
        yield Wait(f"{why}{not_known}, so nobody knows when it is {window}; {do}", LOOK_SECONDS)
        return
    if not is_open(window, now.wall, local):
        yield Wait(
            f"waits for {window}, the hours in which models may be changed", _until_open(window, now.wall, local)
        )


def is_open(window: str, wall: float, local: LocalTime = local_time) -> bool:
    """Whether a moment lies in a window.

    Args:
        window: ``HH:MM-HH:MM`` by local time, the end not part of it; over midnight where it ends before it begins.
        wall: seconds since 1970.
        local: the box's own time.
    """
    begin, end = (_minutes(text) for text in window.split("-"))
    moment = local(wall)
    since = (moment.hour * 60 + moment.minute - begin) % _MINUTES_A_DAY
    return since < (end - begin) % _MINUTES_A_DAY


def _until_open(window: str, wall: float, local: LocalTime) -> float:
    """Seconds until a window opens, at most `LONGEST_SECONDS`; by minutes, so that no change of time is missed."""
    at = wall - wall % _MINUTE + _MINUTE
    while at < wall + LONGEST_SECONDS:
        if is_open(window, at, local):
            return at - wall
        at += _MINUTE
    return LONGEST_SECONDS


def _minutes(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def _supply(now: Now) -> Iterator[Wait]:
    throttling = now.telemetry.throttling if now.telemetry is not None else None
    if throttling is not None and throttling.now:
        yield Wait(f"the box is throttled ({', '.join(throttling.reasons) or 'it does not say why'})", LOOK_SECONDS)


def _heat(most: float | None, now: Now) -> Iterator[Wait]:
    celsius = now.telemetry.celsius if now.telemetry is not None else None
    if most is not None and celsius is not None and celsius > most:
        sensor = now.telemetry.hottest if now.telemetry is not None else None
        yield Wait(f"{sensor or 'the box'} is at {celsius:.1f} degrees, above {most:.1f}", LOOK_SECONDS)
