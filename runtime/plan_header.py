"""The first bytes of a TensorRT engine: which kind and which version wrote it, read without the runtime.

Layout: bytes 0 to 3 are ``ftrt`` (TensorRT) or ``vtrt`` (TensorRT for RTX), bytes 24 to 27 are major, minor, patch
and build. Source: ``printPlanVersion`` in ``samples/common/sampleEngines.cpp`` of NVIDIA/TensorRT, for engines from 8.6
on; for ``vtrt`` seen in files of TensorRT for RTX 1.7.1.116. The GPU's compute capability does not stand there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from contracts.errors import ModelFileError

HEADER_SIZE = 28  # bytes

_FACTS: dict[bytes, Literal["runtime.tensorrt", "runtime.tensorrt_rtx"]] = {
    b"ftrt": "runtime.tensorrt",
    b"vtrt": "runtime.tensorrt_rtx",
}
_VERSION = slice(24, 28)


@dataclass(frozen=True)
class PlanHeader:
    """What an engine says of itself.

    Args:
        fact: the fact that has to be equal to ``version`` on the device.
        version: ``major.minor.patch.build``.
    """

    fact: Literal["runtime.tensorrt", "runtime.tensorrt_rtx"]
    version: str


def read_plan_header(content: bytes, name: str) -> PlanHeader:
    """Which runtime and version wrote an engine.

    Args:
        content: its first `HEADER_SIZE` bytes, or more.
        name: the file, for the error's text.

    Raises:
        ModelFileError: these are not an engine's first bytes.
    """
    if len(content) < HEADER_SIZE:
        raise ModelFileError(
            f"{name}: expected a TensorRT engine of at least {HEADER_SIZE} bytes, got {len(content)}; build it again"
        )
    fact = _FACTS.get(bytes(content[:4]))
    if fact is None:
        raise ModelFileError(
            f"{name}: expected a TensorRT engine (beginning with 'ftrt' or 'vtrt'), it begins with "
            f"{bytes(content[:4])!r}; build it again"
        )
    return PlanHeader(fact, ".".join(str(number) for number in content[_VERSION]))
