"""From trained weights to a model directory: ONNX, ``model.toml``, and the proof that both networks agree."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from tools.zoo.augment import network_input
from tools.zoo.data import Split
from tools.zoo.models import parameter_count
from tools.zoo.pictures import load_pictures
from tools.zoo.recipes import Recipe

OPSET = 17
IR_VERSION = 8
"""What opset 17 came with: old runtimes on old boxes refuse a newer one."""

CHECK_PICTURES = 8
TOLERANCE = 1e-3
"""Largest difference of a cell's density that rounding may make, vehicles."""

MODEL_TOML = """name = "{name}"
version = "1.0.0"
labels = ["vehicle"]

[input]
width = {side}
height = {side}
color = "rgb"
mean = [{mean}]
std = [{std}]
resize = "stretch"

[output]
decoder = "density"
"""


def export(model: nn.Module, recipe: Recipe, folder: Path, data: Path, split: Split) -> None:
    """Writes ``model.onnx``, ``model.toml`` and ``training.json``; nothing is left behind where the check fails.

    Raises:
        ValueError: ONNX Runtime and torch differ by more than rounding.
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / "model.onnx.partial"
    partial.write_bytes(onnx_bytes(model, recipe))
    difference = largest_difference(model, recipe, partial, data, split)
    if difference > TOLERANCE:
        partial.unlink()
        raise ValueError(f"ONNX and torch should agree within {TOLERANCE} vehicles per cell, differ by {difference:g}")
    partial.replace(folder / "model.onnx")
    numbers = {"mean": ", ".join(map(str, recipe.mean)), "std": ", ".join(map(str, recipe.std))}
    (folder / "model.toml").write_text(MODEL_TOML.format(name=recipe.name, side=recipe.side, **numbers))
    (folder / "training.json").write_text(json.dumps(_facts(model, recipe, split, difference), indent=1) + "\n")
    print(
        f"{folder / 'model.onnx'}: {(folder / 'model.onnx').stat().st_size} bytes, largest difference {difference:.2g}"
    )


def onnx_bytes(model: nn.Module, recipe: Recipe) -> bytes:
    """The network as ONNX: static shapes, batch norm folded, no traces of the machine that made it."""
    import io

    buffer = io.BytesIO()
    sample = torch.zeros(1, 3, recipe.side, recipe.side)
    names: dict[str, Any] = {"input_names": ["image"], "output_names": ["density"], "opset_version": OPSET}
    torch.onnx.export(model.eval().cpu(), (sample,), buffer, dynamo=False, **names)
    proto = onnx.load_from_string(buffer.getvalue())
    proto.ir_version = IR_VERSION
    proto.producer_name, proto.producer_version, proto.doc_string = "edgetally-zoo", "", ""
    proto.graph.name = recipe.name
    for node in proto.graph.node:
        node.doc_string = ""
    del proto.metadata_props[:]
    onnx.checker.check_model(proto, full_check=True)
    return bytes(proto.SerializeToString())


def largest_difference(model: nn.Module, recipe: Recipe, path: Path, data: Path, split: Split) -> float:
    """How far the file's maps are from torch's on real pictures, vehicles per cell."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    chosen = split.train[:: max(1, len(split.train) // CHECK_PICTURES)]
    worst = 0.0
    for picture in load_pictures(data, chosen):
        image = network_input(picture, recipe)
        with torch.no_grad():
            wanted = model(torch.from_numpy(image)).numpy()
        came = np.asarray(session.run(["density"], {"image": image})[0])
        worst = max(worst, float(np.abs(came - wanted).max()))
    return worst


def _facts(model: nn.Module, recipe: Recipe, split: Split, difference: float) -> dict[str, Any]:
    """What the card says about how the model came to be."""
    return {
        "recipe": asdict(recipe),
        "recipe_digest": recipe.digest,
        "parameters": parameter_count(model),
        "train_clips": sorted({s.clip for s in split.train}),
        "train_pictures": len(split.train),
        "onnx_torch_largest_difference": difference,
        "torch": torch.__version__.split("+")[0],
    }
