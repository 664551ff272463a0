"""The bundle's golden samples: what goes in and what has to come out, for a device to test itself."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contracts.manifest import Golden
from converters.pack import file_entry
from runtime.results import Tensors

SAMPLES = 3
FOLDER = "golden"


def sample_indices(reference: Sequence[Tensors]) -> list[int]:
    """Which frames become samples: those whose outputs reach farthest compared with the other frames.

    An error on a picture with nothing in it says little.
    """
    largest = np.array([[float(np.abs(value).max(initial=0.0)) for value in run.values()] for run in reference])
    shares = largest / np.maximum(largest.max(axis=0), np.finfo(np.float64).tiny)
    order = np.argsort(-shares.min(axis=1), kind="stable")
    return sorted(int(index) for index in order[:SAMPLES])


def write_golden(bundle: Path, frames: Sequence[NDArray[np.uint8]], reference: Sequence[Tensors]) -> tuple[Golden, ...]:
    """Write the samples.

    Args:
        bundle: its folder.
        frames: uint8 ``(height, width, 3)`` BGR.
        reference: what the FP32 reference gave for each.

    Raises:
        OSError: they cannot be written.
    """
    (bundle / FOLDER).mkdir()
    chosen = sample_indices(reference)
    return tuple(_write(bundle, number, frames[index], reference[index]) for number, index in enumerate(chosen))


def _write(bundle: Path, number: int, frame: NDArray[np.uint8], reference: Tensors) -> Golden:
    folder = bundle / FOLDER
    frame_file, expected_file = folder / f"{number}.npy", folder / f"{number}.npz"
    np.save(frame_file, frame, allow_pickle=False)
    _save_arrays(expected_file, reference)
    return Golden(frame=file_entry(bundle, frame_file), expected=file_entry(bundle, expected_file))


def _save_arrays(file: Path, arrays: Tensors) -> None:
    """An .npz of float32 and integers; ``np.savez`` takes names as keywords, and an output may be called ``file``."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in arrays.items():
            # A ZipInfo of its own carries no date, so that the same model gives the same bytes.
            with archive.open(_undated(name), "w", force_zip64=True) as entry:
                kept = value.astype(np.float32) if value.dtype.kind == "f" else value
                np.lib.format.write_array(entry, kept, allow_pickle=False)


def _undated(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(f"{name}.npy")
    info.compress_type = zipfile.ZIP_DEFLATED
    return info
