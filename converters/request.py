"""What the converter is asked for, apart from the converter itself, whose packages take a second to import."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Progress = Callable[[str, int, int], None]
"""Told whenever a step begins: what is done, how many steps are done, how many there are."""

Measuring = Literal["none", "quick", "full"]
"""How long each artifact that runs here is timed: not at all, seconds, or as long as p99 needs."""


@dataclass(frozen=True)
class Request:
    """What to build.

    Args:
        model_dir: a folder with model.toml and one model file.
        out: where the bundle goes.
        targets: names; empty means every target that this host can build and that takes the model.
        calibration: pictures to find INT8 ranges on: a labelled folder, a folder of pictures or a clip; None means the
            synthetic road.
        evaluation: pictures to judge on, likewise; None takes a part of the calibration source that shares no clip.
        precisions: which forms to make; empty means all of the target's.
        pictures: how many are taken for each role at most.
        measuring: how long artifacts are timed.
        rounds: how often the worst layers are kept out of INT8, 0 to 3.
        jobs: targets made at once.
        allow_fallback: targets whose layers may run elsewhere than meant.
        options: target to options of its family that are set for this build (`converters.options`).
        size: width and height in pixels instead of model.toml's, for models that can be run at another size.
    """

    model_dir: Path
    out: Path
    targets: tuple[str, ...] = ()
    calibration: Path | None = None
    evaluation: Path | None = None
    precisions: tuple[str, ...] = ()
    pictures: int = 300
    measuring: Measuring = "quick"
    rounds: int = 3
    jobs: int = 1
    allow_fallback: tuple[str, ...] = ()
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    size: tuple[int, int] | None = None
