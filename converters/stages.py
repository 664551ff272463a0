"""Cutting a network in two at tensors that model.toml names: the accelerator's stage, and the host processor's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx.utils import Extractor

from contracts.errors import ModelFileError, did_you_mean
from contracts.manifest import HostStage, TensorInfo
from converters.read import first_line, input_name
from runtime.artifact_lanes import HOST_BACKEND

HOST_FILE = "host.onnx"
_OPEN = -1  # a size that depends on the picture


def with_ends(file: Path, model: onnx.ModelProto, ends: Sequence[str]) -> onnx.ModelProto:
    """A copy that gives out the tensors at which the first stage ends, before its own outputs.

    Args:
        file: the model that a person knows, for the error's text.
        model: as `converters.read.read_onnx` gives it.
        ends: names of the tensors.

    Raises:
        ModelFileError: there is no such tensor, or it is no tensor between the two.
    """
    known = {value.name: value for value in model.graph.value_info}
    outputs = {value.name for value in model.graph.output}
    for name in ends:
        if name in outputs or name == input_name(model):
            raise ModelFileError(f"{file}: 'stage.ends' names {name!r}, which is an end of the whole network")
        if name not in known:
            made = sorted(output for node in model.graph.node for output in node.output if output)
            look = did_you_mean(name, made) or "; look for the name in a viewer such as Netron"
            raise ModelFileError(f"{file}: 'stage.ends' names {name!r}, which the network does not have{look}")
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    own = list(shown.graph.output)
    del shown.graph.output[:]
    shown.graph.output.extend([*(known[name] for name in ends), *own])
    return shown


def cut(file: Path, model: onnx.ModelProto, ends: Sequence[str]) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """The two stages of a model that `with_ends` gave.

    Args:
        file: the model that a person knows, for the error's text.
        model: whose outputs begin with ``ends``.
        ends: names of the tensors between the two.

    Raises:
        ModelFileError: the second stage needs more than these tensors.
    """
    outputs = [value.name for value in model.graph.output][len(ends) :]
    first = _extract(file, model, [input_name(model)], ends)
    rest = _extract(file, model, ends, outputs)
    needed = {name for node in rest.graph.node for name in node.input}
    unused = [name for name in ends if name not in needed]
    if unused:
        raise ModelFileError(
            f"{file}: 'stage.ends' names {unused[0]!r}, which the next stage does not take; leave it out"
        )
    return first, rest


def _extract(file: Path, model: onnx.ModelProto, inputs: Sequence[str], outputs: Sequence[str]) -> onnx.ModelProto:
    between = ", ".join(inputs if len(inputs) > 1 else outputs)
    try:
        part = Extractor(model).extract_model(list(inputs), list(outputs))
        part.ir_version = model.ir_version
        onnx.checker.check_model(part, full_check=True)
    except Exception as error:  # its exceptions share no base class
        raise ModelFileError(
            f"{file}: cannot be cut at {between}: the next stage takes more than these tensors ({first_line(error)}); "
            "name all of them in 'stage.ends'"
        ) from error
    return part


def host_stage(name: str, file: Path, entry: str) -> HostStage:
    """What the manifest says of the stage on the host processor.

    Args:
        name: of the stage.
        file: its network, which `cut` gave.
        entry: path of that file, relative to the bundle.
    """
    model = onnx.load(file)
    return HostStage(
        name=name,
        backend=HOST_BACKEND,
        entry=entry,
        inputs=tuple(map(_info, model.graph.input)),
        outputs=tuple(map(_info, model.graph.output)),
    )


def _info(value: onnx.ValueInfoProto) -> TensorInfo:
    kind = value.type.tensor_type
    sizes = (int(dim.dim_value) if dim.HasField("dim_value") else _OPEN for dim in kind.shape.dim)
    return TensorInfo(
        name=value.name, dtype=str(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)), shape=tuple(sizes)
    )
