"""What answering needs of the link, and of the rest of the agent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.mqtt.ports import Received
from agent.page.ports import Redact, Snapshots
from contracts.documents import MachineModel
from contracts.topics import Topic


class Line(Protocol):
    """Where requests come from and replies go; `agent.mqtt.link.MqttLink` is one. No call waits for the network."""

    def listen(self, topic: str, receiver: Callable[[Received], None]) -> None:
        """Have what comes on exactly this topic given to ``receiver``, which must not wait."""

    def answer(self, topic: Topic, message: MachineModel) -> None:
        """Publish a message once; dropped where there is no connection."""


@dataclass(frozen=True)
class TrialResult:
    """What a trial found.

    Args:
        passed: None where nobody can tell.
        text: what was done and found, or what is wrong and what to do.
    """

    passed: bool | None
    text: str


@dataclass(frozen=True)
class Trial:
    """One part of the self-test.

    Args:
        part: its name.
        run: tries it; an `EdgetallyError` that it raises is a finding too.
    """

    part: str
    run: Callable[[], TrialResult]


@dataclass(frozen=True)
class Agent:
    """What the operations may do with the agent; called by the thread that carries them out.

    Args:
        boot_id: of this run.
        snapshots: the cameras' last pictures.
        redact: makes of a picture what may leave.
        trials: what a self-test tries now.
        restart: ends the agent so that it is started anew; returns at once.
        uptime: seconds since the agent's start.
        managed: whether a service manager would start it again.
        learn_anew: forgets what is usual for a camera; gives when its new past began, UTC.
    """

    boot_id: str
    snapshots: Snapshots
    redact: Redact
    trials: Callable[[], Sequence[Trial]]
    restart: Callable[[], None]
    uptime: Callable[[], float]
    managed: bool
    learn_anew: Callable[[str], str]
