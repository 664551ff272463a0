"""The card and its figures come from JSON alone."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tools.zoo.card import render, write_card
from tools.zoo.metrics import advantage, errors, per_clip
from tools.zoo.recipes import RECIPES, recipe_for

TRUTH = np.array([1.0, 3.0, 10.0, 14.0])
METHODS = {"vehicle-density": np.array([1.5, 2.5, 11.0, 15.0]), "mean of training counts": np.full(4, 7.0)}


def evaluation() -> dict[str, Any]:
    table = {name: errors(TRUTH, counted).as_json() for name, counted in METHODS.items()}
    one = table["vehicle-density"]
    clips = per_clip([2, 2, 8, 8], TRUTH, METHODS)
    return {
        "model": "vehicle-density",
        "test_clips": [2, 8],
        "methods": table,
        "advantage": {"mean of training counts": advantage(TRUTH, *METHODS.values())},
        "clips": clips,
        "cross_validation": {"steps": 300, "batch": 8, "all": one, "mean_over_clips": 1.23, "clips": clips},
        "synthetic": {"the demo's road": one},
        "latency": {"runtime": "openvino 2026.4.1", "f32_cpu_ms": 12.3, "bf16_cpu_ms": 6.5},
    }


def training() -> dict[str, Any]:
    return {
        "recipe": asdict(recipe_for("vehicle-density")),
        "parameters": 700_000,
        "train_clips": [1, 3],
        "train_pictures": 32,
        "onnx_torch_largest_difference": 2e-6,
    }


def test_errors_are_what_they_say() -> None:
    found = errors(TRUTH, METHODS["vehicle-density"])
    assert (found.mae, found.bias) == (0.75, 0.5)
    assert found.rmse == pytest.approx(np.sqrt(2.5 / 4))
    assert found.mae_low <= found.mae <= found.mae_high


def test_no_pictures_give_no_figure() -> None:
    with pytest.raises(ValueError, match="at least one"):
        errors(np.zeros(0), np.zeros(0))


def test_the_card_shows_what_was_measured() -> None:
    text = render(evaluation(), training(), size=2_900_000)
    for figure in (
        "2.9 MB",
        "12.3 ms",
        "| vehicle-density | 4 | 7.00 | 0.75 |",
        "Mean of the clips' MAE: 1.23",
        "CC BY 4.0",
    ):
        assert figure in text


def test_the_card_stands_without_a_cross_validation() -> None:
    text = render({**evaluation(), "cross_validation": None}, training(), size=1)
    assert "Cross-validation" not in text


def test_a_card_needs_its_measurement(tmp_path: Path) -> None:
    (tmp_path / "training.json").write_text(json.dumps(training()))
    with pytest.raises(FileNotFoundError, match=r"tools\.zoo evaluate"):
        write_card(tmp_path)


def test_the_shipped_card_is_the_generated_one() -> None:
    folder = Path(__file__).parents[3] / "models" / "vehicle-density"
    found = {name: json.loads((folder / name).read_text()) for name in ("evaluation.json", "training.json")}
    size = (folder / "model.onnx").stat().st_size
    assert (folder / "README.md").read_text() == render(found["evaluation.json"], found["training.json"], size)


def test_another_recipe_has_another_digest() -> None:
    recipe = recipe_for("vehicle-density")
    assert recipe.digest != recipe.with_changes({"steps": 1}).digest
    with pytest.raises(KeyError, match="expected a model out of"):
        recipe_for("nothing")
    assert {recipe.name for recipe in RECIPES.values()} == set(RECIPES)
