"""Specs for tests."""

from __future__ import annotations

from typing import Any

from fleet.rollout.spec import RolloutSpec


def spec(**more: Any) -> RolloutSpec:
    given = {"model": "vehicle-density", "version": "1.1.0", "manifest": "a" * 64, "artifacts": ("b" * 64,)}
    return RolloutSpec.model_validate(given | more)
