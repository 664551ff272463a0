"""Q/DQ pairs by NVIDIA's Model Optimizer: ``python modelopt_worker.py JOB RESULT``, both JSON.

The job: ``model`` (float32 ONNX, uint8 in), ``entry`` (the ONNX to write), ``calibration`` (an .npy of uint8
``(n, height, width, 3)``), ``pictures`` (how many of them at most), ``input`` (the name of what takes them),
``method`` (``max`` or ``entropy``) and ``keep`` (names of nodes that stay as they are).
The result: ``toolchain`` (name to version).
"""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import importlib.util
import json
import re
import shutil
import sys
import tempfile
import types
from pathlib import Path

import numpy as np

# Imported by its modules, used for FP8 and FP4 and for packing int4 only; with what it brings PyTorch takes gigabytes.
UNUSED = ("torch", "cppimport")


class _Unused(types.ModuleType):
    """Stands where a package is imported that int8 has no use for; whoever uses it after all is told."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        raise RuntimeError(f"{self.__name__}.{name} is not installed, for int8 does not need it")


class _Pictures:
    """Hands the pictures to ModelOpt's calibrator, one at a time, from the start whenever it asks."""

    def __init__(self, job: dict[str, object]) -> None:
        self._input = str(job["input"])
        self._stored = np.load(str(job["calibration"]), mmap_mode="r", allow_pickle=False)
        count = min(int(str(job["pictures"])), len(self._stored))
        self._chosen = np.linspace(0, len(self._stored) - 1, count).round().astype(int)
        self.rewind()

    def rewind(self) -> None:
        """From the first again."""
        self._left = iter(self._chosen)

    def get_first(self) -> dict[str, np.ndarray]:
        """The first, for finding shapes."""
        return self._feed(self._chosen[0])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next, or None behind the last."""
        index = next(self._left, None)
        return None if index is None else self._feed(index)

    def _feed(self, index: int) -> dict[str, np.ndarray]:
        return {self._input: np.ascontiguousarray(self._stored[index])[np.newaxis]}


def place(job: dict[str, object]) -> dict[str, object]:
    """Do the job."""
    # Before the stand-ins: it looks for PyTorch itself and goes without.
    import onnxruntime.quantization  # type: ignore[import-untyped, unused-ignore] # noqa: F401

    for name in UNUSED:
        if importlib.util.find_spec(name) is None:
            sys.modules[name] = _Unused(name)
            sys.modules[name].__spec__ = importlib.machinery.ModuleSpec(name, None)
    from modelopt.onnx.quantization import quantize  # type: ignore[import-not-found, unused-ignore]

    keep: list[str] = job["keep"]  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as folder:  # it writes beside the model that it is given
        model = Path(folder, "model.onnx")
        shutil.copyfile(str(job["model"]), model)
        quantize(
            str(model),
            quantize_mode="int8",
            calibration_data_reader=_Pictures(job),
            calibration_method=str(job["method"]),
            calibration_eps=["cpu"],
            nodes_to_exclude=[f"^{re.escape(name)}$" for name in keep],
            high_precision_dtype="fp32",
            output_path=str(job["entry"]),
            log_level="ERROR",
        )
    versions = {name: importlib.metadata.version(name) for name in ("nvidia-modelopt", "onnxruntime")}
    return {"toolchain": {"nvidia-modelopt": versions["nvidia-modelopt"], "its-onnxruntime": versions["onnxruntime"]}}


def main() -> None:
    """Write the result, or the reason why there is none."""
    job, result = (Path(argument) for argument in sys.argv[1:3])
    try:
        document = place(json.loads(job.read_text(encoding="utf-8")))
    except Exception as error:  # noqa: BLE001 - whatever the tool raises is its answer
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        document = {"error": f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"}
    whole = result.with_suffix(".part")
    whole.write_text(json.dumps(document), encoding="utf-8")
    whole.rename(result)


if __name__ == "__main__":
    main()
