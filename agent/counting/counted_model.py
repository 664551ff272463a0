"""What counting has to know of a model."""

from __future__ import annotations

from dataclasses import dataclass

from typing_extensions import Self

from contracts.model_spec import ModelSpec
from contracts.output_spec import ClassesOutput, DensityOutput, HeadSpec


@dataclass(frozen=True)
class CountedModel:
    """A model, as far as counting is concerned.

    Args:
        labels: all that it knows.
        score: its own threshold; None where it has none.
        heads: a classifier's questions; none where it has one.
    """

    labels: tuple[str, ...]
    score: float | None = None
    heads: tuple[HeadSpec, ...] = ()

    @classmethod
    def of(cls, spec: ModelSpec) -> Self:
        """What is known of a whole model."""
        output = spec.output
        score = None if isinstance(output, DensityOutput) else output.score
        return cls(spec.labels, score, output.head if isinstance(output, ClassesOutput) else ())
