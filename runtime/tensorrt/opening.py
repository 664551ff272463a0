"""Opening lanes on an engine, for both backends: in this process, or in that of another Python that has TensorRT."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from contracts.engine_recipe import EngineRecipe
from contracts.errors import DeviceError
from runtime.backends.base import Lane, check_options
from runtime.tensorrt.api import Cudart, TensorRt, load_cudart, load_tensorrt
from runtime.tensorrt.cuda import Cuda
from runtime.tensorrt.engine import (
    check_execution_precision,
    check_layers,
    open_engine,
    recipe_beside,
)
from runtime.tensorrt.interpreter import PYTHON_OPTION, other_python
from runtime.tensorrt.lane import TensorRtLane

Kind = Literal["tensorrt", "tensorrt_rtx"]

GRAPH_OPTION = "cuda_graph"
_GRAPH = {"on": True, "off": False}


def open_lanes(
    kind: Kind,
    model_file: Path,
    *,
    execution_precision: str,
    lanes: int,
    options: Mapping[str, str],
) -> list[Lane]:
    """Lanes on an engine, after it was found to be what its recipe intended.

    Args:
        kind: the module that runs it.
        model_file: the engine; its recipe may lie beside it.
        execution_precision: "f32": in the types that the engine was built with, which cannot be changed.
        lanes: how many.
        options: ``cuda_graph`` = ``on`` or ``off``; ``python``, see `runtime.tensorrt.interpreter`, TensorRT only.

    Raises:
        ArtifactError: the engine is not for this device.
        DocumentError: the recipe beside it does not fit its model.
        DeviceError: this device cannot run it, or not so.
        RuntimeMissingError: TensorRT or CUDA's Python package is not here.
    """
    check_options(kind, options, {GRAPH_OPTION, PYTHON_OPTION} if kind == "tensorrt" else {GRAPH_OPTION})
    use_graph = _use_graph(options)
    recipe = recipe_beside(model_file)
    check_execution_precision(execution_precision, model_file.name)
    python = other_python(options.get(PYTHON_OPTION)) if kind == "tensorrt" else None
    if python is not None:
        if GRAPH_OPTION in options:
            raise DeviceError(f"{python} runs TensorRT without CUDA graphs; leave out the option {GRAPH_OPTION!r}")
        from runtime.tensorrt.runner_lane import open_runner_lanes

        return open_runner_lanes(python, model_file, recipe, lanes)
    modules = load_tensorrt(kind), load_cudart()
    return lanes_here(kind, modules, model_file, recipe, lanes=lanes, use_graph=use_graph)


def lanes_here(
    kind: Kind,
    modules: tuple[TensorRt, Cudart],
    model_file: Path,
    recipe: EngineRecipe | None,
    *,
    lanes: int,
    use_graph: bool,
) -> list[Lane]:
    """Lanes in this process; the engine is read once and shared. Raises as `open_lanes` does."""
    trt, cudart = modules
    opened = open_engine(trt, kind, model_file)
    if recipe is not None:
        inspector = opened.engine.create_engine_inspector()
        check_layers(inspector.get_engine_information(trt.LayerInformationFormat.JSON), recipe, model_file.name)
    cuda = Cuda(cudart)
    made: list[Lane] = []
    try:
        for _ in range(lanes):
            made.append(TensorRtLane(opened, cuda, use_graph=use_graph))  # noqa: PERF401 - to be closed on failure
    except Exception:
        for lane in made:
            lane.close()
        raise
    return made


def _use_graph(options: Mapping[str, str]) -> bool:
    wanted = options.get(GRAPH_OPTION, "on")
    if wanted not in _GRAPH:
        raise DeviceError(f"option {GRAPH_OPTION!r} should be on or off, got {wanted!r}; correct it")
    return _GRAPH[wanted]
