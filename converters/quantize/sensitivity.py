"""Which layers lose most when they are quantised: leave-one-in.

Each layer alone is quantised as `converters.quantize.placement` would, its result before and behind its activation
too, and the error of the *decoded* result against FP32 is what counts: noise that a threshold or a sum swallows costs
nothing. (The same idea as NNCF's accuracy control and ModelOpt's `auto_quantize`, with the task's own metric.)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from converters.quantize.graph import Graph, load_named
from converters.quantize.heads import with_activations
from converters.quantize.placement import insert_qdq, quantise, quantised_nodes, weight_axis, weight_scales
from converters.quantize.ranges import Ranges, read_pictures
from converters.reference import run_onnx
from runtime.results import Tensors

Error = Callable[[Tensors, Tensors], float]
"""How far one picture's outputs are from the reference's; 0 where they are equal."""

Progress = Callable[[int, int], None]
"""Told how many layers are done, and of how many."""


@dataclass(frozen=True)
class Effort:
    """How much ranking may cost.

    Args:
        pictures: how many to run for each layer.
        seconds: after which no further layer is measured.
    """

    pictures: int = 4
    seconds: float = 600.0


DEFAULT_EFFORT = Effort()


@dataclass(frozen=True)
class LayerError:
    """What quantising one layer costs.

    Args:
        node: its name.
        error: mean over the pictures of the decoded result's error; where it was not measured, the noise-to-signal
            ratio of its weights (mean square of the rounding over that of the weights).
        measured: whether there was time to run it.
    """

    node: str
    error: float
    measured: bool


def rank_layers(
    model: Path,
    calibration: Path,
    ranges: Ranges,
    error: Error,
    *,
    effort: Effort = DEFAULT_EFFORT,
    kept_out: Collection[str] = (),
    progress: Progress = lambda _done, _total: None,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[LayerError, ...]:
    """Layers that can be quantised, worst first; those that were measured before those that were not.

    The layers whose weights lose most are measured first, so that a limit in time leaves the harmless ones over.

    Args:
        model: a folded ONNX.
        calibration: an .npy of uint8 ``(n, height, width, 3)``; the pictures are spread evenly over it.
        ranges: of the model's tensors.
        error: see `Error`.
        effort: see `Effort`.
        kept_out: layers that stay in float anyway.
        progress: called after each layer.
        clock: seconds that only grow.

    Raises:
        ModelFileError: ONNX Runtime does not run the model.
        DocumentError: the calibration file is not what it should be.
    """
    start = clock()
    named = load_named(model)
    graph = Graph(named)
    order = [entry for entry in weight_errors(named) if entry.node not in set(kept_out)]
    frames = _spread(read_pictures(calibration), effort.pictures)
    reference = _run(model, named, frames)
    measured: list[LayerError] = []
    for done, entry in enumerate(order):
        if clock() - start >= effort.seconds:
            break
        alone = insert_qdq(named, ranges, only={entry.node}, rounded=_results(graph, entry.node))
        outputs = _run(model, alone, frames)
        cost = [error(values, expected) for values, expected in zip(outputs, reference, strict=True)]
        measured.append(LayerError(entry.node, float(np.mean(cost)), measured=True))
        progress(done + 1, len(order))
    return (*sorted(measured, key=lambda layer: -layer.error), *order[len(measured) :])


def weight_errors(model: onnx.ModelProto) -> tuple[LayerError, ...]:
    """The noise-to-signal ratio of each layer's weights in int8, largest first; nothing is run."""
    graph = Graph(model)
    layers = set(quantised_nodes(model))
    found = [LayerError(node.name, _noise(graph, node), measured=False) for node in graph.nodes if node.name in layers]
    return tuple(sorted(found, key=lambda layer: -layer.error))


def _results(graph: Graph, layer: str) -> frozenset[str]:
    """What a layer and its activation give: TensorRT leaves it in float, all others round it."""
    together = set(with_activations(graph, {layer}))
    return frozenset(name for node in graph.nodes if node.name in together for name in node.output)


def _noise(graph: Graph, node: onnx.NodeProto) -> float:
    weights = graph.weights(node.input[1])
    assert weights is not None  # a layer that can be quantised has them
    axis = weight_axis(node, weights.ndim)
    scales = weight_scales(weights, axis)
    shape = [1] * weights.ndim
    if axis is not None:
        shape[axis] = -1
    off = quantise(weights, scales, axis).astype(np.float32) * scales.reshape(shape) - weights
    signal = float(np.square(weights, dtype=np.float64).mean())
    return float(np.square(off, dtype=np.float64).mean()) / signal if signal else 0.0


def _spread(pictures: NDArray[np.uint8], wanted: int) -> list[NDArray[np.uint8]]:
    numbers = sorted({(2 * i + 1) * len(pictures) // (2 * wanted) for i in range(wanted)})
    return [np.ascontiguousarray(pictures[number : number + 1]) for number in numbers]


def _run(file: Path, model: onnx.ModelProto, frames: Sequence[NDArray[np.uint8]]) -> list[Tensors]:
    return run_onnx(file, model.SerializeToString(), model.graph.input[0].name, frames)
