"""A model directory: ``model.toml`` and the one model file beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from contracts.errors import ModelFileError
from contracts.model_spec import ModelSpec
from runtime.documents import read_toml

SPEC_NAME = "model.toml"
MODEL_NAMES = ("model.onnx", "model.xml", "model.tflite")


@dataclass(frozen=True)
class ModelDir:
    """What a model directory holds.

    Args:
        path: the directory.
        spec: its model.toml.
        model_file: its ``model.onnx``, ``model.xml`` (with ``model.bin``) or ``model.tflite``.
    """

    path: Path
    spec: ModelSpec
    model_file: Path


def read_model_dir(path: Path) -> ModelDir:
    """Read a model directory.

    Raises:
        DocumentError: model.toml is missing or wrong.
        ModelFileError: there is no model file, or more than one.
    """
    spec = read_toml(ModelSpec, path / SPEC_NAME)
    found = [path / name for name in MODEL_NAMES if (path / name).is_file()]
    if len(found) != 1:
        came = ", ".join(file.name for file in found) or "none of them"
        raise ModelFileError(
            f"{path}: expected one of {', '.join(MODEL_NAMES)} beside {SPEC_NAME}, got {came}; "
            "put the model there under that name"
        )
    return ModelDir(path, spec, found[0])
