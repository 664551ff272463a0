"""Measuring in the background, beside what counts: late, niced, in short bursts with rests that spare the cameras."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from agent.counting.clock import utc_text
from agent.tuning.cache import Tuned
from agent.tuning.child import PairJob
from agent.tuning.findings import tuned_of, why
from agent.tuning.ground import Ground
from agent.tuning.pace import Frames, RestPace
from agent.tuning.pair import MeasuringStoppedError, Pair
from agent.tuning.rules import Round
from agent.tuning.search import search
from agent.tuning.setting import Setting
from contracts.errors import EdgetallyError, StorageError
from contracts.messages import Considered

_log = logging.getLogger(__name__)

SETTLE_SECONDS = 30.0
"""That cameras are counted before anything is measured: by then they have all come up, and the caches are warm."""

_NICE = 10  # of the measuring process; docs/tuning.md has what it costs
_WAIT_SECONDS = 10.0  # between two looks at whether it can begin
_LOOK_SECONDS = 1.0  # between two looks, in a rest, at whether it is still wanted


class Served(Protocol):
    """What counts; `agent.serving.Serving`."""

    @property
    def setting(self) -> Setting | None:
        """How it runs; None while nothing does."""

    @property
    def considered(self) -> Sequence[Considered]:
        """Every artifact, with the reason where it does not serve."""

    def reconsider(self) -> None:
        """Choose again."""


class Rounds(Protocol):
    """Measures two settings; `agent.tuning.pair.Pair`."""

    @property
    def cpu_s(self) -> float:
        """CPU seconds that the rounds took so far."""

    def round(self) -> Round:
        """Measure both once.

        Raises:
            DeviceError: one of them does not run here.
            MeasuringStoppedError: it was stopped.
        """


class Tuner:
    """Finds out once what is best for this box, and has it take over.

    Args:
        ground: what there is to be measured.
        served: what counts.
        frames: how many frames came from its cameras, and were dropped as late.
        settle: seconds that it counts before.
        pair: measures two settings.
        pace: how long it rests between two measurements.
        turn: held while it measures; shared by the tuners of a box, so that they do not measure each other.

    Attributes:
        share: of the work that is done, 0 to 1.
    """

    def __init__(
        self,
        ground: Ground,
        served: Served,
        frames: Callable[[], Frames],
        *,
        settle: float = SETTLE_SECONDS,
        pair: Callable[[PairJob, Callable[[], bool]], AbstractContextManager[Rounds]] = Pair,
        pace: RestPace | None = None,
        turn: threading.Lock | None = None,
    ) -> None:
        self._ground = ground
        self._served = served
        self._frames = frames
        self._settle = settle
        self._pair = pair
        self._pace = pace or RestPace()
        self._turn = turn or threading.Lock()
        self._rested: float | None = None  # share of late frames in the last rest
        self.share = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="tuning", daemon=True)

    def start(self) -> None:
        """Begin to wait for a good moment."""
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait for the end of its work; whether that came."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def stop(self, timeout: float) -> None:
        """Measure no more; twice is harmless."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                if not self._can_begin():
                    self._stop.wait(_WAIT_SECONDS)
                elif not self._stop.wait(self._settle) and self._tune_in_turn():
                    return
        except EdgetallyError as error:
            _log.warning("this box is not measured: %s", error)
        except Exception:  # noqa: BLE001 - a bug here must not end the counting
            _log.exception("this box is not measured")

    def _tune_in_turn(self) -> bool:
        """See `_tune`; false where another tuner of the box measures."""
        if not self._turn.acquire(timeout=_WAIT_SECONDS):
            return False
        try:
            return self._tune()
        finally:
            self._turn.release()

    def _can_begin(self) -> bool:
        """Whether frames are counted, and the box has nothing to build."""
        return self._served.setting is not None and self._frames().seen > 0 and not self._ground.awaits_engine

    def _tune(self) -> bool:
        """Whether it is known now; false where something else took over meanwhile, or the agent ends."""
        base, space = self._served.setting, self._ground.space()
        if base is None:
            return False
        key = self._ground.key(space)
        if self._ground.cache.get(key) is not None or sum(map(len, space.forms)) <= 1:
            return True
        _log.info("measuring which setting is best here, while %s counts", base)
        try:
            outcome = search(space, base, self._ground.aim, self._compare, self._note)
        except MeasuringStoppedError:
            return False
        tuned = tuned_of(key, utc_text(time.time()), outcome)
        self._keep(tuned)
        if self._served.setting != tuned.best and not self._stop.is_set():
            self._keep(tuned.model_copy(update={"refused": self._why_refused(tuned.best)}))
        return True

    def _keep(self, tuned: Tuned) -> None:
        """Have it known, and what follows from it done."""
        try:
            self._ground.cache.put(tuned)
        except StorageError as error:
            _log.warning("%s; this box is measured again after a restart", error)
        _log.info("%s", why(tuned, self._ground.aim))
        self._served.reconsider()

    def _why_refused(self, best: Setting) -> str:
        """What `considered` says of a setting that was to take over and does not serve."""
        said = (one.refused for one in self._served.considered if one.artifact.startswith(best.artifact))
        return next((reason for reason in said if reason), "see the log")

    def _compare(self, base: Setting, other: Setting, rounds: int) -> Sequence[Round]:
        with self._pair(self._ground.job(base, other, _NICE), lambda: self._is_over(base)) as pair:
            return [self._round(pair, base) for _ in range(rounds)]

    def _round(self, pair: Rounds, base: Setting) -> Round:
        """One round and the rest after it."""
        begun, cpu_s, before = time.monotonic(), pair.cpu_s, self._frames()
        found = pair.round()
        after = self._frames()
        # Beside a full box it takes long, most of which is waiting: only what it took from others is rested for.
        took = min(time.monotonic() - begun, pair.cpu_s - cpu_s)
        seconds = self._pace.rest(took, self._rested, after.late_share(before))
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not self._is_over(base):
            self._stop.wait(min(left, _LOOK_SECONDS))
        if self._is_over(base):
            raise MeasuringStoppedError
        self._rested = self._frames().late_share(after)
        return found

    def _is_over(self, base: Setting) -> bool:
        """Whether the agent ends, or something else serves than what is compared with."""
        return self._stop.is_set() or self._served.setting != base

    def _note(self, what: str, share: float) -> None:
        self.share = share
        _log.debug("%s (%.0f %% done)", what, share * 100)
