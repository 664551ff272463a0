"""Steps of an update that do as they are told."""

from __future__ import annotations

import threading
from collections import deque

from agent.update.errors import UpdateStoppedError
from agent.update.ports import Note, Stopped
from agent.update.rules import BEFORE, Attempt, InstalledModel
from agent.update.updater import Done, Step
from contracts.update import UpdateState


class FakeSteps:
    """Every step passes, unless something else was planned for it.

    Attributes:
        done: the states whose step was begun, in order.
        plans: state to what its step does instead, one a call: raises an error, or waits until it is stopped.
    """

    def __init__(self) -> None:
        self.done: list[UpdateState] = []
        self.plans: dict[UpdateState, deque[Exception | None]] = {}
        self.begun = threading.Condition()

    def fail(self, state: UpdateState, *errors: Exception) -> None:
        self.plans.setdefault(state, deque()).extend(errors)

    def hang(self, state: UpdateState) -> None:
        self.plans.setdefault(state, deque()).append(None)

    def wait_for(self, state: UpdateState, times: int = 1) -> None:
        with self.begun:
            assert self.begun.wait_for(lambda: self.done.count(state) >= times, 20), self.done

    def table(self) -> dict[UpdateState, Step]:
        states: tuple[UpdateState, ...] = (*BEFORE, "activate", "probation", "rolling_back")
        return {state: self._step(state) for state in states}

    def _step(self, state: UpdateState) -> Step:
        def step(attempt: Attempt, note: Note, stopped: Stopped) -> Done:
            with self.begun:
                self.done.append(state)
                self.begun.notify_all()
            if self.plans.get(state):
                planned = self.plans[state].popleft()
                if planned is not None:
                    raise planned
                while not stopped():
                    threading.Event().wait(0.005)
                raise UpdateStoppedError("stopped")
            if state == "resolve":
                found = {
                    slot: InstalledModel(name=one.name, version=one.version, manifest="a" * 64)
                    for slot, one in attempt.wish.models.items()
                }
                return Done(resolved=found)
            return Done()

        return step
