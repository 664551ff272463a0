"""TensorRT, on engines that were built on this very device (`agent.engines`); the module is imported when one opens.

Options: ``cuda_graph`` = ``on`` (the default: captured after the first run, replayed from then on) or ``off``;
``python`` names another interpreter that has TensorRT, as JetPack 5 needs (see `runtime.tensorrt.interpreter`).
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
        "tensorrt", model_file, execution_precision=execution_precision, lanes=lanes, options=options
    )
