"""The layer that is hurt most comes first; what there was no time for comes last, and says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

from converters.quantize.placement import quantised_nodes
from converters.quantize.ranges import Ranges, tensor_ranges
from converters.quantize.sensitivity import Effort, rank_layers, weight_errors
from runtime.results import Tensors
from tests.unit.converters.quantize.blocks import folded_net, written


def error(outputs: Tensors, reference: Tensors) -> float:
    return float(np.abs(outputs["density"] - reference["density"]).mean())


@pytest.fixture
def spoilt(tmp_path: Path) -> tuple[Path, Path, Ranges]:
    """A model, pictures, and ranges of which one tensor's is a thousand times too wide."""
    return spoilt_at(tmp_path, "up")


def spoilt_at(folder: Path, tensor: str) -> tuple[Path, Path, Ranges]:
    model, pictures = written(folder, folded_net())
    ranges = dict(tensor_ranges(model, pictures, "minmax"))
    low, high = ranges[tensor]
    return model, pictures, ranges | {tensor: (1000 * low, 1000 * high)}


def test_the_layer_with_the_spoilt_range_comes_first(spoilt: tuple[Path, Path, Ranges]) -> None:
    steps: list[tuple[int, int]] = []
    ranked = rank_layers(*spoilt, error, progress=lambda done, total: steps.append((done, total)))
    assert {layer.node for layer in ranked[:2]} == {"up", "again"}, "one gives the tensor, the other takes it"
    assert ranked[1].error > 3 * ranked[2].error
    assert sorted(layer.node for layer in ranked) == sorted(quantised_nodes(onnx.load(spoilt[0])))
    assert all(layer.measured for layer in ranked)
    assert steps == [(number, len(ranked)) for number in range(1, len(ranked) + 1)]


def test_a_layer_is_blamed_for_what_it_gives_before_its_activation(tmp_path: Path) -> None:
    ranked = rank_layers(*spoilt_at(tmp_path, "first"), error)
    assert ranked[0].node == "first", "nothing but its activation takes the tensor"
    assert ranked[0].error > 3 * ranked[1].error


def test_layers_that_feed_another_output_only_cost_nothing(spoilt: tuple[Path, Path, Ranges]) -> None:
    (hidden,) = (layer for layer in rank_layers(*spoilt, error) if layer.node == "hidden")
    assert hidden.error == 0.0


def test_layers_kept_out_anyway_are_not_asked(spoilt: tuple[Path, Path, Ranges]) -> None:
    assert "again" not in [layer.node for layer in rank_layers(*spoilt, error, kept_out={"again"})]


def test_after_the_limit_the_rest_is_ranked_by_its_weights(spoilt: tuple[Path, Path, Ranges]) -> None:
    ticks: Iterator[float] = iter(range(100))
    ranked = rank_layers(*spoilt, error, effort=Effort(pictures=1, seconds=3), clock=lambda: next(ticks))
    assert [layer.measured for layer in ranked] == [True, True, False, False, False, False, False]
    by_weights = [layer.node for layer in weight_errors(onnx.load(spoilt[0]))]
    assert {layer.node for layer in ranked[:2]} == set(by_weights[:2]), "the most suspicious are measured first"
    assert [layer.node for layer in ranked[2:]] == by_weights[2:]


def test_weights_on_the_grid_of_their_scales_have_no_error() -> None:
    model = folded_net()
    (weights,) = (tensor for tensor in model.graph.initializer if tensor.name == "down_w")
    shape = tuple(weights.dims)
    values = np.random.default_rng(0).integers(-127, 128, shape).astype(np.float32)
    values[:, 0, 0, 0] = 127  # so that the scale is 1
    weights.CopyFrom(onnx.numpy_helper.from_array(values, "down_w"))
    errors = {layer.node: layer.error for layer in weight_errors(model)}
    assert errors.pop("down") == 0.0
    assert min(errors.values()) > 0.0
