"""Would NVIDIA take this ONNX: asked of TensorRT for RTX, whose parser and builder run without a GPU.

What that proves: the parser of that version takes every node, the network builds strongly typed, and its layers have
the types that were meant. What it does not: that the older parser of a Jetson does (`converters.nvidia.generations`
has a table of rules for these), which kernels a Jetson takes, or how fast they are.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import Field

from contracts.documents import MachineModel
from contracts.errors import ModelFileError, RuntimeMissingError
from converters.processes import last_line, signal_name

PACKAGE = "tensorrt_rtx"
_SECONDS = 600  # for one network; tiny ones take 0.2
_ROOT = Path(__file__).parent.parent.parent


class Parsed(MachineModel):
    """What TensorRT for RTX made of an ONNX.

    Attributes:
        version: its version.
        size: bytes of the engine that it built.
        layers: how many convolutions and matrix products compute in ``int8``, ``f16`` and ``f32``, as the parsed
            network says; kernels are chosen on the GPU.
        inputs: names of TensorRT's types of the inputs.
    """

    version: str
    size: int
    layers: Mapping[str, int]
    inputs: tuple[str, ...]


class _Answer(MachineModel):
    error: tuple[str, ...] = ()
    version: str = ""
    size: int = 0
    layers: Mapping[str, int] = Field(default_factory=dict)
    inputs: tuple[str, ...] = ()


def is_installed() -> bool:
    """Whether TensorRT for RTX is here to be asked."""
    return importlib.util.find_spec(PACKAGE) is not None


def parse(onnx_file: Path, *, engine: Path | None = None, compute: Sequence[str] = ()) -> Parsed:
    """Parse an ONNX and build it strongly typed, in a process of its own.

    Args:
        onnx_file: the model.
        engine: where to write the engine; None to drop it.
        compute: compute capabilities to build for (``86`` for 8.6); whatever TensorRT for RTX supports where empty.

    Raises:
        RuntimeMissingError: TensorRT for RTX is not installed.
        ModelFileError: it refuses the model; the node and the reason are named.
    """
    if not is_installed():
        raise RuntimeMissingError("asking NVIDIA's parser", PACKAGE, "tensorrt-rtx")
    job = {"onnx": str(onnx_file.resolve()), "engine": str(engine.resolve()) if engine else None}
    answer = _ask(onnx_file, json.dumps({**job, "compute": list(compute)}))
    if answer.error:
        raise ModelFileError(f"{onnx_file}: NVIDIA's parser refuses it: {_sentence(answer.error)}; export it again")
    return Parsed(version=answer.version, size=answer.size, layers=answer.layers, inputs=answer.inputs)


def _ask(onnx_file: Path, job: str) -> _Answer:
    command = [sys.executable, "-m", "converters.nvidia.child"]
    try:
        run = subprocess.run(  # noqa: S603 - our own module
            command, input=job.encode(), capture_output=True, timeout=_SECONDS, cwd=_ROOT, check=False
        )
    except subprocess.TimeoutExpired:
        raise ModelFileError(
            f"{onnx_file}: TensorRT for RTX did not build it within {_SECONDS} s; choose another target"
        ) from None
    if run.returncode != 0:
        code = run.returncode
        how = last_line(run.stderr) or (f"status {code}" if code > 0 else signal_name(-code))
        raise ModelFileError(f"{onnx_file}: TensorRT for RTX ended on it ({how}); choose another target")
    # What its libraries print to stdout themselves stands before the answer.
    return _Answer.model_validate_json(run.stdout[run.stdout.index(b"{") :])


def _sentence(errors: Sequence[str]) -> str:
    """The first error's lines that say what is wrong, without the places in NVIDIA's sources."""
    lines = [line.strip() for line in errors[0].splitlines() if line.strip()]
    return " ".join(lines).partition(" In checkType at ")[0].partition(". In ")[0][:400]
