"""What an engine's layers really compute in, from the report of TensorRT's engine inspector; pure.

The report is JSON: ``{"Layers": [{"Name", "LayerType", "ParameterType", "Inputs": [{"Format/Datatype"}], "Weights":
{"Type"}}, ...]}``, in detail only for engines built with ``ProfilingVerbosity.DETAILED``, else just the names. Source:
the TensorRT developer guide, "Engine Inspector". How a format is worded differs between releases ("Row major linear
FP32", "Half", "Thirty-two wide channel vectorized row major Int8 format").
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from contracts.engine_recipe import Expected

_LIMIT = 64 << 20  # characters; a report of thousands of layers has a few million
_WORKS = re.compile(r"conv|gemm|matmul|matrix.?multiply|fullyconnected", re.IGNORECASE)
_OPAQUE = re.compile(r"myelin|foreignnode", re.IGNORECASE)
_MOVES = re.compile(r"reformat|constant|shuffle|noop|identity", re.IGNORECASE)
_TYPES = (
    ("int8", re.compile(r"\bint8\b", re.IGNORECASE)),
    ("bf16", re.compile(r"\bbf(?:loat)?16\b", re.IGNORECASE)),
    ("f16", re.compile(r"\b(?:fp16|half|float16)\b", re.IGNORECASE)),
    ("f32", re.compile(r"\b(?:fp32|float|float32)\b", re.IGNORECASE)),
)


@dataclass(frozen=True)
class LayerCounts:
    """How many layers that do the work (convolutions, matrix products) compute in which type.

    Args:
        by_type: ``int8``, ``f16``, ``bf16``, ``f32`` and ``other`` to how many.
        opaque: layers that were fused into one whose inside is not shown.
        detailed: whether the report says anything but names.
    """

    by_type: Mapping[str, int] = field(default_factory=dict)
    opaque: int = 0
    detailed: bool = False


def count_layers(report: str) -> LayerCounts:
    """Count the layers of an inspector's report; what cannot be read counts as not detailed."""
    if len(report) > _LIMIT:
        return LayerCounts()
    try:
        document = json.loads(report)
    except (ValueError, RecursionError):
        return LayerCounts()
    layers = document.get("Layers") if isinstance(document, dict) else None
    described = [layer for layer in layers if isinstance(layer, dict)] if isinstance(layers, list) else []
    types = Counter(_type(layer) for layer in described if _works(layer))
    return LayerCounts(dict(types), sum(_is_opaque(layer) for layer in described), bool(described))


def shortage(expected: Expected, counts: LayerCounts) -> str | None:
    """Why the engine does not compute in what was intended, or None where it does or nobody can tell.

    Layers that were fused into an opaque one may be among those that are missing.
    """
    if not counts.detailed or counts.opaque:
        return None
    int8 = counts.by_type.get("int8", 0)
    half = int8 + counts.by_type.get("f16", 0)
    if int8 < expected.int8:
        return f"{int8} of {expected.total} convolutions and matrix products are int8, expected {expected.int8}"
    if half < expected.half:
        return f"{half} of {expected.total} convolutions and matrix products are FP16 or int8, expected {expected.half}"
    return None


def _works(layer: Mapping[str, object]) -> bool:
    kind = f"{layer.get('LayerType', '')} {layer.get('ParameterType', '')}"
    return bool(_WORKS.search(kind)) and not _is_opaque(layer) and not _MOVES.search(kind)


def _is_opaque(layer: Mapping[str, object]) -> bool:
    return bool(_OPAQUE.search(f"{layer.get('LayerType', '')} {layer.get('Name', '')}"))


def _type(layer: Mapping[str, object]) -> str:
    """By the weights where they are shown, for the input may be re-formatted on the way; else by the first input."""
    for text in (_weights(layer), _first_input(layer)):
        for name, pattern in _TYPES:
            if pattern.search(text):
                return name
    return "other"


def _weights(layer: Mapping[str, object]) -> str:
    weights = layer.get("Weights")
    return str(weights.get("Type", "")) if isinstance(weights, dict) else ""


def _first_input(layer: Mapping[str, object]) -> str:
    inputs = layer.get("Inputs")
    first = inputs[0] if isinstance(inputs, list) and inputs else None
    return str(first.get("Format/Datatype", "")) if isinstance(first, dict) else ""
