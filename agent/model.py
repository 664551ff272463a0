"""The model that runs: the artifact that was chosen, its lanes, and the decoder of its outputs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from agent.choose import Candidate, Preference, choose, setting_of
from agent.engines.supply import Awaited, EngineSupply
from agent.host import give_back_memory
from agent.tuning.setting import Setting
from contracts.config import RuntimeConfig
from contracts.errors import EdgetallyError, NoArtifactFitsError
from contracts.facts import Facts
from contracts.manifest import Artifact
from contracts.messages import Considered
from contracts.model_spec import ModelSpec
from runtime.artifact_lanes import open_artifact_lanes
from runtime.backends.base import Lane
from runtime.bundle import Bundle, sha256
from runtime.golden import check_golden
from runtime.tensorrt.build import BuildProgress

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunningForm:
    """Which form of a model gives results; it holds none of its memory.

    Args:
        spec: its model.toml, with what was set anew for the artifact.
        artifact: which form of it runs.
        execution_precision: what it computes with.
        loaded_digest: SHA-256 of the file that the runtime opened: the artifact's, or the engine built of it here; None
            where it was not looked at.
    """

    spec: ModelSpec
    artifact: Artifact
    execution_precision: str
    loaded_digest: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class LoadedModel(RunningForm):
    """A proven model.

    Args:
        spec: as of `RunningForm`, like the next two.
        artifact: see there.
        execution_precision: see there.
        lanes: opened on it, one caller each.
        threads: of each lane.
    """

    lanes: tuple[Lane, ...]
    threads: int = 1

    @property
    def form(self) -> RunningForm:
        """Itself without its lanes."""
        return RunningForm(self.spec, self.artifact, self.execution_precision, loaded_digest=self.loaded_digest)

    @property
    def setting(self) -> Setting:
        """How it runs, as it is kept on disk."""
        return setting_of(self.artifact, self.execution_precision, len(self.lanes), self.threads)

    @property
    def input_name(self) -> str:
        """Name of the artifact's one input."""
        (tensor,) = self.artifact.inputs
        return tensor.name

    def close(self) -> None:
        """Let go of the lanes, and of the memory that they took."""
        for lane in self.lanes:
            lane.close()
        give_back_memory()


@dataclass(frozen=True)
class Selection:
    """What this box takes of a bundle now.

    Args:
        bundle: name of its model.
        model: what serves; None where nothing does before an engine is built.
        considered: every artifact of the bundle, with the reason where it was refused; also what else the one that
            serves was refused to compute with.
        awaited: what would be taken instead of it, or before anything serves, once its engine is there; best first.
    """

    bundle: str
    model: LoadedModel | None
    considered: tuple[Considered, ...]
    awaited: tuple[Awaited, ...] = ()

    def nothing_fits(self) -> NoArtifactFitsError:
        """The error that none of it fits, with every reason."""
        return NoArtifactFitsError(self.bundle, {one.artifact: one.refused or "" for one in self.considered})


def load_model(
    bundle: Bundle,
    facts: Facts,
    wanted: RuntimeConfig,
    engines: EngineSupply,
    serving: LoadedModel | None = None,
    *,
    measured: Preference | None = None,
) -> Selection:
    """Choose an artifact, open its lanes, warm them and prove them on the bundle's golden samples.

    Args:
        bundle: an open bundle.
        facts: this box's.
        wanted: what was asked for by name.
        engines: those of this box, for artifacts that need one.
        serving: what serves already: where nothing better works it is taken as it is, and nothing of it is touched.
        measured: what this box found to be best; without it a lane a core, of one thread.

    Raises:
        NoArtifactFitsError: no artifact fits and works here, and none is to be built.
    """

    def prove(candidate: Candidate) -> list[Lane]:
        if serving is not None and serving.setting == candidate.setting:
            return list(serving.lanes)
        return open_proven(bundle, candidate, engines)

    choice = choose(bundle.manifest, facts, wanted, prove, measured)
    model: LoadedModel | None = None
    if choice.candidate is not None:
        is_same = serving is not None and serving.setting == choice.candidate.setting
        model = serving if is_same else _loaded(bundle, choice.candidate, choice.lanes, engines)
    considered = _considered(bundle, choice.refused, _why(model, measured))
    return Selection(bundle.manifest.model.name, model, considered, choice.awaited)


