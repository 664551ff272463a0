"""``edgetally-agent tune``: the same measurement at once, for a person who waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from agent.counting.clock import utc_text
from agent.model import load_model
from agent.tuning.cache import Tuned
from agent.tuning.child import PairJob
from agent.tuning.findings import tuned_of
from agent.tuning.ground import Ground
from agent.tuning.pair import Pair
from agent.tuning.rules import Round
from agent.tuning.search import search
from agent.tuning.setting import Setting
from contracts.errors import DeviceError


def tune(
    ground: Ground, note: Callable[[str, float], None] = lambda *_: None, pair: Callable[[PairJob], Pair] = Pair
) -> Tuned:
    """Measure, keep it, and return it; what was measured before is measured again.

    Args:
        ground: what there is to be measured.
        note: told what is measured next, and the share that is done, 0 to 1.
        pair: measures two settings.

    Raises:
        DeviceError: an engine is still to be built, or nothing could be measured.
        NoArtifactFitsError: no artifact fits and works here.
        StorageError: it cannot be kept.
    """
    if ground.awaits_engine:
        raise DeviceError("an engine is still to be built; run the agent first, which does it and measures then")
    space = ground.space()

    def compare(base: Setting, other: Setting, rounds: int) -> Sequence[Round]:
        with pair(ground.job(base, other, nice=0)) as opened:
            return [opened.round() for _ in range(rounds)]

    outcome = search(space, _usual(ground), ground.aim, compare, note)
    tuned = tuned_of(ground.key(space), utc_text(time.time()), outcome)
    ground.cache.put(tuned)
    return tuned


def _usual(ground: Ground) -> Setting:
    """What would serve if nothing had been measured; opened and proven."""
    selection = load_model(ground.bundle, ground.facts, ground.wanted, ground.engines)
    if selection.model is None:
        raise selection.nothing_fits()
    selection.model.close()
    return selection.model.setting
