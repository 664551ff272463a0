"""Reading golden samples: what comes with a bundle may be made to fill the memory, so nothing is believed.

An .npy says in its header, and an .npz in its directory too, how much it holds; all of it is held against what the
artifact takes and gives before a byte of it is read.
"""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from contracts.errors import BundleError
from contracts.manifest import TensorInfo
from runtime.results import Array, Tensors

_HEADER = 4096  # bytes of an .npy before its data; NumPy writes 128
_ENTRY = 1024  # bytes of a file's headers and names in an .npz
_WIDEST = 8  # bytes of a number
_NUMBERS = "biuf"  # NumPy's kinds of them; an object would have to be unpickled, which runs code
_MOST = 256 * 1024 * 1024  # bytes of one array, whatever the manifest says of its size: it comes with the sample
_MOST_OF_ANY_SIZE = 64 * 1024 * 1024  # bytes of an output whose size depends on the picture: masks of 100 things, say
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_UNREADABLE = (ValueError, OSError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)


def read_frame(path: Path, size: Sequence[int]) -> Array:
    """A sample's picture.

    Args:
        path: of an .npy.
        size: height, width and channels that it must have.

    Raises:
        BundleError: it is something else; then nothing was read but its header.
    """
    most = min(math.prod(size), _MOST) + _HEADER
    try:
        if path.stat().st_size > most:
            raise ValueError(f"expected at most {most} bytes, got {path.stat().st_size}")
        with path.open("rb") as file:
            return _array(file.read(most), np.dtype(np.uint8), tuple(size))
    except _UNREADABLE as error:
        raise _not_a_sample(path, error) from error


def read_expected(path: Path, outputs: Sequence[TensorInfo]) -> Tensors:
    """What the reference gave for a sample, by output.

    Args:
        path: of an .npz.
        outputs: those that it may hold; a size below 1 is any.

    Raises:
        BundleError: it holds something else, or more than these can be; then nothing was unpacked.
    """
    allowed = {output.name: output for output in outputs}
    try:
        most = sum(_most(output) + _ENTRY for output in outputs) + _ENTRY
        if path.stat().st_size > most:
            raise ValueError(f"expected at most {most} bytes, got {path.stat().st_size}")
        with zipfile.ZipFile(path) as archive:
            entries = _entries(archive, allowed)
            return {name: _unpacked(archive, entry, allowed[name]) for name, entry in entries.items()}
    except _UNREADABLE as error:
        raise _not_a_sample(path, error) from error


def _entries(archive: zipfile.ZipFile, allowed: Mapping[str, TensorInfo]) -> dict[str, zipfile.ZipInfo]:
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        name = entry.filename.removesuffix(".npy")
        if name not in allowed or name in entries:
            raise ValueError(f"expected each of {', '.join(allowed)} once at most, got {name!r}")
        if entry.compress_type not in _PACKED:
            raise ValueError(f"{name!r} is packed in a way that is not used here")
        if entry.file_size > _most(allowed[name]):
            raise ValueError(f"{name!r} says that it has {entry.file_size} bytes, at most {_most(allowed[name])} fit")
        entries[name] = entry
    return entries


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, output: TensorInfo) -> Array:
    with archive.open(entry) as file:  # gives no more than the size that the directory says
        return _array(file.read(_most(output)), None, output.shape)


def _array(content: bytes, dtype: np.dtype[np.uint8] | None, size: tuple[int, ...]) -> Array:
    """An .npy's array, once its header says what it may say."""
    file = io.BytesIO(content)  # a header may say that it is longer than all memory
    version = np.lib.format.read_magic(file)
    if version not in {(1, 0), (2, 0)}:
        raise ValueError(f"expected an .npy of version 1 or 2, got {version[0]}")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, kind = read(file)
    if kind.kind not in _NUMBERS or kind.itemsize > _WIDEST or (dtype is not None and kind != dtype):
        raise ValueError(f"expected {dtype or 'numbers'}, got {kind}")
    if not _fits(shape, size):
        raise ValueError(f"expected an array of shape {size}, got {shape}")
    values, length = file.read(), math.prod(shape) * kind.itemsize
    if len(values) != length:
        raise ValueError(f"expected {length} bytes after its header, got {len(values)}")
    array: Array = np.frombuffer(bytearray(values), kind)  # runtimes that share it want it writable
    return array.reshape(shape, order="F" if fortran else "C")


def _fits(shape: Sequence[int], size: Sequence[int]) -> bool:
    """Whether no side is longer than it may be: less is for the comparison to find."""
    pairs = zip(shape, size, strict=False)
    return len(shape) == len(size) and all(side >= 0 and (most < 1 or side <= most) for side, most in pairs)


def _most(output: TensorInfo) -> int:
    """Bytes that an output's .npy has at most."""
    known = all(side > 0 for side in output.shape)
    return (min(math.prod(output.shape) * _WIDEST, _MOST) if known else _MOST_OF_ANY_SIZE) + _HEADER


def _not_a_sample(path: Path, error: BaseException) -> BundleError:
    return BundleError(f"{path}: expected a golden sample, got something else ({error}); build the bundle again")
