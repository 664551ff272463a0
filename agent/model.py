"""The model that runs: the artifact that was chosen, its lanes, and the decoder of its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.choose import Candidate, choose
from contracts.config import RuntimeConfig
from contracts.errors import EdgetallyError
from contracts.facts import Facts
from contracts.manifest import Artifact
from contracts.messages import Considered
from contracts.model_spec import ModelSpec
from runtime.backends.base import Lane
from runtime.backends.table import open_lanes
from runtime.bundle import Bundle
from runtime.golden import check_golden


@dataclass(frozen=True)
class LoadedModel:
    """A proven model.

    Args:
        spec: its model.toml, with what was set anew for the artifact.
        artifact: which form of it runs.
        execution_precision: what it computes with.
        lanes: opened on it, one caller each.
        considered: every artifact of the bundle, with the reason where it was refused; also what else the one that
            runs was refused to compute with.
    """

    spec: ModelSpec
    artifact: Artifact
    execution_precision: str
    lanes: tuple[Lane, ...]
    considered: tuple[Considered, ...]

    @property
    def input_name(self) -> str:
        """Name of the artifact's one input."""
        (tensor,) = self.artifact.inputs
        return tensor.name

    def close(self) -> None:
        """Let go of the lanes."""
        for lane in self.lanes:
            lane.close()


def load_model(bundle: Bundle, facts: Facts, wanted: RuntimeConfig) -> LoadedModel:
    """Choose an artifact, open its lanes and prove it on the bundle's golden samples.

    Args:
        bundle: an open bundle.
        facts: this box's.
        wanted: lanes (default: one a core), threads, and what was asked for by name.

    Raises:
        NoArtifactFitsError: no artifact fits and works here.
    """
    lanes = wanted.lanes or max(1, _cores(facts) // wanted.threads)

    def prove(candidate: Candidate) -> list[Lane]:
        opened = open_lanes(
            candidate.artifact.backend,
            bundle.entry(candidate.artifact),
            execution_precision=candidate.execution_precision,
            lanes=lanes,
            threads=wanted.threads,
            options=candidate.artifact.options,
        )
        try:
            check_golden(opened[0], bundle, candidate.artifact, candidate.execution_precision)
        except EdgetallyError:
            for lane in opened:
                lane.close()
            raise
        return opened

    choice = choose(bundle.manifest, facts, wanted, prove)
    artifact, precision = choice.candidate.artifact, choice.candidate.execution_precision
    return LoadedModel(
        spec=artifact.tuned_spec(bundle.manifest.model, precision),
        artifact=artifact,
        execution_precision=precision,
        lanes=tuple(choice.lanes),
        considered=_considered(bundle, choice.refused),
    )


def _considered(bundle: Bundle, refused: Mapping[str, str]) -> tuple[Considered, ...]:
    names = dict.fromkeys([*(artifact.id for artifact in bundle.manifest.artifacts), *refused])
    return tuple(Considered(artifact=name, refused=refused.get(name)) for name in names)


def _cores(facts: Facts) -> int:
    count = facts.get("cpu.count", 1)
    return count if isinstance(count, int) else 1
