"""Taking the one output that a decoder reads, refused with both shapes where it is another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ArtifactError
from runtime.results import Tensors


def only_output(outputs: Tensors, decoder: str, shape: tuple[int | None, ...]) -> NDArray[np.float32]:
    """The single output as float32.

    Args:
        outputs: what the lane returned.
        decoder: name of the decoder, for the error's text.
        shape: the shape expected; None stands for any size.

    Raises:
        ArtifactError: there is not exactly one, its shape differs, or it holds a NaN or infinity.
    """
    if len(outputs) != 1:
        raise ArtifactError(
            f"decoder {decoder!r} expects one output, the model gives {len(outputs)} ({', '.join(outputs)}); "
            "choose another decoder in model.toml"
        )
    ((name, value),) = outputs.items()
    fits = value.ndim == len(shape) and all(want in {None, came} for want, came in zip(shape, value.shape, strict=True))
    if not fits:
        wanted = "x".join("?" if size is None else str(size) for size in shape)
        came = "x".join(map(str, value.shape))
        raise ArtifactError(
            f"decoder {decoder!r} expects output {name!r} as {wanted}, the model gives {came}; "
            "check labels, size and decoder in model.toml"
        )
    # A sum is NaN or infinite as soon as one value is, and reads the array once.
    if not np.isfinite(value.sum(dtype=np.float64)):
        raise ArtifactError(f"output {name!r} holds NaN or infinity: this artifact does not work on this device")
    return value.astype(np.float32, copy=False)
