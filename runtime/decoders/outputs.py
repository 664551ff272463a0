"""Taking the outputs that a decoder reads, refused with both shapes where they are others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from contracts.errors import ArtifactError
from runtime.results import Array, Tensors

Shape = tuple[int | None, ...]
"""The shape expected; None stands for any size."""


def only_output(outputs: Tensors, decoder: str, *shapes: Shape) -> NDArray[np.float32]:
    """The single output as float32.

    Args:
        outputs: what the lane returned.
        decoder: name of the decoder, for the error's text.
        shapes: those expected.

    Raises:
        ArtifactError: there is not exactly one, its shape differs, or it holds no finite numbers.
    """
    name, value = the_only(outputs, decoder)
    if not any(_fits(value, shape) for shape in shapes):
        raise ArtifactError(
            f"decoder {decoder!r} expects output {name!r} as {' or '.join(map(written, shapes))}, the model gives "
            f"{written(value.shape)}; check labels, size and decoder in model.toml"
        )
    return finite(name, value)


def the_only(outputs: Tensors, decoder: str) -> tuple[str, Array]:
    """Name and value of the single output, as it came.

    Raises:
        ArtifactError: there is not exactly one.
    """
    if len(outputs) != 1:
        raise ArtifactError(
            f"decoder {decoder!r} expects one output, the model gives {len(outputs)} ({', '.join(outputs)}); "
            "choose another decoder in model.toml"
        )
    ((name, value),) = outputs.items()
    return name, value


def named_outputs(
    outputs: Tensors, decoder: str, wanted: Mapping[str, Sequence[Shape]], names: BaseModel | None = None
) -> dict[str, NDArray[np.float32]]:
    """Several outputs by what they mean, as float32.

    A name declared in model.toml decides; else the one output with a shape that fits; else, of those that fit, the
    one whose name holds the wanted one. Outputs that nothing asks for are let be.

    Args:
        outputs: what the lane returned.
        decoder: name of the decoder, for the error's text.
        wanted: what is looked for, with the shapes that it may have.
        names: ``output.names`` of model.toml: what is looked for to the output's name, or None.

    Raises:
        ArtifactError: one is not found, several fit, a shape differs, or one holds no finite numbers.
    """
    chosen = {role: name for role, name in names or () if name is not None}
    for role, name in chosen.items():
        _check_declared(outputs, decoder, role, name, wanted[role])
    while (found := _next_found(outputs, wanted, chosen)) is not None:
        chosen |= found
    if missing := sorted(wanted.keys() - chosen.keys()):
        expected = ", ".join(f"{role} as {' or '.join(map(written, shapes))}" for role, shapes in wanted.items())
        came = ", ".join(f"{name!r} {written(value.shape)}" for name, value in outputs.items())
        cure = "labels, layout and the outputs' names" if names is None else "labels and output.names in model.toml"
        raise ArtifactError(
            f"decoder {decoder!r} expects {expected}; the model gives {came or 'nothing'}, in which "
            f"{' and '.join(missing)} cannot be told; check {cure}"
        )
    return {role: finite(name, outputs[name]) for role, name in chosen.items()}


def finite(name: str, value: Array) -> NDArray[np.float32]:
    """An output as float32, without a copy where it is that.

    Raises:
        ArtifactError: it holds something else than numbers, a NaN or an infinity.
    """
    if value.dtype.kind not in "fiu":
        raise ArtifactError(
            f"output {name!r} should hold numbers, got {value.dtype}; check which outputs the model was exported with"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        numbers: NDArray[np.float32] = value.astype(np.float32, copy=False)
        # A sum is NaN or infinite as soon as one value is, and reads the array once; large ones may overflow it.
        if not np.isfinite(numbers.sum()) and not np.isfinite(numbers).all():
            raise ArtifactError(f"output {name!r} holds NaN or infinity: this artifact does not work on this device")
    return numbers


def written(shape: Shape) -> str:
    """A shape for a person: ``1x?x85``."""
    return "x".join("?" if size is None else str(size) for size in shape) or "a single number"


def _check_declared(outputs: Tensors, decoder: str, role: str, name: str, shapes: Sequence[Shape]) -> None:
    if name not in outputs:
        raise ArtifactError(
            f"output.names.{role} of model.toml expects an output {name!r}, the model gives {', '.join(outputs)}; "
            "choose one of these"
        )
    if not any(_fits(outputs[name], shape) for shape in shapes):
        raise ArtifactError(
            f"decoder {decoder!r} expects {role} as {' or '.join(map(written, shapes))}, the model's {name!r} is "
            f"{written(outputs[name].shape)}; check labels and output.names in model.toml"
        )


def _fitting(outputs: Tensors, shapes: Sequence[Shape]) -> list[str]:
    return [name for name, value in outputs.items() if any(_fits(value, shape) for shape in shapes)]


def _next_found(
    outputs: Tensors, wanted: Mapping[str, Sequence[Shape]], chosen: Mapping[str, str]
) -> dict[str, str] | None:
    """One more that can be told: by its shape alone before any by its name."""
    taken = set(chosen.values())
    fitting = {
        role: [name for name in _fitting(outputs, shapes) if name not in taken]
        for role, shapes in wanted.items()
        if role not in chosen
    }
    hinted = {role: [name for name in names if role in name.lower()] for role, names in fitting.items()}
    for role, names in [*fitting.items(), *hinted.items()]:
        if len(names) == 1:
            return {role: names[0]}
    return None


def _fits(value: Array, shape: Shape) -> bool:
    return value.ndim == len(shape) and all(want in {None, came} for want, came in zip(shape, value.shape, strict=True))
