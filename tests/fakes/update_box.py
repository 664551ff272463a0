"""A running agent as an update sees it, which counts nothing: it knows which bundles it was told to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from agent.engines.supply import EngineSupply
from agent.model import LoadedModel, RunningForm, Selection
from agent.tuning.cache import TuningCache
from agent.tuning.ground import Ground
from agent.tuning.rules import Aim
from agent.tuning.tuner import Served
from agent.update.box import Opened
from agent.update.shadow import ShadowTap
from contracts.config import AgentConfig, RuntimeConfig
from contracts.errors import ArtifactError
from contracts.facts import Facts
from runtime.bundle import open_bundle


class FakeGround(Ground):
    """Whose bundle always opens, unless its version says that it does not."""

    def select(self, serving: LoadedModel | None) -> Selection:
        del serving
        if self.bundle.manifest.model.version.endswith("-broken"):
            raise ArtifactError("it does not load")
        artifact = self.bundle.manifest.artifacts[0]
        return Selection("fake", LoadedModel(self.bundle.manifest.model, artifact, "f32", ()), ())


class FakeMeasuring:
    """Measures nothing: it ends at once, or runs until it is stopped where `hangs`.

    Attributes:
        share: of its work that is done.
        calls: what it was told, in order.
    """

    def __init__(self, *, hangs: bool = False) -> None:
        self.share = 0.5
        self.hangs = hangs
        self.calls: list[str] = []

    def start(self) -> None:
        self.calls.append("start")

    def wait(self, seconds: float) -> bool:
        del seconds
        return not self.hangs

    def stop(self, timeout: float) -> None:
        del timeout
        self.calls.append("stop")


class FakeBox:
    """See the module.

    Args:
        config: whose slots there are.
        installed: slot to the folder of the bundle that it starts with, instead of the configuration's.

    Attributes:
        now: slot to the folder of the bundle that it runs.
        measured: those that were asked for a measurement, by the versions of the bundles.
        hangs: whether measurements come to no end.
        flips: how often other ones took over.
    """

    def __init__(self, config: AgentConfig, installed: Mapping[str, Path]) -> None:
        self.config = config
        self.facts: Facts = {"cpu.count": 1, "cpu.arch": "x86_64"}
        self.engines = EngineSupply(Path(config.state_dir) / "engines", self.facts)
        self.now = {name: installed.get(name, Path(slot.bundle)) for name, slot in config.slots.items()}
        self.measured: dict[str, FakeMeasuring] = {}
        self.hangs = False
        self.flips = 0
        self.reconsidered: list[str] = []

    def ground(self, slot: str, folder: Path | None) -> Ground:
        bundle = open_bundle(folder or Path(self.config.slots[slot].bundle))
        cache = TuningCache(Path(self.config.state_dir) / "tuning")
        return FakeGround(bundle, self.facts, RuntimeConfig(), self.engines, Aim("throughput", None), cache)

    def measuring(self, ground: Ground, served: Served) -> FakeMeasuring:
        assert served.setting is not None
        one = FakeMeasuring(hangs=self.hangs)
        self.measured[ground.bundle.manifest.model.version] = one
        return one

    def counts_with(self) -> Mapping[str, Path]:
        return dict(self.now)

    def tap(self, slot: str, tap: ShadowTap | None) -> None:
        pass

    def form(self, slot: str) -> RunningForm | None:
        return None

    def reconsider(self, slot: str) -> None:
        self.reconsidered.append(slot)

    def flip(self, models: Mapping[str, Opened]) -> Sequence[str]:
        self.flips += 1
        self.now |= {slot: one.ground.bundle.path for slot, one in models.items()}
        return ()
