"""What a Raspberry Pi's firmware says of heat and of a weak power supply.

Its kernel has the firmware's word (bits as of ``vcgencmd get_throttled``), a kernel without its changes knows of the
supply alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from agent.telemetry.reading import Reading
from agent.telemetry.sysfs import found, integer, text

_WORD = "sys/devices/platform/soc*/soc*firmware/get_throttled"
_NOW: Mapping[int, str] = {0: "under_voltage", 1: "frequency_capped", 2: "throttled", 3: "soft_temperature_limit"}
"""Bits of what holds now. Those from 16 on say what was; the kernel clears them now and then, so they are not used."""


class RaspberryPi:
    """The firmware's word.

    Args:
        word: the file with its bits; None where the kernel has none.
        alarm: the file that holds 1 while the voltage is low.
    """

    def __init__(self, word: Path | None, alarm: Path | None) -> None:
        self._word = word
        self._alarm = alarm

    @classmethod
    def find(cls, root: Path) -> RaspberryPi | None:
        """That of a Raspberry Pi; None on other boards."""
        word = next(iter(found(root, _WORD)), None)
        chips = (path.parent for path in found(root, "sys/class/hwmon/hwmon*/name") if text(path).strip() == "rpi_volt")
        alarm = next((chip / "in0_lcrit_alarm" for chip in chips), None)
        return cls(word, alarm) if word or alarm else None

    def read(self, now: float) -> Reading:
        """See `Reader.read`."""
        del now
        bits = None if self._word is None else _hexadecimal(text(self._word))
        if bits is not None:
            return Reading(throttles={reason: bool(bits >> bit & 1) for bit, reason in _NOW.items()})
        low = None if self._alarm is None else integer(self._alarm)
        return Reading(throttles={} if low is None else {"under_voltage": low > 0})


def _hexadecimal(content: str) -> int | None:
    """``50005`` or ``0x50005``."""
    match = re.fullmatch(r"(?:0x)?([0-9a-fA-F]{1,8})", content.strip())
    return int(match[1], 16) if match else None
