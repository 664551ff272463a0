"""Reading an OpenVINO IR (.xml with .bin) and running it as it was given, in FP32."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from contracts.errors import ModelFileError
from contracts.model_spec import InputSpec
from converters.read import first_line
from converters.reference import THREADS, checked
from converters.shapes import Dimension, check_static, fitted_shape
from runtime.backends.quiet_openvino import hints, ov, props
from runtime.results import Array, Tensors

_PRECISIONS = {"f32": "fp32", "f16": "fp16", "bf16": "bf16", "i8": "int8", "u8": "int8"}


def read_ir(file: Path) -> ov.Model:
    """Read an IR.

    Raises:
        ModelFileError: it, or the .bin beside it, is missing or damaged.
    """
    weights = file.with_suffix(".bin")
    for part in (file, weights):
        if not part.is_file():
            raise ModelFileError(f"{part}: expected an OpenVINO IR as .xml and .bin, there is none; copy both files")
    try:
        return ov.Core().read_model(file, weights)
    except RuntimeError as error:
        raise ModelFileError(
            f"{file}: OpenVINO does not read it ({first_line(error)}); copy .xml and .bin again"
        ) from error


def check_ir(file: Path, model: ov.Model, spec: InputSpec) -> str:
    """Check an IR against model.toml, and fix what it leaves open.

    Returns:
        Name of its input.

    Raises:
        ModelFileError: the two disagree, or an output has no fixed size.
    """
    if len(model.inputs) != 1:
        names = ", ".join(port.any_name for port in model.inputs)
        raise ModelFileError(
            f"{file}: expected one input, the picture, got {len(model.inputs)} ({names}); export the model with one"
        )
    port = model.inputs[0]
    name = str(port.any_name)
    if port.element_type != ov.Type.f32:
        kind = port.element_type.to_string()
        raise ModelFileError(f"{file}: expected input {name!r} as float32, got {kind}; export the model in float32")
    model.reshape({name: list(fitted_shape(file, name, _shape(port), spec))})
    for output in model.outputs:
        check_static(file, str(output.any_name), _shape(output))
    return name


def run_ir(file: Path, model: ov.Model, inputs: Sequence[Array]) -> list[Tensors]:
    """Run an IR in f32, whatever the processor would rather do.

    Raises:
        ModelFileError: OpenVINO refuses it, or an output is no tensor of finite numbers.
    """
    settings = {hints.inference_precision(): ov.Type.f32, props.inference_num_threads(): THREADS}
    names = [str(port.any_name) for port in model.outputs]
    try:
        request = ov.Core().compile_model(model, "CPU", settings).create_infer_request()
        results = [list(request.infer([value]).values()) for value in inputs]
    except RuntimeError as error:
        raise ModelFileError(
            f"{file}: OpenVINO does not run it ({first_line(error)}); export the model again"
        ) from error
    return [checked(file, dict(zip(names, values, strict=True))) for values in results]


def element_precision(model: ov.Model) -> str:
    """The precision of most of the weights' bytes ("fp32", "fp16", "int8")."""
    sizes: Counter[str] = Counter()
    for node in model.get_ops():
        if node.get_type_name() == "Constant":
            kind = node.get_output_element_type(0).to_string()
            sizes[_PRECISIONS.get(kind, "")] += node.get_byte_size()
    sizes.pop("", None)
    return max(sizes, key=lambda kind: sizes[kind]) if sizes else "fp32"


def _shape(port: ov.Output) -> list[Dimension]:
    return [size.get_length() if size.is_static else None for size in port.partial_shape]
