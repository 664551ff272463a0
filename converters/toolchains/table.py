"""The toolchains that exist, by name; asking installs and imports none of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import UnknownNameError

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Toolchain:
    """A tool in an environment of its own.

    Args:
        name: also that of its lock, ``locks/<name>.txt``.
        pythons: versions that the lock was made for, best first (``3.12``).
        worker: file in ``workers`` that its Python runs.
        megabytes: what the environment takes on the disk, measured on x86-64 Linux.
        description: one line for a person.
    """

    name: str
    pythons: tuple[str, ...]
    worker: str
    megabytes: int
    description: str

    @property
    def lock(self) -> Path:
        """Versions and hashes of all its packages."""
        return _HERE / "locks" / f"{self.name}.txt"

    @property
    def program(self) -> Path:
        """The worker's file."""
        return _HERE / "workers" / self.worker

    @property
    def lock_digest(self) -> str:
        """SHA-256 of the lock: another lock is another environment."""
        return hashlib.sha256(self.lock.read_bytes()).hexdigest()


TOOLCHAINS = {
    row.name: row
    for row in (
        Toolchain("onnx2tf", ("3.12",), "onnx2tf_worker.py", 665, "ONNX to TFLite in float32, without TensorFlow"),
        Toolchain(
            "ai-edge-quantizer",
            ("3.11", "3.12"),
            "quantizer_worker.py",
            315,
            "float16 and int8 from a float32 TFLite file",
        ),
        # Without PyTorch and CUDA, gigabytes that placing for int8 does not need.
        Toolchain(
            "modelopt",
            ("3.12", "3.11"),
            "modelopt_worker.py",
            585,
            "NVIDIA's Model Optimizer: places Q/DQ for TensorRT (option placement=modelopt)",
        ),
    )
}


def toolchain(name: str) -> Toolchain:
    """The toolchain of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in TOOLCHAINS:
        raise UnknownNameError("toolchain", name, TOOLCHAINS)
    return TOOLCHAINS[name]
