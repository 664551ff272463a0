"""Pictures in the network's input, on the disk: read by whichever process needs them, without being held in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contracts.errors import DocumentError
from contracts.measurement import PictureSet
from contracts.model_spec import InputSpec
from converters.pictures.choose import MIN_PICTURES, Chosen
from converters.pictures.item import Item
from runtime.prepare import Placement, Preparer
from runtime.results import Result

FEW = 100  # calibration pictures below which ranges are taken from too little; NNCF's default is 300, TIDL's least 50
_ALIKE = 2.0  # grey levels between the thumbnails of a picture and of its nearest other
_THUMBNAIL = 8  # pixels a side
_MOST_NAMED = 5


@dataclass(frozen=True)
class Dataset:
    """Pictures of one role, as the network takes them.

    Args:
        file: .npy of uint8 ``(n, height, width, 3)`` BGR.
        placements: where each lies in the input.
        counts: ``(n,)`` true counts, or None where one is not known.
        described: what the manifest says of them.
        warnings: what a person should know.
        answers: what has to come out for each, of a network whose results are right or wrong rather than counted; None
            of one that counts.
    """

    file: Path
    placements: tuple[Placement, ...]
    counts: NDArray[np.float64] | None
    described: PictureSet
    warnings: tuple[str, ...] = ()
    answers: tuple[Result, ...] | None = None

    def __len__(self) -> int:
        return len(self.placements)

    def tensors(self) -> NDArray[np.uint8]:
        """All of them, mapped from the disk."""
        mapped: NDArray[np.uint8] = np.load(self.file, mmap_mode="r", allow_pickle=False)
        return mapped


def write_dataset(spec: InputSpec, chosen: Chosen, file: Path, flag: str) -> Dataset:
    """Decode pictures into a file; damaged ones are left out, with a warning that names them.

    Raises:
        DocumentError: too few can be decoded.
        OSError: the file cannot be written.
    """
    shape = (len(chosen.items), spec.height, spec.width, 3)
    store: NDArray[np.uint8] = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)
    preparer = Preparer(spec)
    kept: list[Item] = []
    placements: list[Placement] = []
    damaged: list[str] = []
    for item in chosen.items:
        try:
            picture, placement = item.load(spec)
        except DocumentError as error:
            damaged.append(str(error))
            continue
        store[len(kept)] = preparer.prepare(picture, placement)[0]
        kept.append(item)
        placements.append(placement)
    del store  # unmapped, and so written
    if len(kept) < MIN_PICTURES:
        raise DocumentError(
            flag, [f"expected at least {MIN_PICTURES} pictures that decode, got {len(kept)}", *_told(damaged)]
        )
    if damaged:
        _shorten(file, len(kept))
    return Dataset(
        file, tuple(placements), _counts(kept), _described(chosen, kept), (*chosen.warnings, *_told(damaged))
    )


def calibration_warnings(dataset: Dataset) -> tuple[str, ...]:
    """What to say of pictures that are to be calibrated on: too few, or too alike."""
    warnings = []
    if len(dataset) < FEW:
        warnings.append(f"only {len(dataset)} calibration pictures; give at least {FEW}, spread over day and weather")
    distance = _nearest_distance(dataset.tensors())
    if distance < _ALIKE:
        warnings.append(
            f"the calibration pictures are nearly equal ({distance:.1f} of 255 grey levels to the nearest other); "
            "take them further apart in time, or from several clips"
        )
    return tuple(warnings)


def _nearest_distance(tensors: NDArray[np.uint8]) -> float:
    """Median over the pictures of the mean difference of thumbnails to the most similar other picture."""
    rows = np.linspace(0, tensors.shape[1] - 1, _THUMBNAIL, dtype=int)
    columns = np.linspace(0, tensors.shape[2] - 1, _THUMBNAIL, dtype=int)
    small = np.stack([tensor[rows][:, columns].mean(axis=-1).ravel() for tensor in tensors])
    gaps = np.stack([np.abs(small - one).mean(axis=1) for one in small])
    np.fill_diagonal(gaps, np.inf)
    return float(np.median(gaps.min(axis=1)))


def _shorten(file: Path, count: int) -> None:
    whole = np.load(file, mmap_mode="r", allow_pickle=False)
    shorter = file.with_suffix(".short.npy")
    np.save(shorter, whole[:count], allow_pickle=False)
    del whole
    shorter.replace(file)


def _counts(items: Sequence[Item]) -> NDArray[np.float64] | None:
    known = [item.count for item in items if item.count is not None]
    return np.array(known, np.float64) if len(known) == len(items) else None


def _described(chosen: Chosen, kept: Sequence[Item]) -> PictureSet:
    digests = "\n".join(sorted(item.digest for item in kept))
    return PictureSet(
        origin=chosen.origin,
        pictures=len(kept),
        sha256=hashlib.sha256(digests.encode()).hexdigest(),
        clips=tuple(sorted({item.clip for item in kept if item.clip})),
        labelled=_counts(kept) is not None,
    )


def _told(damaged: Sequence[str]) -> list[str]:
    more = [f"and {len(damaged) - _MOST_NAMED} more pictures that do not decode"] if len(damaged) > _MOST_NAMED else []
    return [f"left out: {reason}" for reason in damaged[:_MOST_NAMED]] + more
