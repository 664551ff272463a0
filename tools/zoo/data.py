"""The labelled pictures: reading them, and splitting them by clip so that no road is on both sides."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]
"""float32 ``(n, 4)``: x1, y1, x2, y2, in the unit that the user of the name says."""

Pictures = NDArray[np.uint8]
"""uint8 ``(n, side, side, 3)``, RGB."""

DEFAULT_DATA = Path("../shared/data/images/vehicle_topview")
PICTURE_SIDE = 640

TEST_CLIPS = (2, 8, 14)
"""Sparse, dense and medium traffic; fixed before the first training run, never trained on or selected by."""

FOLDS: tuple[tuple[int, ...], ...] = (TEST_CLIPS, (3, 10, 15), (4, 12), (1, 6))
"""Every fully labelled clip once. Clips 1 and 6 show the same bridge, so they stay together."""

LABELLED_FROM: Mapping[int, float] = {5: 0.45}
"""Clips whose back rows lack labels, and the height (0 top to 1 bottom) from which on every vehicle has one."""


@dataclass(frozen=True)
class Sample:
    """One labelled picture.

    Args:
        file: name of the JPEG.
        clip: number of the clip that it comes from.
        boxes: in 0 to 1 of the picture.
        top: the height in 0 to 1 from which on labels are complete; 0 for all of it.
    """

    file: str
    clip: int
    boxes: Boxes
    top: float = 0.0

    @property
    def count(self) -> int:
        """Vehicles that have a label."""
        return len(self.boxes)

    @property
    def complete(self) -> bool:
        """Whether its count is a truth to measure errors against."""
        return self.top == 0.0


@dataclass(frozen=True)
class Split:
    """Pictures to learn from and pictures to measure on, with no clip in both.

    Args:
        train: to learn from, the partly labelled ones included.
        held_out: to measure on, completely labelled.

    Raises:
        ValueError: a clip is on both sides.
    """

    train: tuple[Sample, ...]
    held_out: tuple[Sample, ...]

    def __post_init__(self) -> None:
        both = {s.clip for s in self.train} & {s.clip for s in self.held_out}
        if both:
            raise ValueError(f"a clip should be on one side of a split only, got {sorted(both)} on both; split by clip")


def load_samples(root: Path) -> list[Sample]:
    """All labelled pictures of a data set, in the order of its ``counts.csv``.

    Args:
        root: folder with ``images/``, ``labels/`` and ``counts.csv``.

    Raises:
        FileNotFoundError: there is no such data set.
    """
    table = root / "counts.csv"
    if not table.is_file():
        raise FileNotFoundError(f"expected a labelled data set with counts.csv in {root}; give its folder with --data")
    with table.open(newline="") as file:
        return [_sample(root, row) for row in csv.DictReader(file)]


def _sample(root: Path, row: Mapping[str, Any]) -> Sample:
    clip = int(row["clip"])
    boxes = read_boxes((root / "labels" / row["file"]).with_suffix(".txt"))
    if len(boxes) != int(row["vehicle_count"]):
        raise ValueError(
            f"{row['file']}: counts.csv says {row['vehicle_count']} vehicles, its label file has {len(boxes)}"
        )
    return Sample(row["file"], clip, boxes, LABELLED_FROM.get(clip, 0.0))


def read_boxes(path: Path) -> Boxes:
    """Corner boxes in 0 to 1 from a YOLO label file (class, centre x, centre y, width, height)."""
    rows = [[float(value) for value in line.split()[1:5]] for line in path.read_text().splitlines() if line.strip()]
    yolo = np.asarray(rows, np.float32).reshape(-1, 4)
    half = yolo[:, 2:] / 2
    return np.clip(np.hstack([yolo[:, :2] - half, yolo[:, :2] + half]), 0.0, 1.0)


def split_by_clip(samples: Iterable[Sample], held_out: Collection[int], never: Collection[int] = TEST_CLIPS) -> Split:
    """Puts whole clips on one side or the other.

    Args:
        samples: all pictures.
        held_out: clips to measure on.
        never: clips to leave out of training in any case.
    """
    samples = list(samples)
    away = {*held_out, *never}
    return Split(
        train=tuple(s for s in samples if s.clip not in away),
        held_out=tuple(s for s in samples if s.clip in held_out and s.complete),
    )
