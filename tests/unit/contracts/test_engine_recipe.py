"""A recipe survives being written, refuses what contradicts itself, and chooses for small boards."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from contracts.engine_recipe import EngineRecipe, LowMemory
from contracts.facts import Requirement


def recipe(**changes: Any) -> EngineRecipe:
    tensor = {"name": "image", "dtype": "uint8", "shape": [1, 8, 8, 3]}
    document = {
        "generation": "8.6",
        "requires": [{"fact": "runtime.tensorrt", "at_least": "8.6", "below": "10.0"}],
        "onnx": "model.onnx",
        "precision": "int8",
        "strongly_typed": False,
        "flags": ["FP16", "INT8"],
        "inputs": [tensor],
        "outputs": [tensor],
        "workspace_mib": 1024,
    }
    return EngineRecipe.model_validate(document | changes)


def test_it_survives_being_written() -> None:
    one = recipe(low_memory=[{"below_mb": 4000, "workspace_mib": 256}], float_layers=["a"])
    assert EngineRecipe.model_validate_json(one.model_dump_json(exclude_none=True)) == one
    assert one.requires == (Requirement(fact="runtime.tensorrt", at_least="8.6", below="10.0"),)


@pytest.mark.parametrize(
    "changes",
    [
        {"generation": "9.1"},
        {"onnx": "../model.onnx"},
        {"onnx": "folder/model.onnx"},
        {"onnx": ".hidden"},
        {"precision": "bf16"},
        {"strongly_typed": True},
        {"strongly_typed": True, "flags": [], "float_layers": ["a"]},
        {"flags": ["STRIP_PLAN"]},
        {"inputs": []},
        {"workspace_mib": 0},
        {"builder_optimization_level": 6},
        {"low_memory": [{"below_mb": 8, "workspace_mib": 1}, {"below_mb": 4, "workspace_mib": 1}]},
    ],
    ids=str,
)
def test_what_cannot_be_built_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        recipe(**changes)


@pytest.mark.parametrize(
    ("memory_mb", "workspace", "level"), [(None, 1024, 3), (1900, 128, 1), (3000, 256, None), (64_000, 1024, 3)]
)
def test_the_smallest_variant_that_applies_wins(memory_mb: int | None, workspace: int, level: int | None) -> None:
    one = recipe(
        builder_optimization_level=3,
        low_memory=[
            LowMemory(below_mb=3000, workspace_mib=128, builder_optimization_level=1),
            LowMemory(below_mb=6000, workspace_mib=256),
        ],
    )
    chosen = one.for_memory(memory_mb)
    assert (chosen.workspace_mib, chosen.builder_optimization_level) == (workspace, level)
