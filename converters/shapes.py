"""Does the model's input agree with model.toml, and do its outputs have one size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from contracts.errors import ModelFileError
from contracts.model_spec import InputSpec

Dimension = int | str | None
"""A size, the name of a size that is open, or None where it is open and has no name."""

_AXES = ("batch", "channels", "height", "width")
_CHANNELS = 1  # the axis that may not be open: how many there are decides what the colours mean


def fitted_shape(file: Path, name: str, shape: Sequence[Dimension], spec: InputSpec) -> tuple[int, int, int, int]:
    """The static shape ``(1, channels, height, width)`` of the model's input.

    Open batch, height and width are taken from model.toml.

    Args:
        file: the model, for the error's text.
        name: its input.
        shape: what the file declares.
        spec: what model.toml declares.

    Raises:
        ModelFileError: the two disagree; both numbers are named.
    """
    if len(shape) != len(_AXES):
        raise ModelFileError(
            f"{file}: expected input {name!r} with 4 dimensions (batch, channels, height, width), "
            f"got {len(shape)} ({_written(shape)}); export the model with pictures as NCHW"
        )
    if shape[3] == spec.channels and shape[_CHANNELS] not in {spec.channels, None}:
        raise ModelFileError(
            f"{file}: expected input {name!r} as NCHW with {spec.channels} channels second, got {_written(shape)}, "
            "which looks like NHWC; export the model as NCHW"
        )
    wanted = (1, spec.channels, spec.height, spec.width)
    for axis, declared, want in zip(_AXES, shape, wanted, strict=True):
        _check_axis(file, name, axis, declared, want, spec)
    return wanted


def check_static(file: Path, output: str, shape: Sequence[Dimension]) -> tuple[int, ...]:
    """The shape of an output, refused where it depends on the picture.

    Raises:
        ModelFileError: a dimension is open; it is named.
    """
    for number, size in enumerate(shape):
        if not isinstance(size, int):
            raise ModelFileError(
                f"{file}: expected output {output!r} to have one size, its dimension {number} is {_shown(size)}; "
                "export the model with a fixed input size and without NMS"
            )
    return tuple(size for size in shape if isinstance(size, int))


def _check_axis(file: Path, name: str, axis: str, declared: Dimension, want: int, spec: InputSpec) -> None:
    if isinstance(declared, int):
        if declared != want:
            source = f"color {spec.color!r}" if axis == "channels" else axis
            said = "edgetally runs one picture at a time" if axis == "batch" else f"model.toml's {source} gives"
            raise ModelFileError(
                f"{file}: input {name!r} has {axis} {declared}, {said}"
                f"{'' if axis == 'batch' else f' {want}'}; change one of the two"
            )
    elif axis == "channels":
        raise ModelFileError(
            f"{file}: expected input {name!r} with {want} channels, its channel dimension is {_shown(declared)}; "
            "export the model with a fixed number of channels"
        )


def _written(shape: Sequence[Dimension]) -> str:
    return "x".join("?" if size is None else str(size) for size in shape)


def _shown(size: Dimension) -> str:
    return f"open ({size!r})" if isinstance(size, str) else "open and has no name"
