"""The smallest and largest value of every tensor, as calibration pictures show them.

One picture at a time goes through the network and of each tensor only a histogram is kept, so that memory does not
grow with the number of pictures. What was found is kept in a file whose name is a digest of the model, the pictures,
the method and the tensors: ranges of another model or other pictures are never taken for these.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from contracts.errors import DocumentError, ModelFileError, UnknownNameError
from converters.quantize.graph import Graph, load_named
from converters.read import first_line
from runtime.bundle import sha256
from runtime.results import Tensors

METHODS = ("minmax", "percentile", "entropy")
"""Ways to find a range, cheapest first."""

PERCENTILE = 99.999  # per cent of the values that stay inside; what ONNX Runtime's calibrator takes
_BINS = {"percentile": 2048, "entropy": 512}  # 1024 take five times as long to compare
_QUANTISED_BINS = 128  # levels that the entropy method (Migacz 2017, "8-bit Inference with TensorRT") merges bins to
_THREADS = 2
_NHWC = 4
_FORMAT = "ranges 1"  # changes when the way of finding them does

Ranges = Mapping[str, tuple[float, float]]
Progress = Callable[[int, int], None]
"""Told how many pictures are done, and of how many."""


def tensor_ranges(
    model: Path,
    calibration: Path,
    method: str,
    *,
    tensors: Collection[str] | None = None,
    cache: Path | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Ranges:
    """The range of every float32 tensor between the nodes of a model, and of its outputs.

    Args:
        model: a folded ONNX, uint8 ``(1, height, width, 3)`` in.
        calibration: an .npy of uint8 ``(n, height, width, 3)``.
        method: one of `METHODS`: all values, all but 0.001 %, or the range whose histogram in 128 levels is nearest
            to the true one (Kullback-Leibler).
        tensors: only these; None for all.
        cache: the folder for what was found; the model's own where it is not given.
        progress: called after each picture.

    Returns:
        Tensor name to lowest and highest value; a tensor with a NaN or infinity is refused.

    Raises:
        UnknownNameError: no such method.
        DocumentError: the calibration file is not what it should be, or a tensor is not in the model.
        ModelFileError: ONNX Runtime does not run the model, or a value is not finite.
    """
    if method not in METHODS:
        raise UnknownNameError("calibration method", method, METHODS)
    pictures = read_pictures(calibration)
    named = load_named(model)
    wanted = _wanted(model, named, tensors)
    if not wanted:
        return {}  # every layer stays as it is
    key = "\n".join([_FORMAT, sha256(model), sha256(calibration), method, *wanted])
    file = (cache or model.parent) / f"ranges-{hashlib.sha256(key.encode()).hexdigest()}.json"
    known = _read(file, wanted)
    if known is not None:
        return known
    found = _find(model, named, pictures, method, wanted, progress)
    _write(file, found)
    return found


def read_pictures(calibration: Path) -> NDArray[np.uint8]:
    """The calibration pictures, memory-mapped.

    Raises:
        DocumentError: the file does not hold uint8 ``(n, height, width, 3)`` with at least one picture.
    """
    try:
        pictures = np.load(calibration, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DocumentError(str(calibration), [f"expected calibration pictures (.npy): {first_line(error)}"]) from None
    if (
        not isinstance(pictures, np.ndarray)
        or pictures.dtype != np.uint8
        or pictures.ndim != _NHWC
        or not len(pictures)
    ):
        shape, kind = getattr(pictures, "shape", "?"), getattr(pictures, "dtype", "?")
        raise DocumentError(str(calibration), [f"expected uint8 (n, height, width, 3), got {kind} {shape}"])
    return pictures


def _wanted(file: Path, model: onnx.ModelProto, tensors: Collection[str] | None) -> tuple[str, ...]:
    graph = Graph(model)
    known = {name for node in graph.nodes for name in node.output if name} & graph.floats
    strange = sorted(set(tensors or ()) - known)
    if strange:
        raise DocumentError(str(file), [f"expected a float32 tensor named {strange[0]!r}, there is none"])
    return tuple(sorted(known if tensors is None else set(tensors)))


def _find(
    file: Path,
    model: onnx.ModelProto,
    pictures: NDArray[np.uint8],
    method: str,
    wanted: tuple[str, ...],
    progress: Progress,
) -> Ranges:
    passes = 1 if method == "minmax" else 2
    total = passes * len(pictures)
    limits: dict[str, tuple[float, float]] = {}
    for done, values in enumerate(_runs(file, model, pictures, wanted), start=1):
        for name, value in values.items():
            limits[name] = _wider(file, name, limits.get(name), value)
        progress(done, total)
    if method == "minmax":
        return limits
    # Histograms as wide as the whole range from the start: those of ONNX Runtime grow by bins of the first
    # picture's width, without bound where the first picture showed nearly nothing.
    collector = _Collector(method, limits)
    for done, values in enumerate(_runs(file, model, pictures, wanted), start=len(pictures) + 1):
        collector.collect(values)
        progress(done, total)
    return {**limits, **collector.ranges()}


def _runs(
    file: Path, model: onnx.ModelProto, pictures: NDArray[np.uint8], wanted: tuple[str, ...]
) -> Iterator[Tensors]:
    """The tensors of each picture."""
    import onnxruntime as ort

    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    shown = {value.name: value for value in (*model.graph.value_info, *model.graph.output)}
    del opened.graph.output[:]
    opened.graph.output.extend(shown[name] for name in wanted)
    options = ort.SessionOptions()
    options.intra_op_num_threads = _THREADS
    options.log_severity_level = 4
    name = model.graph.input[0].name
    try:
        session = ort.InferenceSession(opened.SerializeToString(), options, providers=["CPUExecutionProvider"])
        for number in range(len(pictures)):
            yield dict(zip(wanted, session.run(list(wanted), {name: pictures[number : number + 1]}), strict=True))
    except ModelFileError:
        raise
    except Exception as error:  # its exceptions share no base class
        raise ModelFileError(
            f"{file}: ONNX Runtime does not run it on the calibration pictures ({first_line(error)}); "
            "give pictures of the model's size"
        ) from error


def _wider(file: Path, name: str, known: tuple[float, float] | None, value: NDArray[np.generic]) -> tuple[float, float]:
    low, high = float(value.min()), float(value.max())
    if not np.isfinite([low, high]).all():
        raise ModelFileError(
            f"{file}: tensor {name!r} holds NaN or infinity on the calibration pictures; check the model"
        )
    return (low, high) if known is None else (min(low, known[0]), max(high, known[1]))


class _Collector:
    """ONNX Runtime's histograms, one a tensor; tensors that never differ from 0 have none."""

    def __init__(self, method: str, limits: Ranges) -> None:
        from onnxruntime.quantization.calibrate import HistogramCollector

        bins = _BINS[method]
        self._inner = HistogramCollector(
            method=method,
            symmetric=False,
            num_bins=bins,
            num_quantized_bins=_QUANTISED_BINS,
            percentile=PERCENTILE,
            scenario="same",
        )
        self._names = {name for name, (low, high) in limits.items() if max(-low, high) > 0}
        for name in self._names:
            low, high = (np.float32(value) for value in limits[name])
            widest = np.float32(max(-low, high))
            edges = np.linspace(-widest, widest, bins + 1, dtype=np.float32)
            self._inner.histogram_dict[name] = (np.zeros(bins, np.int64), edges, low, high, widest)

    def collect(self, values: Tensors) -> None:
        """Count the values of a picture."""
        with contextlib.redirect_stdout(io.StringIO()):  # it prints
            self._inner.collect({name: values[name] for name in self._names})

    def ranges(self) -> dict[str, tuple[float, float]]:
        """What the method makes of the histograms."""
        if not self._names:
            return {}
        with contextlib.redirect_stdout(io.StringIO()):
            found = self._inner.compute_collection_result()
        return {name: (float(entry[0]), float(entry[1])) for name, entry in found.items()}


def _read(file: Path, wanted: tuple[str, ...]) -> Ranges | None:
    """What was found before; None where there is nothing, or something else (it is then found anew)."""
    try:
        document = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(document, dict) or sorted(document) != sorted(wanted):
        return None
    if not all(_is_range(entry) for entry in document.values()):
        return None
    return {name: (float(low), float(high)) for name, (low, high) in document.items()}


def _is_range(entry: object) -> bool:
    match entry:
        case [int() | float(), int() | float()]:
            return True
        case _:
            return False


def _write(file: Path, ranges: Ranges) -> None:
    half_written = file.with_suffix(f".{os.getpid()}")
    half_written.write_text(json.dumps(ranges), encoding="utf-8")
    half_written.replace(file)
