"""Who may publish and read what at the broker. Pure, and the same whichever broker enforces it.

A box writes its own upward topics and reads its own downward ones; its id is the name that the broker knows it by (user
name, or the certificate's common name). Nobody else writes as a box, and boxes hear nothing of each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from contracts.errors import WrittenError
from contracts.topics import Channel, birth_topic, discovery_topic, subscription
from fleet.inventory.reading import CHANNELS

Access = Literal["read", "write", "readwrite"]
"""What is allowed on a topic."""

_USER = r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,127}"


class Rule(NamedTuple):
    """One permission; ``+`` in the topic stands for any one level, ``#`` at its end for all further ones."""

    access: Access
    topic: str


@dataclass(frozen=True)
class Users:
    """Who is not a box, by the names that the broker knows them by.

    Args:
        controllers: `edgetally-fleet serve`.
        home_assistants: Home Assistant.
        readers: who takes counts, events and states in, and publishes nothing.
        prefixes: of Home Assistant's topics; none where boxes announce themselves nowhere.

    Raises:
        WrittenError: a name has characters that a broker's file of rules might take for something else.
    """

    controllers: Sequence[str] = ()
    home_assistants: Sequence[str] = ()
    readers: Sequence[str] = ()
    prefixes: Sequence[str] = ("homeassistant",)

    def __post_init__(self) -> None:
        for name in (*self.controllers, *self.home_assistants, *self.readers):
            if re.fullmatch(_USER, name) is None:
                raise WrittenError(f"user {name!r} should be letters, digits and _ . @ - only, 128 at most; rename it")

    def rules(self) -> dict[str, list[Rule]]:
        """What each may do."""
        found: dict[str, list[Rule]] = {}
        for names, rules in (
            (self.controllers, _controller()),
            (self.home_assistants, _home_assistant(self.prefixes)),
            (self.readers, _reader()),
        ):
            for name in names:
                known = found.setdefault(name, [])
                known += [rule for rule in rules if rule not in known]
        return found


def device_rules(device: str, prefixes: Sequence[str]) -> Iterator[Rule]:
    """What a box may do.

    Args:
        device: its id, or what the broker puts it in the place of.
        prefixes: as of `Users`.
    """
    for channel in Channel:
        yield Rule("write" if channel.upward else "read", subscription(channel, device=device))
    for prefix in prefixes:
        yield Rule("write", discovery_topic(prefix, device))
        yield Rule("read", birth_topic(prefix))


def _controller() -> list[Rule]:
    heard = [channel for channel in Channel if channel in CHANNELS or channel is Channel.RPC_REPLY]
    said = [channel for channel in Channel if not channel.upward]
    return [*(Rule("read", subscription(one)) for one in heard), *(Rule("write", subscription(one)) for one in said)]


def _home_assistant(prefixes: Sequence[str]) -> list[Rule]:
    shown = (Channel.STATUS, Channel.CAMERA_STATE, Channel.HEALTH)
    of_boxes = [Rule("read", subscription(channel)) for channel in shown]
    # It takes a document back where somebody deletes a device there, and other things announce themselves too.
    return [*of_boxes, *(Rule("readwrite", f"{prefix}/#") for prefix in prefixes)]


def _reader() -> list[Rule]:
    taken = (Channel.STATUS, Channel.CAMERA_STATE, Channel.CAMERA_COUNTS, Channel.CAMERA_EVENTS)
    return [Rule("read", subscription(channel)) for channel in taken]