def open_proven(bundle: Bundle, candidate: Candidate, engines: EngineSupply) -> list[Lane]:
    """The lanes of a candidate: opened, warm, and proven on the bundle's golden samples.

    Args:
        bundle: an open bundle.
        candidate: of its artifacts.
        engines: those of this box.

    Raises:
        EngineMissingError: its engine is not built.
        ArtifactError: a file is not what it must be, its runtime refuses it, or it fails the golden samples.
        DeviceError: this box cannot run it so.
        UnknownNameError: no such backend.
    """
    opened = open_artifact_lanes(
        bundle,
        candidate.artifact,
        execution_precision=candidate.execution_precision,
        lanes=candidate.lanes,
        threads=candidate.threads,
        entry=engines.engine(bundle.manifest.model.name, candidate.artifact),
    )
    try:
        check_golden(opened[0], bundle, candidate.artifact, candidate.execution_precision)
        _warm(opened[1:], candidate.artifact)
    except Exception:
        for lane in opened:
            lane.close()
        raise
    return opened


def load_when_built(
    bundle: Bundle,
    facts: Facts,
    wanted: RuntimeConfig,
    engines: EngineSupply,
    note: Callable[[str, BuildProgress], None] = lambda *_: None,
) -> LoadedModel:
    """The best model that works here, after waiting for the engines that it takes.

    Args:
        bundle: as of `load_model`, like the next three.
        facts: see there.
        wanted: see there.
        engines: see there.
        note: told the artifact and how far its engine is, a few times a second.

    Raises:
        NoArtifactFitsError: no artifact fits and works here.
    """
    while True:
        selection = load_model(bundle, facts, wanted, engines)
        due = [awaited.needed for awaited in selection.awaited if awaited.seconds <= 0]
        if not due:
            if selection.model is None:
                raise selection.nothing_fits()
            return selection.model
        if selection.model is not None:
            selection.model.close()  # the memory is the builder's until then
        artifact = due[0].artifact.id
        try:
            engines.build(bundle, due[0], lambda progress, artifact=artifact: note(artifact, progress))  # type: ignore[misc]
        except EdgetallyError as error:
            _log.warning("the engine of %s could not be built: %s", artifact, error)


def _loaded(bundle: Bundle, candidate: Candidate, lanes: list[Lane], engines: EngineSupply) -> LoadedModel:
    artifact, precision = candidate.artifact, candidate.execution_precision
    spec = artifact.tuned_spec(bundle.manifest.model, precision)
    engine = engines.engine(bundle.manifest.model.name, artifact)
    opened = sha256(engine) if engine is not None else _entry_digest(artifact)
    return LoadedModel(spec, artifact, precision, tuple(lanes), candidate.threads, loaded_digest=opened)


def _entry_digest(artifact: Artifact) -> str | None:
    """Of the file that the backend opens; it was checked against that when it did."""
    return next((file.sha256 for file in artifact.files if file.path == artifact.entry), None)


def _warm(lanes: list[Lane], artifact: Artifact) -> None:
    """Run each once: a first run allocates memory and loads kernels."""
    tensors = {tensor.name: np.zeros(tensor.shape, np.dtype(tensor.dtype)) for tensor in artifact.inputs}
    for lane in lanes:
        lane.infer(tensors)


def _why(model: LoadedModel | None, measured: Preference | None) -> dict[str, str]:
    """Artifact to why it serves, where that was measured."""
    return {model.artifact.id: measured.why} if model and measured and model.setting == measured.first else {}


def _considered(bundle: Bundle, refused: Mapping[str, str], taken: Mapping[str, str]) -> tuple[Considered, ...]:
    names = dict.fromkeys([*(artifact.id for artifact in bundle.manifest.artifacts), *refused])
    return tuple(Considered(artifact=name, refused=refused.get(name), why=taken.get(name)) for name in names)
