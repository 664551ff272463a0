"""Probabilities from what a network gives for them, checked against what model.toml says it gives."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ArtifactError
from contracts.output_spec import ScoreKind

_ROUNDING = 1 / 64  # what a probability may lie beyond 0 or 1: two steps of int8
_HUGE = 1e30  # the difference of two such numbers is a float32
_LEAST = np.float32(-80)  # whose exponential float32 still tells from 0
_MANY = 1000  # so many logits without one below 0 would mean that everything is everywhere


def check_scores(name: str, values: NDArray[np.float32], kind: ScoreKind) -> None:
    """Refuse what cannot be scores of the declared kind.

    Args:
        name: what is looked at, for the error's text.
        values: of any shape; probabilities lie in 0 to 1.
        kind: what model.toml says they are.

    Raises:
        ArtifactError: probabilities beyond 0 to 1, or very many logits of which none is.
    """
    if not values.size:
        return
    low, high = float(values.min()), float(values.max())
    if kind == "probabilities" and (low < -_ROUNDING or high > 1 + _ROUNDING):
        raise ArtifactError(
            f"{name} should be in 0 to 1 where 'scores' is 'probabilities', got {low:.4g} to {high:.4g}; "
            "say scores = 'logits' in model.toml if the network ends before its sigmoid or softmax, else check decoder "
            "and layout"
        )
    if kind == "logits" and values.size >= _MANY and low >= 0 and high <= 1:
        raise ArtifactError(
            f"{name} should reach below 0 where 'scores' is 'logits', got {low:.4g} to {high:.4g}; "
            "say scores = 'probabilities' in model.toml if sigmoid or softmax is in the network"
        )


def probabilities(values: NDArray[np.float32], kind: ScoreKind) -> NDArray[np.float32]:
    """Scores of the declared kind in 0 to 1; a logit by the sigmoid."""
    return sigmoid(values) if kind == "logits" else values.clip(0.0, 1.0)


def limit(score: float, kind: ScoreKind) -> float:
    """The threshold in the units of the network: what gives a probability of ``score``."""
    if kind == "probabilities":
        return score
    return math.log(score / (1 - score)) if score < 1 else math.inf


def sigmoid(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The logistic function; does not overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * values)), np.float32)


def softmax(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shares of the last axis, which sum to 1; does not overflow."""
    near = values.clip(-_HUGE, _HUGE)
    powers = np.exp(np.maximum(near - near.max(axis=-1, keepdims=True), _LEAST))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)
