"""Did the artifact run as it was made to: the silent-fallback detector. Pure.

Runtimes replace what they cannot run and say nothing: INT8 layers run in float, nodes go to the processor, a plugin
takes another precision. What really ran is counted by each family (`converters.families.base.Family.executed`).
"""

from __future__ import annotations

from collections.abc import Mapping

from contracts.errors import ArtifactError

ELSEWHERE = "elsewhere"
QUANTISED = frozenset({"int8", "int8-a16", "dynamic"})
"""Precisions whose layers compute in integers but for those that are kept out."""


def check_executed(artifact: str, precision: str, executed: Mapping[str, int] | None) -> None:
    """Refuse an artifact that did not run as it was made to.

    Args:
        artifact: its id, for the error's text.
        precision: what the file holds.
        executed: layers that do the work by element type; None where this host cannot tell.

    Raises:
        ArtifactError: layers ran elsewhere, or not one of them ran quantised.
    """
    if executed is None:
        return
    layers = sum(executed.values())
    elsewhere = executed.get(ELSEWHERE, 0)
    if elsewhere:
        raise ArtifactError(
            f"{artifact}: {elsewhere} of {layers} layers were handed to another provider or processor; "
            "allow it by name with --allow-fallback, or choose another target"
        )
    if precision in QUANTISED and not any(number for kind, number in executed.items() if kind.startswith("int")):
        raise ArtifactError(
            f"{artifact}: 0 of {layers} layers ran in int8 ({_said(executed)}): it fell back to floating point; "
            "choose another precision"
        )


def _said(executed: Mapping[str, int]) -> str:
    return ", ".join(f"{number} in {kind}" for kind, number in sorted(executed.items()) if number) or "none counted"
