"""The folded preparation in the form that TFLite runs best: cast first, then one 1x1 convolution.

XNNPACK takes the convolution, and onnx2tf needs no transposition for it. The steps of `converters.fold` would leave
bytes to be transposed and gathered: with those in the graph, tflite-runtime 2.14 hands XNNPACK nothing at all, and says
nothing (vehicle-density took 292 ms on one Xeon core, and 64 ms with this, n = 10 each).
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from contracts.model_spec import InputSpec
from converters.fold import BGR_TO_GRAY, PREFIX


def with_convolution(folded: onnx.ModelProto, spec: InputSpec) -> onnx.ModelProto:
    """A copy of a folded model whose preparation is a cast, a transposition and, where it changes values, a 1x1 Conv.

    Args:
        folded: as `converters.fold.fold` gives it.
        spec: the input that it was folded for.
    """
    model = onnx.ModelProto()
    model.CopyFrom(folded)
    graph = model.graph
    last = [node for node in graph.node if node.name.startswith(PREFIX)][-1].output[0]
    rest = [node for node in graph.node if not node.name.startswith(PREFIX)]
    image, cast, planes = graph.input[0].name, f"{PREFIX}/0_cast", f"{PREFIX}/1_transpose"
    weights, bias = coefficients(spec)
    plain = np.array_equal(weights, np.eye(3)) and not bias.any()
    steps = [
        helper.make_node("Cast", [image], [f"{cast}/output"], cast, to=onnx.TensorProto.FLOAT),
        helper.make_node(
            "Transpose", [f"{cast}/output"], [last if plain else f"{planes}/output"], planes, perm=[0, 3, 1, 2]
        ),
    ]
    if not plain:
        name = f"{PREFIX}/2_conv"
        held = {f"{name}/weights": weights[:, :, None, None], f"{name}/bias": bias}
        graph.initializer.extend(numpy_helper.from_array(value.astype(np.float32), key) for key, value in held.items())
        steps.append(helper.make_node("Conv", [f"{planes}/output", *held], [last], name, kernel_shape=[1, 1]))
    del graph.node[:]
    graph.node.extend([*steps, *rest])
    inferred = [value for value in graph.value_info if not value.name.startswith(PREFIX)]
    del graph.value_info[:]
    graph.value_info.extend(inferred)
    return model


def coefficients(spec: InputSpec) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights ``(channels, 3)`` and bias ``(channels,)`` that turn blue, green and red into what the network takes."""
    colours = {"bgr": np.eye(3), "rgb": np.eye(3)[::-1], "gray": np.array([BGR_TO_GRAY])}[spec.color]
    mean, std = (np.resize(np.array(values, np.float64), spec.channels) for values in (spec.mean, spec.std))
    return colours / std[:, None], -mean / std
