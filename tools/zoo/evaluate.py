"""Measures the exported files, not the training's idea of them, on clips that no training saw."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from rich.console import Console
from rich.table import Table

from tools.zoo.augment import Picture, network_input
from tools.zoo.baselines import YOLOX, constant_counts, yolox_counts
from tools.zoo.crossval import saved_folds
from tools.zoo.data import TEST_CLIPS, load_samples, split_by_clip
from tools.zoo.metrics import Counts, advantage, errors, per_clip
from tools.zoo.pictures import load_pictures
from tools.zoo.recipes import Recipe, recipe_for
from tools.zoo.road import SIDE, TEST_SEEDS, painted

PROTOTYPE = "prototype"
DETECTOR = "yolox_nano_416"
CONSTANT = "mean of training counts"


def evaluate(recipe: Recipe, folder: Path, data: Path, build: Path) -> dict[str, Any]:
    """Measures a model and the baselines on the same held-out pictures; keeps the result as ``evaluation.json``.

    Args:
        recipe: of the model.
        folder: the model directory.
        data: folder of the data set, two below the shared data folder.
        build: where the prototype and cross-validations lie.
    """
    split = split_by_clip(load_samples(data), TEST_CLIPS)
    pictures = load_pictures(data, split.held_out)
    truth = np.array([s.count for s in split.held_out], np.float64)
    train = np.array([s.count for s in split.train if s.complete], np.float64)
    counted: dict[str, Counts] = {
        recipe.name: onnx_counts(folder / "model.onnx", recipe, pictures),
        DETECTOR: yolox_counts(data.parent.parent / YOLOX, pictures),
        PROTOTYPE: onnx_counts(build / PROTOTYPE / "model.onnx", recipe_for(PROTOTYPE), pictures),
        CONSTANT: constant_counts(train, len(truth)),
    }
    result = {
        "model": recipe.name,
        "test_clips": list(TEST_CLIPS),
        "methods": {name: errors(truth, values).as_json() for name, values in counted.items()},
        "advantage": {n: advantage(truth, counted[recipe.name], v) for n, v in counted.items() if n != recipe.name},
        "clips": per_clip([s.clip for s in split.held_out], truth, counted),
        "cross_validation": saved_folds(recipe, build),
        "synthetic": _synthetic(folder / "model.onnx", recipe),
        "latency": latency(folder / "model.onnx", recipe),
    }
    (folder / "evaluation.json").write_text(json.dumps(result, indent=1) + "\n")
    return result


def onnx_counts(model: Path, recipe: Recipe, pictures: Sequence[Picture]) -> Counts:
    """Counts ``(n,)`` of whole RGB pictures by an exported model."""
    if not model.is_file():
        raise FileNotFoundError(
            f"expected a trained model at {model}; run: python -m tools.zoo train --model {recipe.name}"
        )
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    maps = (session.run(["density"], {"image": network_input(picture, recipe)})[0] for picture in pictures)
    return np.array([float(np.asarray(density).sum()) for density in maps], np.float64)


def _synthetic(model: Path, recipe: Recipe) -> dict[str, Any]:
    """Errors on synthetic roads of other seeds than the training's: all of them, and the demo's own by itself."""
    result: dict[str, Any] = {}
    for name, seeds in ((f"roads of {len(TEST_SEEDS)} seeds", TEST_SEEDS), ("the demo's road", range(1))):
        pairs = painted(seeds, SIDE)
        truth = np.array([len(boxes) for _, boxes in pairs], np.float64)
        result[name] = errors(truth, onnx_counts(model, recipe, [picture for picture, _ in pairs])).as_json()
    return result


def latency(model: Path, recipe: Recipe, runs: int = 60) -> dict[str, Any]:
    """CPU milliseconds per inference on one thread in OpenVINO; f32 keeps bfloat16 units out of it.

    CPU time, not the clock's: on a shared machine the latter measures the neighbours.
    """
    import openvino as ov

    image = np.zeros((1, 3, recipe.side, recipe.side), np.float32)
    result: dict[str, Any] = {"runtime": f"openvino {ov.__version__.split('-')[0]}", "threads": 1}
    for precision in ("f32", "bf16"):
        settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": precision}
        request = ov.Core().compile_model(str(model), "CPU", settings).create_infer_request()
        times = []
        for _ in range(runs):
            began = time.process_time()
            request.infer([image])
            times.append(1000 * (time.process_time() - began))
        result[f"{precision}_cpu_ms"] = round(float(np.median(times)), 2)
    return result


def print_table(result: Mapping[str, Any]) -> None:
    """The result for people."""
    table = Table(title=f"held-out clips {result['test_clips']}, vehicles a picture")
    for heading in ("method", "MAE", "95 %", "RMSE", "bias", *(f"MAE clip {row['clip']}" for row in result["clips"])):
        table.add_column(heading)
    for name, of in result["methods"].items():
        clips = (f"{row['methods'][name]['mae']:.2f}" for row in result["clips"])
        interval = f"{of['mae_low']:.2f} to {of['mae_high']:.2f}"
        table.add_row(name, f"{of['mae']:.2f}", interval, f"{of['rmse']:.2f}", f"{of['bias']:+.2f}", *clips)
    Console(width=140).print(table)
    print("synthetic road", json.dumps(result["synthetic"]))
    print("latency", json.dumps(result["latency"]))
    print("advantage", json.dumps(result["advantage"]))
