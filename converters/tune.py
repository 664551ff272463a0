"""Setting a threshold or a scale anew after rounding, so that the artifact counts what FP32 counts.

Rounding shifts scores and densities a little and all in one direction; one number takes most of that back. It is found
on the calibration pictures and judged on the evaluation pictures.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from contracts.manifest import Tuned
from contracts.model_spec import DensityOutput, ModelSpec
from converters.gate import Counts

CountsWith = Callable[[ModelSpec], Counts]
"""What an artifact counts on the tuning pictures when decoded with a spec."""

_STEPS = np.arange(-40, 41) / 400.0  # of score: wider shifts are a broken artifact, not a shifted one
_LEAST = 0.01  # nothing is found surely, and nothing is everywhere
_LIMITS = (0.8, 1.25)  # of scale, for the same reason
_WORTH = 0.002  # a smaller correction is less than the budget could tell


def tune(spec: ModelSpec, counts_with: CountsWith, wanted: Counts) -> Tuned | None:
    """What to set anew, or None where the model's own values are best.

    Args:
        spec: the model.
        counts_with: what the artifact counts with another spec.
        wanted: what FP32 counts on the same pictures.
    """
    if isinstance(spec.output, DensityOutput):
        return _scale(spec.output.scale, counts_with(spec), wanted)
    return _score(spec, spec.output.score, counts_with, wanted)


def _scale(scale: float, counted: Counts, wanted: Counts) -> Tuned | None:
    if not counted.sum() > 0 or not wanted.sum() > 0:
        return None
    factor = float(wanted.sum() / counted.sum())
    if abs(factor - 1.0) < _WORTH or not _LIMITS[0] <= factor <= _LIMITS[1]:
        return None
    return Tuned(score=None, scale=scale * factor)


def _score(spec: ModelSpec, score: float, counts_with: CountsWith, wanted: Counts) -> Tuned | None:
    shifted = [round(score + float(step), 4) for step in _STEPS if step and _LEAST <= score + step <= 1 - _LEAST]
    candidates = sorted({score, *shifted})
    off = {
        candidate: abs(float((counts_with(Tuned(score=candidate, scale=None).applied_to(spec)) - wanted).mean()))
        for candidate in candidates
    }
    best = min(candidates, key=lambda candidate: (off[candidate], abs(candidate - score)))
    # Without a real gain the author's threshold stays: it was chosen on more pictures than these.
    if best == score or off[score] - off[best] < _WORTH * float(wanted.mean()):
        return None
    return Tuned(score=best, scale=None)
