"""What a build prepares, for a network that converts in a blink, on 16 pictures of the synthetic road for each role."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx

from converters.gate import Truth
from converters.preparing import Prepared, prepare
from converters.request import Request
from converters.source import open_model
from runtime.model_dir import read_model_dir
from targets.load import Target, load_target
from tests.unit.converters.networks import write_model_dir

PICTURES = 16


def tiny(folder: Path, model: onnx.ModelProto | None = None, **changes: Any) -> Prepared:
    """The counts of FP32 stand in for the truth: a network with random weights counts nothing real."""
    request = Request(write_model_dir(folder / "model", model, **changes), folder / "out", pictures=PICTURES)
    (folder / "scratch").mkdir()
    found = open_model(read_model_dir(request.model_dir))
    prepared = prepare(request, found, folder / "scratch", lambda _: None)
    counts = prepared.material.truth.reference
    return replace(prepared, material=replace(prepared.material, truth=Truth("reference", counts, counts)))


def target(**changes: Any) -> Target:
    """What ONNX Runtime on this host serves, whatever its processor."""
    plain = {"options": {}, "requires": (), "precisions": ("int8", "fp32")}
    return load_target("x86-onnxruntime").model_copy(update=plain | changes)
