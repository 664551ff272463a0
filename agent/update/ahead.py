"""Measuring a new bundle while the old one counts, so that it takes over in its best setting."""

from __future__ import annotations

import time
from collections.abc import Sequence

from agent.tuning.ground import Ground
from agent.tuning.setting import Setting
from agent.update.box import Box, Measuring
from agent.update.errors import UpdateStoppedError
from agent.update.ports import Note, Stopped
from contracts.messages import Considered

_LOOK_SECONDS = 0.5  # between two looks at how far it is
_END_SECONDS = 10.0  # that one gets to end which is told to


class Stand:
    """Stands for a bundle that nothing counts with yet, where one that counts is measured: `agent.tuning.tuner.Served`.

    Args:
        ground: the bundle on this box.

    Attributes:
        setting: in which it would count, as far as is known; None where none of it runs here.
        considered: empty, as nothing of it is loaded.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        forms = ground.space().forms
        self.setting: Setting | None = forms[0][0] if forms else None
        self.considered: Sequence[Considered] = ()

    def reconsider(self) -> None:
        """What was measured holds from now on; it is opened and proven when it takes over."""
        preference = self._ground.preference()
        if preference is not None:
            self.setting = preference.first


def measure(box: Box, grounds: Sequence[Ground], note: Note, stopped: Stopped) -> None:
    """Have it known which setting of each bundle is best here, as far as the time of ``tune_minutes`` allows.

    What is not known after it is measured once the bundle counts; whatever fails of it is said in the log, and is
    nothing against the bundle.

    Args:
        box: the running agent.
        grounds: the bundles; those that are not to be measured, or were, are left out.
        note: told how far it is.
        stopped: asked a few times a second.

    Raises:
        UpdateStoppedError: `stopped` said so.
    """
    until = time.monotonic() + box.config.update.tune_minutes * 60
    for ground in grounds:
        if time.monotonic() < until and _is_to_be_measured(ground):
            _measure(box.measuring(ground, Stand(ground)), until, _what(ground), note, stopped)


def _is_to_be_measured(ground: Ground) -> bool:
    return ground.wanted.tune and not ground.awaits_engine and ground.known() is None


def _what(ground: Ground) -> str:
    spec = ground.bundle.manifest.model
    return f"measuring which setting of {spec.name} {spec.version} is best here"


def _measure(measuring: Measuring, until: float, what: str, note: Note, stopped: Stopped) -> None:
    measuring.start()
    try:
        while time.monotonic() < until and not measuring.wait(_LOOK_SECONDS):
            if stopped():
                raise UpdateStoppedError("measuring was stopped")
            note(what, measuring.share)
    finally:
        measuring.stop(_END_SECONDS)
