"""What a device is (facts), what an artifact needs (requirements), and what keeps the two apart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Union

from pydantic import Field, StringConstraints, model_validator
from typing_extensions import Self

from contracts.documents import WrittenModel

FactName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$")]
FactValue = Union[str, int, float, bool, tuple[str, ...]]  # noqa: UP007 - pydantic evaluates it on 3.10
Facts = Mapping[str, FactValue]
"""Dotted names to values: ``arch`` is ``x86_64``, ``runtime.openvino`` is ``2026.4.1``, ``cpu.isa`` is a tuple."""


class Requirement(WrittenModel):
    """One fact that must hold; at least one comparison is given, and all that are must hold.

    Versions are compared number by number, as in ``10.3`` <= ``10.13.1``.
    """

    fact: FactName
    equals: str | int | None = None
    any_of: tuple[str, ...] | None = None
    at_least: str | int | float | None = Field(None, description="a version, or a number")
    below: str | int | float | None = Field(None, description="a version, or a number")
    has: str | None = Field(None, description="the fact is a list that holds this")
    has_any: tuple[str, ...] | None = Field(None, description="the fact is a list that holds at least one of these")

    @model_validator(mode="after")
    def _compares(self) -> Self:
        given = [self.equals, self.any_of, self.at_least, self.below, self.has, self.has_any]
        if all(value is None for value in given):
            raise ValueError(
                f"requirement on {self.fact!r} should have equals, any_of, at_least, below, has or has_any"
            )
        return self

    def refusal(self, facts: Facts) -> str | None:
        """Why the facts do not meet this requirement, or None where they do."""
        value = facts.get(self.fact)
        if value is None:
            return f"needs {self._wanted()}, this device has no {self.fact}"
        return None if self._holds(value) else f"needs {self._wanted()}, this device has {_text(value)}"

    def _holds(self, value: FactValue) -> bool:
        listed = value if isinstance(value, tuple) else (str(value),)
        return (
            (self.equals is None or str(self.equals) == str(value))
            and (self.any_of is None or str(value) in self.any_of)
            and (self.has is None or self.has in listed)
            and (self.has_any is None or any(name in listed for name in self.has_any))
            and (self.at_least is None or version_key(value) >= version_key(self.at_least))
            and (self.below is None or version_key(value) < version_key(self.below))
        )

    def _wanted(self) -> str:
        parts = [
            None if self.equals is None else f"{self.equals}",
            None if self.any_of is None else f"one of {', '.join(self.any_of)}",
            None if self.has is None else f"{self.has}",
            None if self.has_any is None else f"one of {', '.join(self.has_any)}",
            None if self.at_least is None else f"at least {self.at_least}",
            None if self.below is None else f"below {self.below}",
        ]
        return f"{self.fact} {' and '.join(part for part in parts if part)}"


def refusals(requirements: Iterable[Requirement], facts: Facts) -> list[str]:
    """Every requirement that the facts do not meet, as sentences that name the fact."""
    return [why for requirement in requirements if (why := requirement.refusal(facts))]


def version_key(value: object) -> tuple[int, ...]:
    """The numbers of a version or number, without trailing zeros, for comparing: ``"10.3.0"`` gives ``(10, 3)``."""
    numbers = [int(number) for number in re.findall(r"\d+", str(value).partition("-")[0].partition("+")[0])]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _text(value: FactValue) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)
