"""How a box of a rollout stands."""

from __future__ import annotations

from typing import Literal, get_args

BoxState = Literal[
    "waiting", "offered", "committed", "failed", "broken", "superseded", "reverting", "reverted", "withdrawn"
]
"""``waiting``: is to be offered the release, for the first time or again; ``offered``: was, and came to no end;
``committed``: runs it; ``failed``: does not, and is not offered it again by itself; ``broken``: the same, and what ran
before does not run either; ``superseded``: somebody wanted something else of it since; ``reverting``: is to run what it
ran before; ``reverted``: does; ``withdrawn``: is no longer to take it, or nobody knows what it ran before."""

BOX_STATES: tuple[BoxState, ...] = get_args(BoxState)

REFUSED: tuple[BoxState, ...] = ("failed", "broken")
TRIED: tuple[BoxState, ...] = ("offered", "committed", "failed", "broken")
"""Boxes whose document names the release."""

OUT: tuple[BoxState, ...] = ("reverting", "reverted", "superseded", "withdrawn")
"""Boxes that no gate counts any more."""

NOT_BACK = "not_back"
"""Code of a box that failed to go back to what it ran, and is to be told again."""
