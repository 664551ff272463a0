"""What the converter is asked for, apart from the converter itself, whose packages take a second to import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Progress = Callable[[str, int, int], None]
"""Told whenever a step begins: what is done, how many steps are done, how many there are."""


@dataclass(frozen=True)
class Request:
    """What to build.

    Args:
        model_dir: a folder with model.toml and one model file.
        out: where the bundle goes.
        targets: names; empty means every target that this host can build and that takes the model.
        calibration: a labelled folder, a folder of pictures or a clip; None means the synthetic road.
    """

    model_dir: Path
    out: Path
    targets: tuple[str, ...] = ()
    calibration: Path | None = None
