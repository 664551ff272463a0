"""A folder of pictures, with labels where it has them.

Labelled folders hold ``images/``, and ``counts.csv`` (columns ``file`` and ``vehicle_count`` or ``count``; ``clip`` and
``split`` where known) or ``labels/`` (one text file a picture, one line a box, as YOLO trains on).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from contracts.errors import DocumentError
from converters.pictures.item import Item
from runtime.bundle import sha256
from runtime.pictures import PICTURE_SUFFIXES, read_picture_scaled

_COUNT_COLUMNS = ("vehicle_count", "count")
_CALIBRATION_ONLY = "calibration-only"
_ROWS = 1_000_000  # a table that is larger is something else


@dataclass(frozen=True)
class _Label:
    count: float | None
    clip: str | None = None
    calibration_only: bool = False


def folder_items(folder: Path) -> list[Item]:
    """The pictures of a folder, by name.

    Raises:
        DocumentError: counts.csv does not fit, or names pictures that are not there.
        OSError: the folder cannot be read.
    """
    images = folder / "images"
    place = images if images.is_dir() else folder
    files = sorted(path for path in place.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file())
    labels = _labels(folder, files)
    return [_item(file, labels.get(file.name, _Label(None))) for file in files]


def _item(file: Path, label: _Label) -> Item:
    load = partial(read_picture_scaled, file)
    return Item(file.name, sha256(file), load, label.clip, label.count, label.calibration_only)


def _labels(folder: Path, files: list[Path]) -> Mapping[str, _Label]:
    table = folder / "counts.csv"
    if table.is_file():
        return _from_table(table, {file.name for file in files})
    boxes = folder / "labels"
    if boxes.is_dir():
        return {file.name: _Label(_boxes_in(boxes / f"{file.stem}.txt")) for file in files}
    return {}


def _boxes_in(file: Path) -> float | None:
    """How many boxes a label file holds; a picture without a file has no label, an empty file says that it is empty."""
    if not file.is_file():
        return None
    return float(sum(1 for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()))


def _from_table(table: Path, pictures: set[str]) -> dict[str, _Label]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            column = _count_column(table, rows.fieldnames or ())
            labels = {row["file"]: _label(table, row, column) for _, row in zip(range(_ROWS), rows, strict=False)}
    except (csv.Error, UnicodeDecodeError) as error:
        raise DocumentError(str(table), [f"expected a table with commas, but {error}; write it as UTF-8"]) from None
    missing = sorted(labels.keys() - pictures)
    if missing:
        raise DocumentError(
            str(table),
            [f"names {len(missing)} pictures that are not there, {missing[0]!r} first; copy them or take the rows out"],
        )
    return labels


def _count_column(table: Path, columns: list[str] | tuple[str, ...] | object) -> str:
    names = list(columns) if isinstance(columns, (list, tuple)) else []
    found = next((name for name in _COUNT_COLUMNS if name in names), None)
    if found is None or "file" not in names:
        raise DocumentError(
            str(table), [f"expected columns 'file' and 'vehicle_count' or 'count', got {', '.join(names) or 'none'}"]
        )
    return found


def _label(table: Path, row: Mapping[str, str], column: str) -> _Label:
    text = row[column]
    try:
        count = float(text)
    except (TypeError, ValueError):
        count = math.nan
    if not (math.isfinite(count) and count >= 0):
        raise DocumentError(str(table), [f"{row['file']}: expected a count of 0 or more, got {text!r}; mend the row"])
    clip = (row.get("clip") or "").strip() or None
    return _Label(count, clip, row.get("split", "") == _CALIBRATION_ONLY)
