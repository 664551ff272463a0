"""How an engine is built with the TensorRT at hand: which of its calls and flags, how much memory; pure.

What exists in which release: ``max_workspace_size`` up to 8.x, ``set_memory_pool_limit`` from 8.4 (used from 8.5 on),
``builder_optimization_level`` from 8.6, ``EXPLICIT_BATCH`` needed below 10 and gone in 11, ``STRONGLY_TYPED`` from 10.0
and implied in 11, the precision flags gone in 11, ``IProgressMonitor`` from 10.0. Source: NVIDIA's TensorRT release
notes and its migration pages for 10 and 11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from contracts.documents import MachineModel
from contracts.engine_recipe import RECIPE_VERSION, EngineRecipe
from contracts.errors import DeviceError, ModelFileError
from contracts.facts import Facts, refusals, version_key

_POOLS_SINCE = (8, 5)
_LEVELS_SINCE = (8, 6)
_TYPED_SINCE = (10,)
_ONLY_TYPED_SINCE = (11,)
_SMALL_SOURCES = ("EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS")
"""TensorRT's own kernels alone: cuDNN and cuBLAS take memory by being loaded. From 10.0 on that is the default."""

Module = Literal["tensorrt", "tensorrt_rtx"]


class BuildPlan(MachineModel):
    """What the building process does, call by call; it decides nothing itself.

    Attributes:
        module: what it imports.
        version: what that has to be, as many numbers as both have.
        network_flags: of ``NetworkDefinitionCreationFlag``.
        builder_flags: of ``BuilderFlag``.
        cleared_flags: of ``BuilderFlag``; TensorRT sets TF32 by itself, and FP32 would lose 13 bits of its mantissa.
        workspace: the call that limits scratch memory.
        workspace_bytes: to how much.
        builder_optimization_level: None leaves TensorRT's own.
        tactic_sources: of ``TacticSource``; None leaves TensorRT's own.
        timing_cache: whether timings are kept.
        progress_monitor: whether it reports how far it is.
        float_layers: ONNX nodes that are held to FP32 where types are weak.
        compute_capabilities: for TensorRT for RTX, of ``ComputeCapability``; empty is the GPU at hand.
    """

    module: Module
    version: str
    network_flags: tuple[str, ...] = ()
    builder_flags: tuple[str, ...] = ()
    cleared_flags: tuple[str, ...] = ("TF32",)
    workspace: Literal["set_memory_pool_limit", "max_workspace_size"] = "set_memory_pool_limit"
    workspace_bytes: int = Field(gt=0)
    builder_optimization_level: int | None = None
    tactic_sources: tuple[str, ...] | None = None
    timing_cache: bool = True
    progress_monitor: bool = True
    float_layers: tuple[str, ...] = ()
    compute_capabilities: tuple[str, ...] = ()


def plan_build(recipe: EngineRecipe, facts: Facts, module: Module = "tensorrt") -> BuildPlan:
    """The plan for building a recipe on a box.

    Args:
        recipe: what to build.
        facts: the box's: ``runtime.tensorrt`` has to be among them, ``memory_mb`` chooses the low-memory settings.
        module: TensorRT or TensorRT for RTX.

    Raises:
        ModelFileError: the recipe is newer than this edgetally knows.
        DeviceError: this box's TensorRT cannot build it; the sentence says what differs.
    """
    if recipe.schema_version > RECIPE_VERSION:
        raise ModelFileError(
            f"the engine's recipe is version {recipe.schema_version}, this edgetally reads up to {RECIPE_VERSION}; "
            "update edgetally"
        )
    version = _version(recipe, facts, module)
    key = version_key(version)
    if module == "tensorrt":
        _check_typing(recipe, version)
    memory = _number(facts, "memory_mb")
    chosen = recipe.for_memory(memory)
    small = any(chosen == variant for variant in recipe.low_memory)
    weak = key < _TYPED_SINCE
    return BuildPlan(
        module=module,
        version=version,
        network_flags=_network_flags(recipe, key, module),
        builder_flags=(*recipe.flags, *(("OBEY_PRECISION_CONSTRAINTS",) if recipe.float_layers else ())),
        workspace="set_memory_pool_limit" if key >= _POOLS_SINCE or module == "tensorrt_rtx" else "max_workspace_size",
        workspace_bytes=chosen.workspace_mib << 20,
        builder_optimization_level=chosen.builder_optimization_level if key >= _LEVELS_SINCE else None,
        tactic_sources=_SMALL_SOURCES if small and weak and key >= _POOLS_SINCE else None,
        timing_cache=module == "tensorrt",
        progress_monitor=not weak or module == "tensorrt_rtx",
        float_layers=recipe.float_layers,
    )


def timing_cache_name(recipe: EngineRecipe, facts: Facts) -> str:
    """The file name of the timing cache for these facts; timings of another GPU, version or power mode mislead."""
    parts = [str(facts.get(name, "unknown")) for name in recipe.timing_cache_key]
    return "-".join("".join(c if c.isalnum() or c == "." else "_" for c in part) for part in parts) + ".timings"


def _version(recipe: EngineRecipe, facts: Facts, module: Module) -> str:
    version = facts.get(f"runtime.{module}")
    if version is None:
        raise DeviceError(f"building an engine needs the fact runtime.{module}, this box has none; install TensorRT")
    unmet = refusals(recipe.requires, facts)
    if unmet:
        raise DeviceError(f"this box cannot build the engine: {'; '.join(unmet)}; choose an artifact made for it")
    return str(version)


def _check_typing(recipe: EngineRecipe, version: str) -> None:
    key = version_key(version)
    if recipe.strongly_typed and key < _TYPED_SINCE:
        raise DeviceError(
            f"the recipe needs strongly typed networks, which TensorRT has from 10.0 on, this box has {version}; "
            "choose the artifact for its generation"
        )
    weak = [*recipe.flags, *(["OBEY_PRECISION_CONSTRAINTS"] if recipe.float_layers else [])]
    if weak and key >= _ONLY_TYPED_SINCE:
        raise DeviceError(
            f"the recipe needs the flags {', '.join(weak)}, which TensorRT 11 took away, this box has "
            f"{version}; choose the artifact for its generation"
        )


def _network_flags(recipe: EngineRecipe, key: tuple[int, ...], module: Module) -> tuple[str, ...]:
    if module == "tensorrt_rtx":
        return ("STRONGLY_TYPED",)
    if key < _TYPED_SINCE:
        return ("EXPLICIT_BATCH",)
    return ("STRONGLY_TYPED",) if recipe.strongly_typed and key < _ONLY_TYPED_SINCE else ()


def _number(facts: Mapping[str, object], name: str) -> int | None:
    value = facts.get(name)
    return value if isinstance(value, int) else None
