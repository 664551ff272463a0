"""Which models are measured where none is named."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_SHIPPED = Path("models/vehicle-density")
_YOLOX_SPEC = Path("models/yolox-nano/model.toml")


def default_models(work: Path) -> list[Path]:
    """The shipped density model, and YOLOX-nano where its weights are at hand.

    Args:
        work: where a model directory may be put together.
    """
    data = Path(os.environ.get("EDGETALLY_DATA", "../shared/data"))
    weights = data / "models/yolox_nano_416.onnx"
    if not weights.is_file():
        return [_SHIPPED]
    folder = work / "yolox-nano"
    folder.mkdir(exist_ok=True)
    shutil.copy(_YOLOX_SPEC, folder)
    shutil.copy(weights, folder / "model.onnx")
    return [_SHIPPED, folder]
