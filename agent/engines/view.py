"""What ``edgetally-agent engines`` shows."""

from __future__ import annotations

import math
from dataclasses import asdict

from agent.engines.attempts import Failure
from agent.engines.supply import EngineSupply

_SHORT = 12  # hexadecimal digits of a digest


def engines_document(supply: EngineSupply) -> dict[str, object]:
    """As plain data; ``seconds`` of a failure is None where it is not tried again."""
    failed = [
        asdict(failure) | {"engine": name, "seconds": None if math.isinf(failure.seconds) else failure.seconds}
        for name, failure in supply.failures().items()
    ]
    return {"engines": [asdict(engine) for engine in supply.kept()], "failed": failed}


def engines_lines(supply: EngineSupply) -> list[str]:
    """As lines for a person."""
    lines = [
        f"built   {one.model}  artifact {one.artifact[:_SHORT]}  TensorRT {one.tensorrt}  sm {one.sm}  "
        f"{one.size / 1e6:.1f} MB  in {one.seconds:.0f} s"
        for one in supply.kept()
    ]
    lines += [
        f"failed  {name}  {failure.tries} times, {_next(failure)}: {failure.problem}"
        for name, failure in supply.failures().items()
    ]
    return lines or ["no engine was built here"]


def _next(failure: Failure) -> str:
    if math.isinf(failure.seconds):
        return "not tried again until the box changes"
    return f"next try in {failure.seconds / 60:.0f} min" if failure.seconds else "next try at the next start"
