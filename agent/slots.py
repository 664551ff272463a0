"""The models of a box, each in its slot: a bundle, the lanes that run it, and what serves in them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

from agent.engines.supply import EngineSupply
from agent.lanes import LanePool
from agent.model import RunningForm, Selection
from agent.serving import Serving
from agent.settings import engines_dir
from agent.tuning.ground import Ground
from contracts.config import AgentConfig
from contracts.desired import RunningModel
from contracts.errors import NoArtifactFitsError
from contracts.facts import Facts
from contracts.health import ModelHealth
from contracts.messages import Considered
from contracts.model_spec import ModelSpec
from runtime.bundle import Bundle, open_bundle


class Slot:
    """One model: a bundle, and what runs it; another bundle may take its place.

    Args:
        name: by which cameras ask for it.
        ground: where it is from, and what there is to be measured of it here.
        engines: those of the box.
        changed: called from any thread after what serves, what was refused or what is built changed.

    Attributes:
        ready: notified when a frame waits for it.
        pool: the lanes that its cameras' frames go through.
        serving: chooses what runs in them.
    """

    def __init__(self, name: str, ground: Ground, engines: EngineSupply, changed: Callable[[], None]) -> None:
        self.name = name
        self._ground = ground
        self._engines = engines
        self.ready = threading.Condition()
        self.pool = LanePool([], self.ready)
        self.serving = Serving(self.pool, ground.select, partial(engines.build, ground.bundle), changed)

    @property
    def ground(self) -> Ground:
        """Where the model is from, and what there is to be measured of it here."""
        return self._ground

    @property
    def bundle(self) -> Bundle:
        """Its bundle, open."""
        return self._ground.bundle

    @property
    def spec(self) -> ModelSpec:
        """What the model wants and gives."""
        return self.bundle.manifest.model

    def form(self) -> RunningForm | None:
        """What counts; None where nothing does."""
        return self.serving.form

    def running(self) -> RunningModel | None:
        """What counts, and the bundle that it is of; None where nothing does."""
        form, bundle = self.serving.form, self.bundle
        if form is None:
            return None
        # While another bundle takes its place the form may be the new one's already.
        is_of_it = form.artifact in bundle.manifest.artifacts
        return RunningModel(
            artifact_digest=form.artifact.digest,
            loaded_digest=form.loaded_digest,
            name=form.spec.name,
            version=form.spec.version,
            manifest=bundle.manifest_sha256 if is_of_it else None,
        )

    @property
    def serves(self) -> bool:
        """Whether an artifact of it counts."""
        return self.serving.form is not None

    def replace(self, ground: Ground, selection: Selection) -> None:
        """Have another bundle count, between two frames; while `serving` is held.

        Args:
            ground: where it is from.
            selection: what was chosen of it, opened and proven.

        Raises:
            ArtifactError: as of `Serving.replace`, like the next; the bundle before goes on.
            DeviceError: see there.
        """
        self.serving.replace(ground.select, partial(self._engines.build, ground.bundle), selection)
        self._ground = ground


class Slots(Mapping[str, Slot]):
    """All models of a box by name; their bundles are open, their artifacts are chosen and loaded by `start`.

    Args:
        config: the box's settings.
        facts: the box's.
        changed: called from any thread after what serves, what was refused or what is built changed.
        installed: slot to the folder of a bundle that runs instead of the configuration's.

    Attributes:
        engines: those of the box.

    Raises:
        BundleError: a bundle cannot be opened.
    """

    def __init__(
        self,
        config: AgentConfig,
        facts: Facts,
        changed: Callable[[], None],
        installed: Mapping[str, Path] = MappingProxyType({}),
    ) -> None:
        self._config = config
        self._facts = facts
        self.engines = EngineSupply(engines_dir(config), facts)
        grounds = {name: self.ground(name, installed.get(name)) for name in config.slots}
        self._slots = {name: Slot(name, ground, self.engines, changed) for name, ground in grounds.items()}

    def __getitem__(self, name: str) -> Slot:
        return self._slots[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._slots)

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def specs(self) -> dict[str, ModelSpec]:
        """What each model wants and gives."""
        return {name: slot.spec for name, slot in self.items()}

    @property
    def digests(self) -> dict[str, str]:
        """Digest of the artifact that each model counts with; those that count with none are left out."""
        forms = {name: slot.serving.form for name, slot in self.items()}
        return {name: form.artifact.digest for name, form in forms.items() if form is not None}

    @property
    def running(self) -> dict[str, RunningModel]:
        """What each model counts with; those that count with nothing are left out."""
        found = {name: slot.running() for name, slot in self.items()}
        return {name: running for name, running in found.items() if running is not None}

    @property
    def considered(self) -> list[Considered]:
        """Every artifact of every bundle, with the reason where it does not serve."""
        return [
            one.model_copy(update={"model": name}) for name, slot in self.items() for one in slot.serving.considered
        ]

    def ground(self, name: str, folder: Path | None) -> Ground:
        """What there is of a bundle for a slot; nothing of it is loaded.

        Args:
            name: the slot.
            folder: the bundle's; None for the one that the configuration names.

        Raises:
            BundleError: it cannot be opened.
        """
        bundle = open_bundle(folder or Path(self._config.slots[name].bundle))
        return Ground.of(self._config, bundle, self._facts, self.engines, name)

    def health(self) -> dict[str, ModelHealth]:
        """What runs, and what is being built."""
        return {name: _health(slot.serving) for name, slot in self.items()}

    def start(self) -> None:
        """Serve with the best of every bundle that works now, and begin to build what is better.

        All are opened before the first counts, so that none counts while another loads. One that does not work stops
        no other: its cameras are not counted, and `problems` says why.

        Raises:
            NoArtifactFitsError: of no bundle an artifact fits and works here, and no engine is to be built.
        """
        for slot in self.values():
            with contextlib.suppress(NoArtifactFitsError):
                slot.serving.choose()
        self.check(patient=True)
        for slot in self.values():
            slot.serving.begin()

    def check(self, *, patient: bool) -> None:
        """Raise where no model serves and none will; see `Serving.check`.

        Raises:
            NoArtifactFitsError: so it is; it holds every reason of the first.
        """
        problems = self.problems(patient=patient)
        if len(problems) == len(self):
            raise next(iter(problems.values()))

    def problems(self, *, patient: bool = True) -> dict[str, NoArtifactFitsError]:
        """The models that do not serve and will not, and why; arguments as of `Serving.check`."""
        found = {}
        for name, slot in self.items():
            try:
                slot.serving.check(patient=patient)
            except NoArtifactFitsError as error:  # noqa: PERF203 - every model is asked
                found[name] = error
        return found

    def stop(self, timeout: float) -> None:
        """Finish the frames under way and close all models; twice is harmless.

        Args:
            timeout: seconds that lanes get which hang, all together.
        """
        deadline = time.monotonic() + timeout
        with contextlib.ExitStack() as stack:  # one that fails does not keep the others from stopping
            for slot in self.values():
                stack.callback(_stop_by, slot.serving, deadline)


def _stop_by(serving: Serving, deadline: float) -> None:
    serving.stop(max(0.0, deadline - time.monotonic()))


def _health(serving: Serving) -> ModelHealth:
    form = serving.form
    return ModelHealth(artifact=form.artifact.id if form is not None else None, building=serving.progress)
