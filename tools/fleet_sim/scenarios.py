"""The scenarios that the blast radius is measured with; each a file beside this one could be given instead."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from contracts.errors import WrittenError, did_you_mean
from runtime.documents import read_toml
from tools.fleet_sim.scenario import Fates, Scenario, SimClass

HIT = "jetson-sm87-jp6"
"""The class that something happens to."""

CLASSES = (
    SimClass(
        name=HIT,
        share=0.4,
        facts={
            "arch": "aarch64",
            "os": "linux",
            "jetpack": "6.1",
            "gpu.sm": 87,
            "gpu.name": "Orin",
            "runtime.tensorrt": "10.3.0",
            "runtime.onnxruntime": "1.23.2",
            "memory.mb": 7620,
        },
    ),
    SimClass(
        name="x86_64-avx2",
        share=0.4,
        facts={
            "arch": "x86_64",
            "os": "linux",
            "cpu.isa": ["sse4_1", "sse4_2", "avx", "avx2"],
            "runtime.openvino": "2026.4.1",
            "runtime.onnxruntime": "1.23.2",
            "memory.mb": 15910,
        },
    ),
    SimClass(
        name="aarch64",
        share=0.2,
        facts={
            "arch": "aarch64",
            "os": "linux",
            "cpu.isa": ["asimd", "asimddp"],
            "runtime.tflite": "2.1.0",
            "memory.mb": 3792,
        },
    ),
)

_FATES: Mapping[str, Fates] = {
    "good": Fates(),
    "fails-2": Fates(fails=0.02),
    "fails-20": Fates(fails=0.2),
    "fails-100": Fates(fails=1.0),
    "silent-20": Fates(silent=0.2),
    "refuses-20": Fates(refuses=0.2),
    "crashes-20": Fates(crashes=0.2),
}


def _hit(fates: Fates) -> tuple[SimClass, ...]:
    return tuple(each.model_copy(update={"fates": fates}) if each.name == HIT else each for each in CLASSES)


def scenarios() -> dict[str, Scenario]:
    """By name."""
    usual = {name: Scenario.model_validate({"name": name, "class": _hit(fates)}) for name, fates in _FATES.items()}
    usual["offline"] = Scenario.model_validate({"name": "offline", "class": CLASSES, "offline": 0.1})
    usual["degrades"] = Scenario.model_validate(
        {
            "name": "degrades",
            "class": _hit(Fates(degrades=1.0)),
            "speed": 60.0,
            "health_seconds": 1_800.0,
            "count_seconds": 900.0,
            "past_seconds": 3_600.0,
            "rollout": {"soak_seconds": 3_600, "silent_after_seconds": 3_600, "max_drift": 0.2, "halt": "all"},
        }
    )
    return usual


def find_scenario(name: str) -> Scenario:
    """A scenario by its name, or of a TOML file.

    Raises:
        WrittenError: there is none.
        DocumentError: the file does not fit.
    """
    if name.endswith(".toml"):
        return read_toml(Scenario, Path(name))
    known = scenarios()
    if name not in known:
        near = did_you_mean(name, known)
        raise WrittenError(f"no scenario {name!r}{near or '; there are ' + ', '.join(known)}")
    return known[name]
