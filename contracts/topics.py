"""MQTT topics: the only place that builds or parses one; the two are inverses.

=====================================  =========  ===================
topic under ``edgetally/v1/<device>``  direction  QoS, retain
=====================================  =========  ===================
``status``                             up         1, retained (will)
``hello``                              up         1
``facts``                              up         1, retained
``camera/<id>/state``                  up         1, retained
``camera/<id>/counts``                 up         1
``camera/<id>/events``                 up         1
``health``                             up         0
``desired``                            down       1, retained
``reported``                           up         1, retained
``rpc/<op>``                           down       1
``rpc/<op>/reply``                     up         1
=====================================  =========  ===================

Home Assistant's topics stand beside them, under a prefix of its own.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Literal

from contracts.documents import ID_PATTERN, ID_RULE
from contracts.errors import WrittenError

ROOT = "edgetally/v1"


class Channel(enum.Enum):
    """The kinds of topic; the value is the pattern below the device, ``{name}`` a camera or operation."""

    STATUS = "status"
    HELLO = "hello"
    FACTS = "facts"
    CAMERA_STATE = "camera/{name}/state"
    CAMERA_COUNTS = "camera/{name}/counts"
    CAMERA_EVENTS = "camera/{name}/events"
    HEALTH = "health"
    DESIRED = "desired"
    REPORTED = "reported"
    RPC = "rpc/{name}"
    RPC_REPLY = "rpc/{name}/reply"

    @property
    def named(self) -> bool:
        """Whether the topic carries the name of a camera or operation."""
        return "{name}" in self.value

    @property
    def qos(self) -> Literal[0, 1]:
        """Quality of service that this channel is published with."""
        return 0 if self is Channel.HEALTH else 1

    @property
    def upward(self) -> bool:
        """Whether the device publishes it; it listens to the others."""
        return self not in _DOWNWARD

    @property
    def retained(self) -> bool:
        """Whether the broker keeps the last message for who comes later."""
        return self in _RETAINED


_DOWNWARD = frozenset({Channel.DESIRED, Channel.RPC})
_RETAINED = frozenset({Channel.STATUS, Channel.FACTS, Channel.CAMERA_STATE, Channel.DESIRED, Channel.REPORTED})


@dataclass(frozen=True)
class Topic:
    """One topic.

    Args:
        device: the device's id.
        channel: which kind.
        name: the camera or operation, where the channel carries one.

    Raises:
        WrittenError: an id is outside ``[a-z0-9_-]{1,64}``, or a name is missing or too much.
    """

    device: str
    channel: Channel
    name: str | None = None

    def __post_init__(self) -> None:
        _check_id("device", self.device)
        if self.channel.named:
            _check_id("camera or operation", self.name or "")
        elif self.name is not None:
            raise WrittenError(f"topic {self.channel.value!r} takes no name, got {self.name!r}; leave it out")

    def __str__(self) -> str:
        return f"{ROOT}/{self.device}/{self.channel.value.format(name=self.name)}"

    @classmethod
    def parse(cls, text: str) -> Topic:
        """The topic that the text names.

        Raises:
            WrittenError: it is none of ours.
        """
        for channel, pattern in _PATTERNS.items():
            match = pattern.fullmatch(text)
            if match:
                return cls(match["device"], channel, match.groupdict().get("name"))
        raise WrittenError(f"{text!r} is no topic of edgetally; expected {ROOT}/<device>/<channel>")


def subscription(channel: Channel, *, device: str = "+", name: str = "+") -> str:
    """A subscription filter for a channel; ``+`` stands for every device or name."""
    return f"{ROOT}/{device}/{channel.value.format(name=name)}"


def discovery_topic(prefix: str, device: str) -> str:
    """Where Home Assistant looks for a device; its id alone stands in a level, as patterns in access rules need it."""
    return f"{prefix}/device/{device}/config"


def birth_topic(prefix: str) -> str:
    """Where Home Assistant says that it is there, or left."""
    return f"{prefix}/status"


def _pattern(channel: Channel) -> re.Pattern[str]:
    text = re.escape(f"{ROOT}/{{device}}/{channel.value}")
    one = ID_PATTERN.strip("^$")
    return re.compile(
        text.replace(re.escape("{device}"), f"(?P<device>{one})").replace(re.escape("{name}"), f"(?P<name>{one})")
    )


def _check_id(kind: str, value: str) -> None:
    if not re.fullmatch(ID_PATTERN.strip("^$"), value):
        raise WrittenError(f"{kind} id should be {ID_RULE} (it stands in a topic), got {value!r}; rename it")


_PATTERNS = {channel: _pattern(channel) for channel in Channel}
