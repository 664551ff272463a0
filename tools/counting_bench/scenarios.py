"""What is tried: for each way in which counting goes wrong, how bad it gets."""

from __future__ import annotations

from dataclasses import dataclass

from tools.counting_bench.detector import Faults

_USUAL = Faults(missed=0.05, jitter=0.03)
"""What a small detector does on a good day; each scenario adds to it."""


@dataclass(frozen=True)
class Scenario:
    """One thing that goes wrong, at one strength.

    Args:
        axis: what goes wrong.
        value: how badly, for a person.
        faults: of the detector.
        fps: frames a second of the camera.
        dropped: share of the frames that never come, at random.
        burst: seconds without any frame, once every ten.
        vehicles_per_minute: on all lanes.
        occlusion: whether posts, gantries and trees stand before the road.
    """

    axis: str
    value: str
    faults: Faults = _USUAL
    fps: float = 25.0
    dropped: float = 0.0
    burst: float = 0.0
    vehicles_per_minute: float = 45.0
    occlusion: bool = False


def scenarios() -> tuple[Scenario, ...]:
    """All of them, by axis and then from harmless to hard."""
    return (
        Scenario("nothing", "perfect detections", Faults(hidden=True)),
        Scenario("nothing", "usual detections"),
        *(Scenario("speed (frames a second)", f"{fps:g} fps", fps=fps) for fps in (30.0, 15.0, 10.0, 5.0, 3.0, 2.0)),
        *(
            Scenario("missed", f"{share:.0%} of detections", Faults(missed=share, jitter=0.03))
            for share in (0.1, 0.2, 0.3, 0.5)
        ),
        *(
            Scenario("flicker", f"unseen {share:g} s of each", Faults(missed=0.05, jitter=0.03, blinked=share))
            for share in (0.2, 0.4, 0.6)
        ),
        *(Scenario("jitter", f"{share:.0%} of the box", Faults(missed=0.05, jitter=share)) for share in (0.06, 0.1)),
        *(
            Scenario("labels", f"{share:.0%} changed", Faults(missed=0.05, jitter=0.03, relabelled=share))
            for share in (0.1, 0.3)
        ),
        *(
            Scenario("doubt", f"{share:.0%} below the threshold", Faults(missed=0.05, jitter=0.03, doubted=share))
            for share in (0.3, 0.6)
        ),
        *(
            Scenario("ghosts", f"{count:g} a frame", Faults(missed=0.05, jitter=0.03, invented=count))
            for count in (0.1, 0.5)
        ),
        Scenario("occlusion", "posts and gantries", occlusion=True),
        Scenario("occlusion", "and dense traffic", occlusion=True, vehicles_per_minute=120.0),
        Scenario("dense traffic", "120 vehicles a minute", vehicles_per_minute=120.0),
        *(Scenario("dropped frames", f"{share:.0%} at random", dropped=share) for share in (0.1, 0.3, 0.6)),
        *(Scenario("stalls", f"{seconds:g} s in ten", burst=seconds) for seconds in (0.2, 0.5, 1.0, 2.0)),
    )
