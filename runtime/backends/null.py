"""A backend that computes nothing: each output is zeros of its declared shape. For measuring what is around inference.

Its model file is a JSON object of output names to ``{"dtype": ..., "shape": [...]}``. Nothing ever falls back to it,
and the agent refuses it for counting: its zeros are not counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from contracts.errors import ModelFileError
from runtime.backends.base import Lane, check_options
from runtime.results import Array, Tensors


class NullLane:
    """Returns the same zeros for every call."""

    def __init__(self, outputs: dict[str, Array]) -> None:
        self._outputs = outputs

    def infer(self, tensors: Tensors) -> Tensors:
        """Zeros, whatever comes."""
        del tensors
        return self._outputs

    def close(self) -> None:
        """Nothing to let go of."""


def open_lanes(
    model_file: Path, *, execution_precision: str, lanes: int, threads: int, options: Mapping[str, str]
) -> list[Lane]:
    """Lanes that return zeros of the shapes written in ``model_file``.

    Raises:
        ModelFileError: the file is not the JSON that the module's docstring describes.
    """
    del execution_precision, threads
    check_options("null", options)
    try:
        declared = json.loads(model_file.read_text())
        outputs = {name: np.zeros(info["shape"], np.dtype(info["dtype"])) for name, info in declared.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelFileError(
            f"{model_file}: expected a JSON object of outputs with dtype and shape, got something else ({error}); "
            "write one or choose another backend"
        ) from error
    return [NullLane(outputs) for _ in range(lanes)]
