"""Which models are measured where none is named, and in which forms."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from targets.load import Target, all_targets

_SHIPPED = Path("models/vehicle-density")
_DATA = Path(os.environ.get("EDGETALLY_DATA", "../shared/data"))
_YOLOX_SPEC = Path("models/yolox-nano/model.toml")


def default_models(work: Path) -> list[Path]:
    """The shipped density model, and YOLOX-nano where its weights are at hand.

    Args:
        work: where a model directory may be put together.
    """
    weights = _DATA / "models/yolox_nano_416.onnx"
    if not weights.is_file():
        return [_SHIPPED]
    folder = work / "yolox-nano"
    folder.mkdir(exist_ok=True)
    shutil.copy(_YOLOX_SPEC, folder)
    shutil.copy(weights, folder / "model.onnx")
    return [_SHIPPED, folder]


def all_forms() -> list[str]:
    """What the converter is asked for: every form for this kind of processor, on real pictures where there are any."""
    kind = "x86" if platform.machine() == "x86_64" else "arm64"
    names = [target.name for target in all_targets() if target.name.startswith(kind) and _runs_on_a_processor(target)]
    pictures = _DATA / "images/vehicle_topview"
    asked = [part for name in names for part in ("--target", name)]
    return [*asked, "--measure", "none", *(("--calibration", str(pictures)) if pictures.is_dir() else ())]


def _runs_on_a_processor(target: Target) -> bool:
    return not target.device_options and target.backend in {"openvino", "onnxruntime", "tflite"}
