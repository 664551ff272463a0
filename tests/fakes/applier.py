"""An agent that a configuration is applied to, without cameras or a broker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from agent.remote.plan import Plan
from agent.remote.ports import Running
from contracts.config import AgentConfig, CameraConfig
from contracts.desired import WrongField
from contracts.update import UpdateReport


def in_order(config: AgentConfig) -> AgentConfig:
    """With its cameras by their ids: their order means nothing to what runs."""
    return config.model_copy(update={"camera": tuple(sorted(config.camera, key=lambda camera: camera.id))})


class FakeApplier:
    """Follows plans step by step, so that a plan that forgets a step is noticed.

    Args:
        config: what runs from the start.

    Attributes:
        cameras: those that are open.
        opened: how often each was opened.
        reachable: brokers that would accept us, by address; all where None.
        problems: what does not run.
        update: the newest attempt to change the models.
        fails: raised by the next `apply`.
    """

    def __init__(self, config: AgentConfig) -> None:
        self._config = config
        self.cameras: dict[str, CameraConfig] = {camera.id: camera for camera in config.camera}
        self.opened: Counter[str] = Counter(list(self.cameras))
        self.reachable: set[str] | None = None
        self.problems: list[WrongField] = []
        self.update: UpdateReport | None = None
        self.cannot: list[WrongField] = []
        self.fails: Exception | None = None
        self.plans: list[Plan] = []

    @property
    def config(self) -> AgentConfig:
        """What runs, put together from what the plans did; see `in_order`."""
        return in_order(self._config.model_copy(update={"camera": tuple(self.cameras.values())}))

    def apply(self, plan: Plan) -> Sequence[WrongField]:
        """Do what it says."""
        assert in_order(plan.old) == self.config, "a plan should begin at what runs"
        self.plans.append(plan)
        for camera_id in plan.stop:
            del self.cameras[camera_id]
        for camera in (*plan.start, *plan.restart):
            self.opened[camera.id] += 1
            self.cameras[camera.id] = camera
        for camera in plan.change:
            self.cameras[camera.id] = camera
        changed = {key: getattr(plan.new, key) for key in plan.device}
        if plan.connectivity:
            changed["broker"] = plan.new.broker
        self._config = self._config.model_copy(update=changed)
        if self.fails is not None:
            error, self.fails = self.fails, None
            raise error
        return self.cannot

    def running(self) -> Running:
        """How it does."""
        address = self._config.broker.address
        connected = self.reachable is None or address in self.reachable
        return Running(connected=connected, problems=tuple(self.problems), update=self.update)
