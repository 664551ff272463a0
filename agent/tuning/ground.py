"""What there is to be measured on a box: a bundle, the box's facts and engines, and what its configuration asks for."""

from __future__ import annotations

import math
from dataclasses import dataclass

from typing_extensions import Self

from agent.choose import Preference, candidates
from agent.engines.supply import EngineMissingError, EngineSupply
from agent.model import LoadedModel, Selection, load_model
from agent.settings import tuning_dir
from agent.tuning.cache import Tuned, TuningCache, key_of
from agent.tuning.child import PairJob
from agent.tuning.findings import preference_of
from agent.tuning.rules import Aim, aim_of
from agent.tuning.search import Space, space_of
from agent.tuning.setting import Setting
from contracts.config import MAIN, AgentConfig, RuntimeConfig
from contracts.errors import ArtifactError, DeviceError
from contracts.facts import Facts
from contracts.manifest import Artifact
from runtime.bundle import Bundle
from runtime.environment import read_environment


@dataclass(frozen=True)
class Ground:
    """See above.

    Args:
        bundle: open.
        facts: the box's.
        wanted: what is asked for by name, which nothing changes.
        engines: the box's.
        aim: what a setting is to be best at.
        cache: what was measured before.
    """

    bundle: Bundle
    facts: Facts
    wanted: RuntimeConfig
    engines: EngineSupply
    aim: Aim
    cache: TuningCache

    @classmethod
    def of(cls, config: AgentConfig, bundle: Bundle, facts: Facts, engines: EngineSupply, model: str = MAIN) -> Self:
        """What there is to be measured of a bundle for a configuration.

        Args:
            config: all settings.
            bundle: open.
            facts: the box's.
            engines: the box's.
            model: which of the configuration's models the bundle is.
        """
        wanted = config.slots[model].runtime or config.runtime
        cameras = [camera for camera in config.camera if camera.model == model]
        return cls(bundle, facts, wanted, engines, aim_of(wanted, cameras), TuningCache(tuning_dir(config)))

    def select(self, serving: LoadedModel | None) -> Selection:
        """What serves: as `agent.model.load_model`, with what was measured first.

        Raises:
            NoArtifactFitsError: see there.
        """
        return load_model(self.bundle, self.facts, self.wanted, self.engines, serving, measured=self.preference())

    @property
    def awaits_engine(self) -> bool:
        """Whether an engine is still to be built: what comes with it is not known yet, and the box has no time."""
        waits = (self._seconds_to(artifact) for artifact in self._fitting())
        return any(seconds is not None and math.isfinite(seconds) for seconds in waits)

    def space(self) -> Space:
        """What may be measured now."""
        return space_of(self.bundle.manifest, self.facts, self.wanted, lambda one: self._seconds_to(one) is None)

    def key(self, space: Space) -> dict[str, object]:
        """What a measurement of it holds for."""
        return key_of(self.facts, read_environment("null").governor, space, self.aim)

    def known(self) -> Tuned | None:
        """What was measured of it before."""
        return self.cache.get(self.key(self.space()))

    def job(self, base: Setting, other: Setting, nice: int) -> PairJob:
        """Measuring two settings in turn.

        Raises:
            DeviceError: an engine is gone.
        """
        model = self.bundle.manifest.model.name
        artifacts = {one.artifact: self.bundle.artifact(one.artifact) for one in (base, other)}
        engines = {name: self.engines.engine(model, artifact) for name, artifact in artifacts.items()}
        return PairJob(
            bundle=self.bundle.path.resolve(),
            settings=(base, other),
            engines={name: path.resolve() for name, path in engines.items() if path is not None},
            nice=nice,
        )

    def preference(self) -> Preference | None:
        """What was measured to be best here; None where that is not known, or an engine may change it."""
        if self.awaits_engine:
            return None
        tuned = self.known()
        return preference_of(tuned, self.aim) if tuned else None

    def _fitting(self) -> list[Artifact]:
        return [one.artifact for one in candidates(self.bundle.manifest, self.facts, self.wanted)[0]]

    def _seconds_to(self, artifact: Artifact) -> float | None:
        """Seconds until its engine is to be built, infinite for never; None where it can run now."""
        try:
            self.engines.engine(self.bundle.manifest.model.name, artifact)
        except EngineMissingError as error:
            return error.awaited.seconds
        except (ArtifactError, DeviceError):
            return math.inf
        return None
