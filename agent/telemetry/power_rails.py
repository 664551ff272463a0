"""Power by rail: the sensors on Jetson's and other boards, as kernels since 5 and as Jetson's 4.9 show them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from agent.telemetry.reading import Reading
from agent.telemetry.sysfs import apart, found, name, scaled, text

_MILLI, _MICRO = 1e-3, 1e-6
_NOT_CONNECTED = {"NC", "sum_of_shunt_voltages"}
_MOST = 10_000.0  # watts; above it the sensor is broken


@dataclass(frozen=True)
class _Rail:
    name: str
    watts: Callable[[], float | None]


class PowerRails:
    """All rails that tell their power.

    Args:
        rails: how each is read.
    """

    def __init__(self, rails: list[_Rail]) -> None:
        self._rails = rails

    @classmethod
    def find(cls, root: Path) -> PowerRails | None:
        """Those of a board; None where it has none."""
        rails = [*_ina3221(root), *_metered(root), *_jetson_4_9(root)]
        return cls(rails) if rails else None

    def read(self, now: float) -> Reading:
        """See `Reader.read`."""
        del now
        watts = {rail.name: value for rail in self._rails if (value := rail.watts()) is not None}
        return Reading(watts={word: round(value, 3) for word, value in watts.items() if 0 <= value <= _MOST})


def _ina3221(root: Path) -> Iterator[_Rail]:
    """Linux: Documentation/hwmon/ina3221.rst; volts and amperes of up to three rails each."""
    chips = [chip for chip in found(root, "sys/class/hwmon/hwmon*") if text(chip / "name").strip() == "ina3221"]
    labels = [(name(path), path) for chip in chips for path in found(chip, "in*_label")]
    for word, path in apart([(word, path) for word, path in labels if word and word not in _NOT_CONNECTED]):
        number = path.name.removeprefix("in").removesuffix("_label")
        volts, amperes = path.with_name(f"in{number}_input"), path.with_name(f"curr{number}_input")
        yield _Rail(word, partial(_product, volts, amperes))


def _metered(root: Path) -> Iterator[_Rail]:
    """Chips that tell the power themselves (INA226, INA238, ACPI's meter), in microwatts."""
    inputs = [path for end in ("input", "average") for path in found(root, f"sys/class/hwmon/hwmon*/power*_{end}")]
    named = [(name(_label(path)) or name(path.with_name("name"), path.parent.name), path) for path in inputs]
    for word, path in apart(named):
        yield _Rail(word, partial(scaled, path, _MICRO))


def _jetson_4_9(root: Path) -> Iterator[_Rail]:
    """The driver in JetPack 4, in milliwatts."""
    named = [(name(path), path) for path in found(root, "sys/bus/i2c/drivers/ina3221x/*/iio*device*/rail_name_*")]
    for word, path in apart([(word, path) for word, path in named if word and word not in _NOT_CONNECTED]):
        number = path.name.removeprefix("rail_name_")
        yield _Rail(word, partial(scaled, path.with_name(f"in_power{number}_input"), _MILLI))


def _label(power: Path) -> Path:
    return power.with_name(f"{power.name.partition('_')[0]}_label")


def _product(volts: Path, amperes: Path) -> float | None:
    """Watts of millivolts and milliamperes."""
    at, through = scaled(volts, _MILLI), scaled(amperes, _MILLI)
    return None if at is None or through is None else at * through
