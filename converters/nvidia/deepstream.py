"""DeepStream's nvinfer: its configuration file, and the ONNX without the preparation, which nvinfer does itself.

nvinfer scales and pads the picture, converts its colours, and computes ``net-scale-factor * (x - offsets)`` into
float32 NCHW. A deviation a channel, which one factor cannot say, stays in the ONNX as its first layer.
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
from onnx import helper

from contracts.errors import ModelFileError
from contracts.model_spec import InputSpec
from converters.fold import PREFIX

CONFIG_NAME = "config_infer_primary.txt"
LABELS_NAME = "labels.txt"
SECTION = "property"

# The keys that are written, and what NVIDIA says of them: "Gst-nvinfer", table "Gst-nvinfer File Configuration
# Specifications, Property Group" (DeepStream 6.2 to 9.0).
KEYS: Mapping[str, str] = {
    "gpu-id": "device",
    "gie-unique-id": "names the element in metadata, above 0",
    "process-mode": "1: whole frames",
    "network-type": "100: nothing is parsed, for who reads the raw tensors",
    "network-mode": "0 FP32, 1 INT8, 2 FP16",
    "onnx-file": "the model, relative to the file",
    "labelfile-path": "labels, one a line, relative to the file",
    "batch-size": "frames at once",
    "infer-dims": "channels;height;width",
    "network-input-order": "0: NCHW",
    "model-color-format": "0 RGB, 1 BGR, 2 GRAY",
    "net-scale-factor": "multiplies what is left after the offsets",
    "offsets": "taken off each channel, in the order of model-color-format",
    "maintain-aspect-ratio": "1: scaled alike in both directions and padded",
    "symmetric-padding": "1: padded on both sides, 0: on the right and below",
    "output-tensor-meta": "1: the raw output tensors are attached as metadata",
    "workspace-size": "MiB that the builder may take",
}
_NETWORK_MODE = {"fp32": 0, "int8": 1, "fp16": 2}
_COLOR_FORMAT = {"rgb": 0, "bgr": 1, "gray": 2}
_RAW_TENSORS = 100


def one_factor(spec: InputSpec) -> bool:
    """Whether nvinfer's one factor says what the model's deviations do."""
    return len(set(spec.std)) == 1


def strip_preparation(model: onnx.ModelProto, spec: InputSpec) -> onnx.ModelProto:
    """A copy of a folded model that takes what nvinfer gives: float32 ``(1, channels, height, width)``.

    Args:
        model: with the preparation in it, its nodes named as `converters.fold` does.
        spec: what model.toml says of the input.
    """
    stripped = onnx.ModelProto()
    stripped.CopyFrom(model)
    graph = stripped.graph
    steps = [node for node in graph.node if node.name.startswith(PREFIX)]
    ends = {name for node in steps for name in node.output} - {name for node in steps for name in node.input}
    kept = [] if one_factor(spec) else steps[-1:]
    name = graph.input[0].name
    for node in graph.node:
        for place, tensor in enumerate(node.input):
            if tensor in ends or (node in kept and place == 0):
                node.input[place] = kept[0].output[0] if kept and tensor in ends else name
    nodes = [node for node in graph.node if node not in steps or node in kept]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(copies)
    used = {tensor for node in copies for tensor in node.input}
    constants = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(constants)
    shape = (1, spec.channels, spec.height, spec.width)
    graph.input[0].CopyFrom(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
    return onnx.shape_inference.infer_shapes(stripped, data_prop=True)


def settings(spec: InputSpec, precision: str, workspace_mib: int) -> Mapping[str, str]:
    """The keys of the configuration file and their values.

    Args:
        spec: what model.toml says of the input.
        precision: ``fp32``, ``fp16`` or ``int8``.
        workspace_mib: memory that the builder may take.
    """
    written: dict[str, object] = {
        "gpu-id": 0,
        "gie-unique-id": 1,
        "process-mode": 1,
        "network-type": _RAW_TENSORS,
        "network-mode": _NETWORK_MODE[precision],
        "onnx-file": "model.onnx",
        "labelfile-path": LABELS_NAME,
        "batch-size": 1,
        "infer-dims": f"{spec.channels};{spec.height};{spec.width}",
        "network-input-order": 0,
        "model-color-format": _COLOR_FORMAT[spec.color],
        "net-scale-factor": repr(1.0 / spec.std[0]) if one_factor(spec) else "1.0",
        "maintain-aspect-ratio": int(spec.resize != "stretch"),
        "symmetric-padding": int(spec.resize == "letterbox"),
        "output-tensor-meta": 1,
        "workspace-size": workspace_mib,
    }
    if any(spec.mean):
        means = spec.mean * (spec.channels // len(spec.mean))
        written["offsets"] = ";".join(repr(value) for value in means)
    return {key: str(value) for key, value in written.items()}


def write_config(folder: Path, values: Mapping[str, str], labels: Sequence[str]) -> Path:
    """Write the configuration and the labels, and read the former back.

    Returns:
        The configuration file.

    Raises:
        ModelFileError: what is read back is not what was meant, or holds a key that nvinfer does not know.
    """
    file = folder / CONFIG_NAME
    lines = [f"[{SECTION}]", *(f"{key}={value}" for key, value in values.items())]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / LABELS_NAME).write_text("\n".join(labels) + "\n", encoding="utf-8")
    if read_config(file) != dict(values):
        raise ModelFileError(f"{file}: expected the settings that were written, got others; report it")
    return file


def read_config(file: Path) -> Mapping[str, str]:
    """The settings of a configuration file.

    Raises:
        ModelFileError: it is no such file, or has a key that nvinfer's documentation does not know.
    """
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign] # keys as they are
    try:
        parser.read_string(file.read_text(encoding="utf-8"))
        found = dict(parser[SECTION])
    except (configparser.Error, KeyError) as error:
        raise ModelFileError(f"{file}: expected nvinfer's [{SECTION}], got something else ({error})") from None
    unknown = sorted(found.keys() - KEYS.keys())
    if unknown:
        raise ModelFileError(f"{file}: nvinfer knows no key {unknown[0]!r}; take it out")
    return found
