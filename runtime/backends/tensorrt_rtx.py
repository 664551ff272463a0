"""TensorRT for RTX, on engines that were built ahead of time; the module is imported when one opens.

Option: ``cuda_graph`` = ``on`` (the default: captured after the first run, replayed from then on) or ``off``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from runtime.backends.base import Lane
from runtime.tensorrt import opening


def open_lanes(
    model_file: Path, *, execution_precision: str, lanes: int, threads: int, options: Mapping[str, str]
) -> list[Lane]:
    """See `runtime.backends.base.Backend`; ``threads`` means nothing to a GPU."""
    del threads
    return opening.open_lanes(
        "tensorrt_rtx", model_file, execution_precision=execution_precision, lanes=lanes, options=options
    )
