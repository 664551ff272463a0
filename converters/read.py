"""Reading an ONNX file so that everything after it may rely on it: checked, one uint8-able input, static shapes.

A file from outside may hold anything; whatever the ONNX library makes of it, what comes out of here is a model or a
`ModelFileError` of one sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import onnx
from onnx import external_data_helper, shape_inference, version_converter

from contracts.errors import ModelFileError
from contracts.manifest import TensorInfo
from contracts.model_spec import InputSpec
from converters.shapes import Dimension, check_static, fitted_shape

MIN_OPSET = 11  # folding and the runtimes' converters are exercised from here on
MAX_OPSET = 21  # what ONNX Runtime 1.20, the oldest allowed on a device, implements
NEW_OPSET = 17  # what others are converted to: read by everything from ONNX Runtime 1.12 and OpenVINO 2022.3 on
MAX_IR = 10  # onnx 1.23 writes newer ones, which ONNX Runtime before 1.22 refuses to load

_LIMIT = 1 << 31  # bytes; a protobuf message cannot be larger
_Result = TypeVar("_Result")


def read_onnx(file: Path, spec: InputSpec, *, refit: bool = False) -> onnx.ModelProto:
    """Read an ONNX file.

    Args:
        file: the ``.onnx``; its external data, if any, lies beside it.
        spec: what model.toml says of the input.
        refit: whether the model may be given another height and width than it was exported with.

    Returns:
        The checked model with one float32 input ``(1, channels, height, width)``, opset 11 to 21, IR version at
        most 10, and shapes inferred. Outputs may still be open: simplifying can settle them.

    Raises:
        ModelFileError: it cannot be taken; the sentence says why and what to do.
    """
    model = _load(file)
    _drop_weights_from_inputs(model)
    model.ir_version = min(model.ir_version, MAX_IR)
    _guarded(file, "is not a valid ONNX model", lambda: onnx.checker.check_model(model, full_check=True))
    model = _with_known_opset(file, model)
    if refit:
        _open_sizes(model)
    _fix_input(file, model, spec)
    inferred = _guarded(
        file,
        "has shapes that contradict each other at this input size",
        lambda: shape_inference.infer_shapes(model, strict_mode=True, data_prop=True),
    )
    # Written after the checks: conversion and inference may raise the version again.
    inferred.ir_version = min(
        MAX_IR, max(inferred.ir_version, onnx.helper.find_min_ir_version_for(inferred.opset_import))
    )
    return inferred


def input_name(model: onnx.ModelProto) -> str:
    """Name of the one input of a model that `read_onnx` gave."""
    return str(model.graph.input[0].name)


def output_shapes(file: Path, model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Every output's static shape, by name.

    Raises:
        ModelFileError: one is open; it and its dimension are named.
    """
    return {value.name: check_static(file, value.name, _shape(value)) for value in model.graph.output}


def input_infos(file: Path, model: onnx.ModelProto) -> tuple[TensorInfo, ...]:
    """The inputs as they stand in a file that was written; their sizes are fixed."""
    return tuple(_info(file, value, tuple(size.dim_value for size in _sizes(value))) for value in model.graph.input)


def output_infos(file: Path, model: onnx.ModelProto) -> tuple[TensorInfo, ...]:
    """The outputs as they stand in a file that was written.

    Raises:
        ModelFileError: one has no fixed size, or a type that NumPy has not.
    """
    shapes = output_shapes(file, model)
    return tuple(_info(file, value, shapes[value.name]) for value in model.graph.output)


def opset(model: onnx.ModelProto) -> int:
    """Version of the standard operator set that the model uses; 0 where it names none."""
    return max((entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), default=0)


def external_files(file: Path) -> list[Path]:
    """The files beside an ONNX file that hold weights of it, by name; it was read before."""
    graph = onnx.load(file, load_external_data=False).graph
    names = {
        external_data_helper.ExternalDataInfo(tensor).location
        for tensor in graph.initializer
        if external_data_helper.uses_external_data(tensor)
    }
    return [file.parent / name for name in sorted(names)]


def _load(file: Path) -> onnx.ModelProto:
    size = _size(file)
    if size == 0:
        raise ModelFileError(f"{file}: expected an ONNX model, the file is empty; export or copy it again")
    if size >= _LIMIT:
        raise ModelFileError(f"{file}: expected less than 2 GiB, got {size} bytes; export a smaller model")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ModelFileError(f"{file}: cannot be read: {error.strerror}; check the file's rights") from None
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:
        raise ModelFileError(
            f"{file}: expected an ONNX model, this is something else or damaged; export or copy it again"
        ) from error
    if not model.graph.node:
        raise ModelFileError(f"{file}: expected an ONNX model with operators, it holds none; export it again")
    _load_external(file, model)
    return model


