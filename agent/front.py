"""What a running agent offers to people and operators: its page, pictures, and answers to requests over MQTT."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from agent.camera_set import CameraSet
from agent.disk import Disk
from agent.drawn import DrawnChanges
from agent.ending import Ending
from agent.ledger import Ledger
from agent.mqtt.link import MqttLink
from agent.observed import Observed
from agent.page.server import PageServer
from agent.privacy.faces import open_faces
from agent.privacy.redact import Redactor
from agent.rpc.ports import Agent, Trial
from agent.rpc.restart import this_is_managed
from agent.rpc.selftest import box_trials, model_trial
from agent.rpc.server import RpcServer, RpcSettings
from agent.slots import Slots
from agent.telling import Teller
from contracts.config import AgentConfig, PageConfig
from contracts.errors import DeviceError
from contracts.facts import Facts

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inside:
    """The parts of the agent that are looked at, or asked.

    Args:
        config: the configuration that runs now.
        facts: the box's.
        keys: the file with the operators' keys.
        keys_awaited: whether there will be keys that are not known yet.
        slots: the models.
        cameras: those that run.
        ledger: committed totals.
        drawn: takes changes.
        teller: makes messages.
        link: to the broker.
        learn_anew: forgets what is usual for a camera.
        restart: ends the agent, to be started anew.
        end: how long all that ends gets.
    """

    config: Callable[[], AgentConfig]
    facts: Facts
    keys: Path
    keys_awaited: Callable[[], bool]
    slots: Slots
    cameras: CameraSet
    ledger: Ledger
    drawn: DrawnChanges
    teller: Teller
    link: MqttLink
    learn_anew: Callable[[str], str]
    restart: Callable[[], None]
    end: Ending


class Front:
    """See above; for the daemon's thread.

    Args:
        inside: the parts that it shows.
    """

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        self._page: PageServer | None = None
        self._rpc: RpcServer | None = None
        self._closing = ExitStack()

    def open(self, secrets: Iterable[str]) -> None:
        """Begin to answer and, where it is asked for, to show the page.

        Args:
            secrets: that may stand in no line of the page's log.

        Raises:
            EdgetallyError: the detector of faces does not open.
        """
        observed = self._observe()
        self._answer_requests(observed)
        page = self._inside.config().page
        if page is not None:
            self._show(page, observed, secrets)

    def close(self) -> None:
        """Answer nothing more; twice is harmless."""
        self._closing.close()

    def hide(self, secrets: Iterable[str]) -> None:
        """Have these stand in no line of the page's log either."""
        if self._page is not None:
            self._page.hide(secrets)

    @property
    def requests_refused(self) -> int:
        """Since the start."""
        return self._rpc.refused if self._rpc is not None else 0

    def _observe(self) -> Observed:
        inside = self._inside
        privacy = inside.config().privacy
        faces = None
        if privacy.faces is not None:
            faces = open_faces(Path(privacy.faces), inside.facts, inside.slots.engines)
            self._closing.callback(faces.close)
        return Observed(
            specs=lambda: inside.slots.specs,
            boot_id=inside.teller.boot_id,
            cameras=inside.cameras,
            ledger=inside.ledger,
            drawn=inside.drawn,
            health=lambda: inside.teller.health(time.monotonic()),
            facts=inside.teller.what_it_is,
            wall=time.time,
            redact=Redactor(privacy, lambda: inside.config().camera, faces),
        )

    def _answer_requests(self, observed: Observed) -> None:
        inside, config = self._inside, self._inside.config()
        agent = Agent(
            boot_id=inside.teller.boot_id,
            snapshots=observed,
            redact=observed.redact,
            trials=self._trials,
            restart=inside.restart,
            uptime=lambda: time.monotonic() - inside.teller.started,
            managed=this_is_managed(),
            learn_anew=inside.learn_anew,
        )
        disk = Disk(Path(config.state_dir) / "rpc")
        settings = RpcSettings(config.device, config.rpc, inside.keys, disk, keys_awaited=inside.keys_awaited)
        server = self._rpc = RpcServer(settings, inside.link, agent)
        server.start()
        self._closing.callback(lambda: server.close(inside.end.rest()))

    def _trials(self) -> list[Trial]:
        inside = self._inside
        models = [model_trial(one.name, one.bundle, inside.slots.engines, one.form) for one in inside.slots.values()]
        return box_trials(models, Path(inside.config().state_dir), inside.cameras.units)

    def _show(self, config: PageConfig, observed: Observed, secrets: Iterable[str]) -> None:
        """Open the page; what stands against it is said, and counting goes on."""
        page = PageServer(config, observed.ports(), tuple(secrets))
        try:
            page.start()
        except DeviceError as error:
            _log.error("the page is not shown: %s", error)
            return
        self._page = page
        self._closing.callback(lambda: page.close(self._inside.end.rest()))
