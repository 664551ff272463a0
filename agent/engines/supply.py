"""Where a box's engines come from: those that are there, those that have to be built, and those that could not be."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.counting.clock import utc_text
from agent.engines.attempts import Attempts, Failure
from agent.engines.build import BuildNeeded, EngineBuild, engine_for
from agent.engines.key import needs_engine
from agent.engines.store import EngineStore, KeptEngine
from contracts.errors import DeviceError
from contracts.facts import Facts
from contracts.manifest import Artifact
from runtime.bundle import Bundle
from runtime.tensorrt.build import BuildCancelledError, BuildProgress

_LOOK = 0.25  # seconds between two looks at a build


@dataclass(frozen=True)
class Awaited:
    """An engine that is not there.

    Args:
        needed: what has to be built.
        seconds: until that is to be tried: 0 is now, infinite is not again.
        problem: what the last try failed with and what comes next; empty where it is to be tried now.
    """

    needed: BuildNeeded
    seconds: float = 0.0
    problem: str = ""


class EngineMissingError(DeviceError):
    """An artifact has no engine yet.

    Args:
        awaited: what is known of it.
    """

    def __init__(self, awaited: Awaited) -> None:
        self.awaited = awaited
        artifact = awaited.needed.artifact.id
        super().__init__(awaited.problem or f"the engine of {artifact} is not built yet; run the agent, which does it")


class EngineSupply:
    """The engines of this box.

    Args:
        root: where they are kept; made when the first is built.
        facts: the box's.
        clock: seconds since 1970.
    """

    def __init__(self, root: Path, facts: Facts, clock: Callable[[], float] = time.time) -> None:
        self._facts = facts
        self._clock = clock
        self._store = EngineStore(root)
        self._attempts = Attempts(root / "attempts", facts, clock)

    def engine(self, model: str, artifact: Artifact) -> Path | None:
        """The engine of an artifact; None for one that runs as it is.

        Args:
            model: name of the bundle's model.
            artifact: one of the bundle's.

        Raises:
            EngineMissingError: there is none.
            DeviceError: the box does not say its TensorRT or GPU.
            BundleError: the artifact has no recipe.
        """
        if not needs_engine(artifact):
            return None
        found = engine_for(model, artifact, self._facts, self._store)
        if isinstance(found, Path):
            return found
        failure = self._attempts.failure(found.name)
        if failure is None:
            raise EngineMissingError(Awaited(found))
        raise EngineMissingError(Awaited(found, failure.seconds, self._told(failure.problem, failure.seconds)))

    def kept(self) -> list[KeptEngine]:
        """The engines that are there."""
        return self._store.kept()

    def failures(self) -> dict[str, Failure]:
        """The builds that failed on the box as it is, by the model's name and the engine's key."""
        return self._attempts.failures()

    def forget_failures(self) -> None:
        """Have every build tried again, by whoever looks next."""
        for name in self._attempts.failures():
            self._attempts.succeeded(name)

    def build(
        self,
        bundle: Bundle,
        needed: BuildNeeded,
        note: Callable[[BuildProgress], None] = lambda _: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Path:
        """Build an engine and wait for it; a failure is remembered, so that it is not tried again at once.

        Args:
            bundle: where the artifact is.
            needed: what to build.
            note: told a few times a second how far it is.
            cancelled: asked as often; the build ends once it is true.

        Raises:
            BuildCancelledError: it was cancelled.
            EdgetallyError: it failed; as `runtime.tensorrt.build.build_engine` says.
        """
        self._attempts.begin(needed.name)
        building = EngineBuild(bundle, needed, self._facts, self._store)
        building.start()
        try:
            while not building.wait(_LOOK):
                note(building.progress)
                if cancelled():
                    building.cancel()
            engine = building.result()
        except BuildCancelledError:
            self._attempts.abandoned(needed.name)
            raise
        except Exception as error:
            self._attempts.failed(needed.name, str(error))
            raise
        except BaseException:  # whoever waits is ended, with Ctrl-C say
            building.cancel()
            self._attempts.abandoned(needed.name)
            raise
        self._attempts.succeeded(needed.name)
        return engine

    def _told(self, problem: str, seconds: float) -> str:
        if math.isinf(seconds):
            return f"its engine could not be built: {problem}; it is not tried again as long as this box stays as it is"
        if seconds <= 0:
            return ""
        at = utc_text(math.floor(self._clock() + seconds))
        return f"its engine could not be built: {problem}; it is tried again at {at}"