def _size(file: Path) -> int:
    if not file.is_file():
        raise ModelFileError(f"{file}: expected an ONNX file, there is none; check the path")
    return file.stat().st_size


def _load_external(file: Path, model: onnx.ModelProto) -> None:
    """Bring weights that lie in files of their own into the model."""
    for tensor in model.graph.initializer:
        if not external_data_helper.uses_external_data(tensor):
            continue
        name = external_data_helper.ExternalDataInfo(tensor).location
        if not (file.parent / name).is_file():
            raise ModelFileError(
                f"{file}: expected its weights in {name!r} beside it, there is no such file; copy it there"
            )
    _guarded(
        file,
        "has weights in another file that cannot be read",
        lambda: external_data_helper.load_external_data_for_model(model, str(file.parent)),
    )


def _drop_weights_from_inputs(model: onnx.ModelProto) -> None:
    """Files of before IR version 4 list every weight as an input too; what has a value is no input."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) == len(model.graph.input):
        return
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, 4)


def _with_known_opset(file: Path, model: onnx.ModelProto) -> onnx.ModelProto:
    version = opset(model)
    if MIN_OPSET <= version <= MAX_OPSET:
        return model
    return _guarded(
        file,
        f"has opset {version}, expected {MIN_OPSET} to {MAX_OPSET}, and cannot be converted to {NEW_OPSET}",
        lambda: version_converter.convert_version(model, NEW_OPSET),
        cure=f"export it with opset {NEW_OPSET}",
    )


def _open_sizes(model: onnx.ModelProto) -> None:
    """Forget height and width of the input, and the outputs' shapes, which followed from them."""
    for value in model.graph.input:
        for dimension in value.type.tensor_type.shape.dim[2:]:
            dimension.ClearField("dim_value")
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")


def _fix_input(file: Path, model: onnx.ModelProto, spec: InputSpec) -> None:
    value = _only_input(file, model)
    shape = fitted_shape(file, value.name, _shape(value), spec)
    if any(output.name == value.name for output in model.graph.output):
        raise ModelFileError(f"{file}: input {value.name!r} is also an output; export the model without it")
    for dimension, size in zip(value.type.tensor_type.shape.dim, shape, strict=True):
        dimension.dim_value = size
    # Sizes inferred for an open input would contradict the fixed one.
    del model.graph.value_info[:]


def _only_input(file: Path, model: onnx.ModelProto) -> onnx.ValueInfoProto:
    inputs: list[onnx.ValueInfoProto] = list(model.graph.input)
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs) or "none"
        raise ModelFileError(
            f"{file}: expected one input, the picture, got {len(inputs)} ({names}); export the model with one"
        )
    kind = inputs[0].type.tensor_type.elem_type
    if kind != onnx.TensorProto.FLOAT:
        came = onnx.TensorProto.DataType.Name(kind) if kind in onnx.TensorProto.DataType.values() else str(kind)
        raise ModelFileError(
            f"{file}: expected input {inputs[0].name!r} as float32, got {came.lower()}; export the model in float32"
        )
    return inputs[0]


def _info(file: Path, value: onnx.ValueInfoProto, shape: tuple[int, ...]) -> TensorInfo:
    kind = value.type.tensor_type.elem_type
    try:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
    except KeyError:
        raise ModelFileError(f"{file}: {value.name!r} has an unknown type {kind}; export it again") from None
    return TensorInfo(name=value.name, dtype=str(dtype), shape=shape)


def _sizes(value: onnx.ValueInfoProto) -> Sequence[onnx.TensorShapeProto.Dimension]:
    dimensions: Sequence[onnx.TensorShapeProto.Dimension] = value.type.tensor_type.shape.dim
    return dimensions


def _shape(value: onnx.ValueInfoProto) -> list[Dimension]:
    return [_dimension(dimension) for dimension in _sizes(value)]


def _dimension(dimension: onnx.TensorShapeProto.Dimension) -> Dimension:
    if dimension.HasField("dim_value") and dimension.dim_value > 0:
        return int(dimension.dim_value)
    return str(dimension.dim_param) or None


def _guarded(file: Path, problem: str, work: Callable[[], _Result], cure: str = "export it again") -> _Result:
    """What the ONNX library raises on a damaged file shares no base class: make one sentence of it."""
    try:
        return work()
    except Exception as error:
        raise ModelFileError(f"{file}: {problem} ({first_line(error)}); {cure}") from error


def first_line(error: BaseException) -> str:
    """The part of a library's message that a person can use: its first line that says something, cut to 200."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]
