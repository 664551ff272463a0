"""Leave-clips-out cross-validation: what recipes are chosen by, and how they do on more roads than the test has."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tools.zoo.data import FOLDS, TEST_CLIPS, Split, load_samples, split_by_clip
from tools.zoo.metrics import errors, per_clip
from tools.zoo.pictures import load_pictures
from tools.zoo.recipes import Recipe


def cross_validate(recipe: Recipe, data: Path, build: Path, folds: Sequence[int], threads: int) -> dict[str, Any]:
    """Trains once per fold without the fold's clips and the test clips, and counts the fold's pictures.

    Args:
        recipe: what to train.
        data: folder of the data set.
        build: where checkpoints and the result are kept.
        folds: indices into `FOLDS`; 0 is the test clips, which no choice may rest on.
        threads: of torch.
    """
    samples = load_samples(data)
    rows: list[tuple[int, int, float]] = []
    for fold in folds:
        rows += _fold(recipe, split_by_clip(samples, FOLDS[fold]), data, build, threads)
    clips, truth, counted = (list(column) for column in zip(*rows, strict=True))
    trained = {"steps": recipe.steps, "batch": recipe.batch, "digest": recipe.digest}
    result = {**trained, **summary(clips, truth, counted)}
    path = _path(recipe, build)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result))
    return result


def summary(clips: Sequence[int], truth: Sequence[float], counted: Sequence[float]) -> dict[str, Any]:
    """Errors over all pictures, and the mean over clips, which no long clip dominates."""
    true, came = np.array(truth, np.float64), np.array(counted, np.float64)
    table = per_clip(clips, true, {"model": came})
    by_clip = [row["methods"]["model"]["mae"] for row in table]
    return {"all": errors(true, came).as_json(), "mean_over_clips": round(float(np.mean(by_clip)), 3), "clips": table}


def _fold(recipe: Recipe, split: Split, data: Path, build: Path, threads: int) -> list[tuple[int, int, float]]:
    """(clip, true count, counted) of each of a fold's pictures."""
    from tools.zoo.train import predict, train

    clips = sorted({s.clip for s in split.held_out})
    away = "-".join(str(clip) for clip in sorted({*clips, *TEST_CLIPS}))
    model = train(recipe, split, data, build / "runs" / f"{recipe.name}-{recipe.digest}-without-{away}", threads)
    counted = predict(model, recipe, load_pictures(data, split.held_out))
    return [(s.clip, s.count, float(c)) for s, c in zip(split.held_out, counted, strict=True)]


def _path(recipe: Recipe, build: Path) -> Path:
    return build / "cross-validation" / f"{recipe.name}.json"


def saved_folds(recipe: Recipe, build: Path) -> dict[str, Any] | None:
    """The last cross-validation of this model, if there was one; it says how long and with which recipe it trained."""
    path = _path(recipe, build)
    return json.loads(path.read_text()) if path.is_file() else None


def print_folds(result: Mapping[str, Any]) -> None:
    """The result for people."""
    for row in result["clips"]:
        of = row["methods"]["model"]
        seen = f"{row['pictures']:2d} pictures, {row['mean_true']:5.2f} vehicles"
        print(f"clip {row['clip']:2d}: {seen}, MAE {of['mae']:.2f}, bias {of['bias']:+.2f}")
    every = result["all"]
    print(f"all: MAE {every['mae']:.3f}, RMSE {every['rmse']:.3f}, bias {every['bias']:+.3f}")
    print(f"mean over clips: MAE {result['mean_over_clips']:.3f}")
