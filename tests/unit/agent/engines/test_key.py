"""Which engine fits which box."""

from __future__ import annotations

from typing import Any

import pytest

from agent.engines.key import key_for, needs_engine
from contracts.errors import BundleError, DeviceError
from contracts.facts import FactValue
from contracts.manifest import Artifact, FileEntry, TensorInfo

FACTS: dict[str, FactValue] = {"runtime.tensorrt": "10.3.0.30", "gpu.sm": 87}
TENSOR = TensorInfo(name="image", dtype="uint8", shape=(1, 4, 4, 3))


def artifact(entry: str = "a/model.onnx", backend: str = "tensorrt", **digests: str) -> Artifact:
    given = {"a/model.onnx": "1", "a/recipe.json": "2", **digests}
    files = tuple(FileEntry(path=path, sha256=digit * 64, size=1) for path, digit in given.items())
    return Artifact(
        id="a", target="a", backend=backend, precision="int8", files=files, entry=entry, requires=(),
        inputs=(TENSOR,), outputs=(TENSOR,),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({"a/model.onnx": "3"}, {}),
        ({"a/recipe.json": "3"}, {}),
        ({}, {"runtime.tensorrt": "10.3.0.26"}),
        ({}, {"gpu.sm": 72}),
    ],
)
def test_anything_else_is_another_engine(changes: dict[str, str], facts: dict[str, Any]) -> None:
    same = key_for(artifact(), FACTS).folder
    assert key_for(artifact(), {**FACTS, "power_mode": "MAXN"}).folder == same
    assert key_for(artifact(**changes), FACTS | facts).folder != same


@pytest.mark.parametrize("missing", ["runtime.tensorrt", "gpu.sm"])
def test_a_box_that_does_not_say_what_it_has_is_refused(missing: str) -> None:
    with pytest.raises(DeviceError, match=f"this box has no {missing};"):
        key_for(artifact(), {name: value for name, value in FACTS.items() if name != missing})


def test_an_artifact_without_a_recipe_is_refused() -> None:
    bare = artifact()
    with pytest.raises(BundleError, match=r"recipe\.json"):
        key_for(bare.model_copy(update={"files": bare.files[:1]}), FACTS)


@pytest.mark.parametrize(
    ("entry", "backend", "needs"),
    [
        ("a/model.onnx", "tensorrt", True),
        ("a/recipe.json", "tensorrt", True),
        ("a/model.engine", "tensorrt", False),
        ("a/model.engine", "tensorrt_rtx", False),
        ("a/model.onnx", "onnxruntime", False),
    ],
)
def test_only_what_tensorrt_builds_from_needs_an_engine(entry: str, backend: str, needs: bool) -> None:
    assert needs_engine(artifact(entry, backend)) is needs
