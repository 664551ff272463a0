"""Drives an attempt from state to state in a thread of its own: what is to be done stands in the journal before it is.

A step that fails for want of a server, space or the like is done again for as long as the box's patience lasts. What
counts goes on all the while.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from agent.update.errors import UpdateError, UpdateStoppedError, UpdateWaitsError, storage_problem
from agent.update.journal import Journal
from agent.update.ports import Note, Stopped
from agent.update.rules import (
    Attempt,
    InstalledModel,
    Wish,
    asks_anew,
    begun,
    broke,
    can_be_superseded,
    end_of,
    is_worth_waiting,
    needs_only_the_disk,
    passed,
    settled,
    superseded,
    survived,
)
from contracts.errors import EdgetallyError, StorageError
from contracts.update import UpdateCode, UpdateProgress, UpdateReport, UpdateState

_log = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 15.0, 3600.0  # seconds before a step that failed is done again; doubled each time


@dataclass(frozen=True)
class Done:
    """What a step found.

    Args:
        resolved: slot to bundle; of the step that resolves.
        settled: code and words where the attempt is committed with it, without the steps that would follow.
    """

    resolved: Mapping[str, InstalledModel] | None = None
    settled: tuple[UpdateCode, str] | None = None


class Step(Protocol):
    """Does what one state of an attempt asks for; again from its beginning where it was cut short."""

    def __call__(self, attempt: Attempt, note: Note, stopped: Stopped) -> Done:
        """Do it.

        Raises:
            UpdateError: it cannot be done.
            UpdateWaitsError: not yet.
            UpdateStoppedError: `stopped` said so.
        """


@dataclass(frozen=True)
class UpdaterSettings:
    """How it behaves.

    Args:
        shadow: whether new models run beside the old ones first.
        patience: seconds without progress, before an attempt is given up.
        gate: called before the new models take over; raises `UpdateWaitsError` while they may not.
        changed: called from its thread after what `Updater.report` says changed.
        idle: called while there is nothing to do; gives the seconds until it should be called again.
        clock: monotonic seconds.
    """

    shadow: bool = False
    patience: float = 86_400.0
    gate: Callable[[], None] = lambda: None
    changed: Callable[[], None] = lambda: None
    idle: Callable[[], float | None] = lambda: None
    clock: Callable[[], float] = time.monotonic


@dataclass
class _Try:
    """How the state goes that an attempt is in, since it was entered by this process."""

    since: float
    pauses: int = 0
    is_ready: bool = False  # the step is done, the gate is closed
    progress: UpdateProgress | None = None
    waits: tuple[UpdateCode, str] | None = None


class Updater:
    """Has wishes run. `want`, `report` and `stop` may be called by any thread.

    Args:
        journal: recovered (`agent.update.recovery.recover`); used by its thread alone once it was started.
        steps: every state that is not an end, and what it does.
        settings: how it behaves.
    """

    def __init__(self, journal: Journal, steps: Mapping[UpdateState, Step], settings: UpdaterSettings) -> None:
        self._journal = journal
        self._steps = steps
        self._settings = settings
        self._news = threading.Condition()
        self._wishes: list[Wish] = []
        self._stopping = self._is_cancelled = self._has_ended = False
        self._try = _Try(settings.clock())
        self._thread = threading.Thread(target=self._work, name="update", daemon=True)

    def start(self) -> None:
        """Go on with the attempt that is under way, and take wishes."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Do nothing more; what is under way goes on with the next start. Twice is harmless."""
        with self._news:
            self._stopping = True
            self._news.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout)
        if not self._thread.is_alive() and not self._has_ended:
            self._has_ended = True
            self._end_in_order()

    def want(self, wish: Wish) -> None:
        """Have this run; of those that wait, the newest counts that asks for something new."""
        with self._news:
            self._wishes.append(wish)
            self._news.notify_all()

    def cancel(self) -> None:
        """End the attempt that is under way, where nothing was touched yet."""
        with self._news:
            self._is_cancelled = True
            self._news.notify_all()

    def report(self) -> UpdateReport | None:
        """The newest attempt; None where there never was one."""
        attempt, now = self._journal.attempt, self._try
        if attempt is None:
            return None
        report = attempt.report()
        if attempt.is_over:
            return report
        changes: dict[str, object] = {"progress": now.progress}
        if now.waits is not None:
            changes |= {"code": now.waits[0], "reason": now.waits[1]}
        return report.model_copy(update=changes)

    def _work(self) -> None:
        while not self._stopping:
            self._turn()

    def _turn(self) -> None:
        """Go on by a step; what stands against it is waited out."""
        try:
            self._go_on()
        except StorageError as error:
            _log.error("%s; the update waits", error)
            problem = storage_problem(error)
            self._tell_wait(problem.code, problem.reason)
            self._pause(_FIRST_PAUSE)
        except Exception:  # noqa: BLE001 - a bug here must not end the counting, nor taking wishes
            _log.exception("the update failed inside; it waits")
            self._pause(_FIRST_PAUSE)

    def _go_on(self) -> None:
        self._take_cancel()
        self._take_wish()
        attempt = self._journal.attempt
        if attempt is None or attempt.is_over:
            self._rest(self._settings.idle())
            return
        self._do(attempt)

    def _take_cancel(self) -> None:
        attempt = self._journal.attempt
        if self._is_cancelled and attempt is not None and can_be_superseded(attempt):
            self._enter(broke(attempt, "cancelled", "somebody on site ended it before it took over"))
        self._is_cancelled = False

    def _take_wish(self) -> None:
        """Begin with what is wanted, where it is newer and nothing has gone too far to be left."""
        last, active = self._journal.attempt, self._journal.active
        with self._news:
            wishes = list(self._wishes)
        if not wishes or (last is not None and not last.is_over and not can_be_superseded(last)):
            return
        wish = next((one for one in reversed(wishes) if asks_anew(one, last, active.running)), None)
        if wish is not None:
            if last is not None and not last.is_over:
                self._enter(superseded(last))
            self._enter(begun(wish, last, active.attempt))
        with self._news:  # only now: what could not be written down is still wanted
            del self._wishes[: len(wishes)]

    def _do(self, attempt: Attempt) -> None:
        try:
            done = self._step(attempt)
        except UpdateStoppedError:
            return
        except UpdateWaitsError as error:
            self._wait(attempt, error.code, error.reason, error.seconds)
        except UpdateError as error:
            self._fail(attempt, error.code, error.reason)
        except StorageError as error:
            problem = storage_problem(error)
            self._fail(attempt, problem.code, problem.reason)
        except EdgetallyError as error:
            self._fail(attempt, "bundle_invalid" if attempt.state == "verify" else "internal", str(error))
        except Exception:  # noqa: BLE001 - as before
            _log.exception("the update failed inside, in '%s'", attempt.state)
            self._fail(attempt, "internal", "the agent failed on it; its log says where")
        else:
            self._pass(attempt, done)

    def _step(self, attempt: Attempt) -> Done:
        if attempt.state == "activate" and self._try.pauses:  # the hour may be another one since it waits for the disk
            self._settings.gate()
        if not self._try.is_ready:
            done = self._steps[attempt.state](attempt, self._note, self._is_interrupted)
            if done.settled or passed(attempt, shadow=self._settings.shadow).state != "activate":
                return done
            self._try.is_ready = True
        self._settings.gate()
        return Done()

    def _pass(self, attempt: Attempt, done: Done) -> None:
        if done.resolved is not None:
            attempt = attempt.model_copy(update={"resolved": dict(done.resolved)})
        if done.settled is not None:
            self._enter(settled(attempt, *done.settled))
        else:
            self._enter(passed(attempt, shadow=self._settings.shadow))

    def _fail(self, attempt: Attempt, code: UpdateCode, reason: str) -> None:
        """End the attempt, or have another try at what may come right by itself."""
        if self._stopping:  # what fails while the agent ends says nothing of the model: it is done again
            return
        if needs_only_the_disk(attempt, code) or (can_be_superseded(attempt) and is_worth_waiting(code)):
            pause = min(_FIRST_PAUSE * 2**self._try.pauses, _LONGEST_PAUSE)
            self._try.pauses += 1
            self._wait(attempt, code, reason, pause)
            return
        try:
            self._enter(broke(attempt, code, reason))
        except StorageError as error:
            if can_be_superseded(attempt):
                raise
            _log.error("%s; what counted before comes back all the same", error)
            self._journal.assume(broke(attempt, code, reason))

    def _wait(self, attempt: Attempt, code: UpdateCode, reason: str, seconds: float) -> None:
        waited = self._settings.clock() - self._try.since
        left = self._settings.patience - waited
        if left <= 0 and can_be_superseded(attempt):
            hours = self._settings.patience / 3600
            reason = f"{reason}; given up after {hours:g} h without progress ('patience_hours')"
            self._enter(broke(attempt, code if end_of(code) == "failed" else "held_too_long", reason))
            return
        if self._tell_wait(code, reason):
            _log.warning("the update waits in '%s': %s", attempt.state, reason)
        self._rest(min(seconds, max(left, 0.0)) if can_be_superseded(attempt) else seconds)

    def _tell_wait(self, code: UpdateCode, reason: str) -> bool:
        """Have it told what is waited for; whether that is another thing than before."""
        if self._try.waits == (code, reason):
            return False
        self._try.waits = (code, reason)
        self._settings.changed()
        return True

    def _rest(self, seconds: float | None) -> None:
        with self._news:
            self._news.wait_for(self._is_interrupted, seconds)

    def _pause(self, seconds: float) -> None:
        """Wait although somebody wants something."""
        with self._news:
            self._news.wait_for(lambda: self._stopping, seconds)

    def _end_in_order(self) -> None:
        """The agent did not die of what is under way."""
        attempt = self._journal.attempt
        if attempt is None or attempt.is_over or not attempt.starts:
            return
        try:
            self._journal.enter(survived(attempt, attempt.starts - 1))
        except StorageError as error:
            _log.warning("%s; this end of the agent is taken for a crash by the update", error)

    def _is_interrupted(self) -> bool:
        """Whether the agent ends, or something newer is wanted that need not wait."""
        attempt = self._journal.attempt
        is_news = bool(self._wishes) or self._is_cancelled
        return self._stopping or (is_news and (attempt is None or attempt.is_over or can_be_superseded(attempt)))

    def _enter(self, attempt: Attempt) -> None:
        self._journal.enter(attempt)
        self._try = _Try(self._settings.clock())
        level = logging.WARNING if attempt.code is not None and attempt.state != "committed" else logging.INFO
        why = f": {attempt.code}, {attempt.reason}" if attempt.code is not None else ""
        _log.log(level, "update %d: %s%s", attempt.number, attempt.state, why)
        self._settings.changed()

    def _note(self, text: str, fraction: float | None) -> None:
        """A step gets on."""
        progress = UpdateProgress(text=text[:500], fraction=fraction)
        if progress != self._try.progress:
            self._try.progress, self._try.waits, self._try.pauses = progress, None, 0
            self._try.since = self._settings.clock()
            self._settings.changed()
