"""Jobs of the NVIDIA families on a small network with every kind of block."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from contracts.model_spec import ModelSpec
from converters.families.base import Job
from converters.fold import fold
from tests.unit.converters.networks import SIDE
from tests.unit.converters.quantize.blocks import PICTURES, SPEC, block_net, written


def nvidia_job(
    folder: Path,
    options: Mapping[str, str],
    model: onnx.ModelProto | None = None,
    *,
    calibrated: bool = True,
    **changes: Any,
) -> Job:
    """A job with six calibration pictures; the changes go into ``[input]``."""
    spec = ModelSpec.model_validate(
        {
            "name": "tiny",
            "version": "1.0.0",
            "labels": ["vehicle", "person"],
            "input": {**SPEC.model_dump(), "width": SIDE, "height": SIDE, **changes},
            "output": {"decoder": "density"},
        }
    )
    path, pictures = written(folder, model or fold(block_net(), spec.input), PICTURES)
    origin = {"model": "tiny 1.0.0", "source_sha256": "0" * 64}
    return Job(spec, folder / "model.onnx", path, origin, folder, pictures if calibrated else None, options)
