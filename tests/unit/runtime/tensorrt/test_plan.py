"""Which calls build an engine in which TensorRT."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.engine_recipe import EngineRecipe, LowMemory
from contracts.errors import DeviceError, ModelFileError
from contracts.facts import FactValue, Requirement
from contracts.manifest import TensorInfo
from runtime.tensorrt.plan import plan_build, timing_cache_name


def recipe(**changes: Any) -> EngineRecipe:
    tensor = TensorInfo(name="image", dtype="uint8", shape=(1, 4, 4, 3))
    given: dict[str, Any] = {
        "generation": "8.5",
        "requires": (),
        "onnx": "model.onnx",
        "precision": "int8",
        "strongly_typed": False,
        "inputs": (tensor,),
        "outputs": (tensor,),
        "workspace_mib": 1024,
        "builder_optimization_level": 3,
        "low_memory": (
            LowMemory(below_mb=3000, workspace_mib=128, builder_optimization_level=1),
            LowMemory(below_mb=6000, workspace_mib=256, builder_optimization_level=2),
        ),
    }
    return EngineRecipe.model_validate({**given, **changes})


def facts(version: str, memory: int = 32_000) -> dict[str, FactValue]:
    return {"runtime.tensorrt": version, "gpu.sm": 87, "memory_mb": memory, "cuda": "12.6"}


WEAK = {"flags": ("FP16", "INT8")}
TYPED = {"strongly_typed": True}


@pytest.mark.parametrize(
    ("version", "changes", "workspace", "network", "flags", "level", "monitor"),
    [
        ("8.2.1.9", WEAK, "max_workspace_size", ("EXPLICIT_BATCH",), ("FP16", "INT8"), None, False),
        ("8.5.2.2", WEAK, "set_memory_pool_limit", ("EXPLICIT_BATCH",), ("FP16", "INT8"), None, False),
        ("8.6.2", WEAK, "set_memory_pool_limit", ("EXPLICIT_BATCH",), ("FP16", "INT8"), 3, False),
        ("10.3.0", WEAK, "set_memory_pool_limit", (), ("FP16", "INT8"), 3, True),
        ("10.13.3.9", TYPED, "set_memory_pool_limit", ("STRONGLY_TYPED",), (), 3, True),
        ("11.4.1", TYPED, "set_memory_pool_limit", (), (), 3, True),
    ],
)
def test_each_version_is_built_with_what_it_has(
    version: str,
    changes: dict[str, Any],
    workspace: str,
    network: tuple[str, ...],
    flags: tuple[str, ...],
    level: int | None,
    monitor: bool,
) -> None:
    plan = plan_build(recipe(**changes), facts(version))
    assert plan.workspace == workspace
    assert plan.network_flags == network
    assert plan.builder_flags == flags
    assert plan.builder_optimization_level == level
    assert plan.progress_monitor is monitor
    assert plan.workspace_bytes == 1024 << 20
    assert plan.tactic_sources is None


@pytest.mark.parametrize(("memory", "mib", "level"), [(2000, 128, 1), (4000, 256, 2), (8000, 1024, 3)])
def test_a_small_board_builds_with_less(memory: int, mib: int, level: int) -> None:
    plan = plan_build(recipe(), facts("8.6.2", memory))
    assert plan.workspace_bytes == mib << 20
    assert plan.builder_optimization_level == level
    assert (plan.tactic_sources is not None) == (memory < 6000)
    assert plan_build(recipe(), facts("10.3.0", memory)).tactic_sources is None


def test_layers_that_stay_float_make_the_constraints_obeyed() -> None:
    plan = plan_build(recipe(flags=("FP16",), float_layers=("Sub_3",)), facts("8.5.2"))
    assert plan.float_layers == ("Sub_3",)
    assert plan.builder_flags == ("FP16", "OBEY_PRECISION_CONSTRAINTS")


@pytest.mark.parametrize(
    ("changes", "version", "says"),
    [
        (TYPED, "8.6.2", "strongly typed networks, which TensorRT has from 10.0 on, this box has 8.6.2"),
        (WEAK, "11.4.1", "FP16, INT8, which TensorRT 11 took away, this box has 11.4.1"),
        ({"float_layers": ("a",)}, "11.4.1", "OBEY_PRECISION_CONSTRAINTS, which TensorRT 11 took away"),
        (
            {"requires": (Requirement(fact="runtime.tensorrt", at_least="10.3", below="10.13"),)},
            "8.5.2",
            "needs runtime.tensorrt at least 10.3 and below 10.13, this device has 8.5.2",
        ),
    ],
)
def test_what_this_tensorrt_cannot_do_is_refused_with_both_versions(
    changes: dict[str, Any], version: str, says: str
) -> None:
    with pytest.raises(DeviceError) as caught:
        plan_build(recipe(**changes), facts(version))
    assert says in str(caught.value)


def test_a_box_without_tensorrt_and_a_newer_recipe_are_refused() -> None:
    with pytest.raises(DeviceError, match=r"runtime\.tensorrt, this box has none"):
        plan_build(recipe(), {})
    with pytest.raises(ModelFileError, match="update edgetally"):
        plan_build(recipe(schema_version=99), facts("8.5.2"))


def test_timings_are_kept_apart_by_everything_that_changes_them() -> None:
    base = {**facts("10.3.0"), "power_mode": "15W"}
    names = {
        timing_cache_name(recipe(), base | change)
        for change in ({}, {"runtime.tensorrt": "10.3.1"}, {"gpu.sm": 72}, {"cuda": "11.4"}, {"power_mode": "../MAXN"})
    }
    assert len(names) == 5
    assert not [name for name in names if "/" in name]
