"""What the model computes: the file as it was given, in FP32, on pictures prepared in NumPy from model.toml.

This shares no code with folding, so that a mistake in either shows up as a parity error.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ModelFileError
from contracts.model_spec import InputSpec
from converters.read import first_line
from runtime.results import Array, Tensors

THREADS = 2
_BLUE, _GREEN, _RED = 0.114, 0.587, 0.299  # ITU-R BT.601 luma


def prepared(frame: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.float32]:
    """What the network itself takes.

    Args:
        frame: uint8 ``(1, height, width, 3)`` BGR.
        spec: what model.toml says of the input.

    Returns:
        float32 ``(1, channels, height, width)``.
    """
    blue, green, red = (frame[..., channel].astype(np.float64) for channel in range(3))
    planes = {
        "bgr": (blue, green, red),
        "rgb": (red, green, blue),
        "gray": (_BLUE * blue + _GREEN * green + _RED * red,),
    }[spec.color]
    means = spec.mean * (len(planes) // len(spec.mean))
    stds = spec.std * (len(planes) // len(spec.std))
    scaled = [(plane - mean) / std for plane, mean, std in zip(planes, means, stds, strict=True)]
    return np.stack(scaled, axis=1).astype(np.float32)


def run_onnx(file: Path, model: Path | bytes, name: str, inputs: Sequence[Array]) -> list[Tensors]:
    """Run an ONNX model in FP32 on ONNX Runtime's CPU provider.

    Args:
        file: the model that a person knows, for the error's text.
        model: path or bytes of what is run.
        name: of its input.
        inputs: one array a run.

    Returns:
        The outputs by name, one mapping a run.

    Raises:
        ModelFileError: ONNX Runtime refuses it, or an output is no tensor of finite numbers.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 4  # it writes to stderr what is raised anyway
    try:
        source = model if isinstance(model, bytes) else str(model)
        session = ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        results = [session.run(names, {name: value}) for value in inputs]
    except Exception as error:  # its exceptions share no base class
        raise ModelFileError(
            f"{file}: ONNX Runtime does not run it ({first_line(error)}); export the model with standard operators"
        ) from error
    return [checked(file, dict(zip(names, values, strict=True))) for values in results]


def checked(file: Path, outputs: dict[str, object]) -> Tensors:
    """The outputs of a reference run, copied.

    Raises:
        ModelFileError: one is no tensor, or holds a NaN or infinity: nothing could be compared with it.
    """
    tensors: dict[str, Array] = {}
    for name, value in outputs.items():
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
            raise ModelFileError(
                f"{file}: expected output {name!r} as a tensor of numbers; export the model without it"
            )
        if not np.isfinite(value).all():
            raise ModelFileError(
                f"{file}: output {name!r} holds NaN or infinity in FP32; check mean and std in model.toml and the model"
            )
        tensors[name] = value.copy()
    return tensors
