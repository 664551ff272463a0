"""A target family whose artifacts count by a factor that a test chooses; ONNX Runtime really runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from contracts.errors import EdgetallyError
from contracts.manifest import TensorInfo
from converters.families.base import Emitted, Job, Recipe

Factor = Callable[[Recipe], float]


class ScaledFamily:
    """Writes the folded model with its output multiplied.

    Args:
        factor: by what, for a recipe.
        methods: of quantising.
        executed: what it says of what ran.
        refuses: raised instead of writing anything.
    """

    def __init__(
        self,
        factor: Factor = lambda _: 1.0,
        *,
        methods: tuple[str, ...] = ("cheap", "dear"),
        executed: Mapping[str, int] | None = None,
        refuses: EdgetallyError | None = None,
    ) -> None:
        self.asked: list[Recipe] = []
        self._factor = factor
        self._methods = methods
        self._executed = executed
        self._refuses = refuses

    def precisions(self, job: Job, wanted: tuple[str, ...]) -> tuple[str, ...]:
        del job
        return tuple(name for name in wanted if name in {"int8", "fp32"})

    def methods(self, job: Job, precision: str) -> tuple[str, ...]:
        del job
        return self._methods if precision == "int8" else ("",)

    def emit(self, job: Job, recipe: Recipe, folder: Path) -> Emitted:
        self.asked.append(recipe)
        if self._refuses:
            raise self._refuses
        assert job.folded is not None
        model = onnx.load(job.folded)
        multiply(model, self._factor(recipe))
        onnx.save(model, folder / "model.onnx")
        size = (1, job.spec.input.height, job.spec.input.width, 3)
        return Emitted(
            precision=recipe.precision,
            entry=folder / "model.onnx",
            inputs=(TensorInfo(name=model.graph.input[0].name, dtype="uint8", shape=size),),
            outputs=(TensorInfo(name=model.graph.output[0].name, dtype="float32", shape=(1, 1, 1, 1)),),
            rounded=recipe.precision == "int8",
            floors=(),
            toolchain={"fake": "1"},
        )

    def executed(self, emitted: Emitted, execution_precision: str) -> Mapping[str, int] | None:
        del emitted, execution_precision
        return self._executed


def multiply(model: onnx.ModelProto, factor: float) -> None:
    """Multiply a model's one output."""
    graph, (output,) = model.graph, model.graph.output
    for node in graph.node:
        node.output[:] = ["unscaled" if name == output.name else name for name in node.output]
    graph.initializer.append(numpy_helper.from_array(np.array(factor, np.float32), "factor"))
    graph.node.append(helper.make_node("Mul", ["unscaled", "factor"], [output.name], name="scaled"))
