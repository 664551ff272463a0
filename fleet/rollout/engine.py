"""Moving rollouts on: gates are judged, waves opened, boxes offered the release or given back what they ran.

All that decides is in the database, and each step is one transaction that holds the rollout: any controller may take
any step, and one that dies half way has done nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from sqlalchemy import Connection

from fleet.rollout.amounts import show_boxes
from fleet.rollout.boxes import REFUSED, TRIED, BoxState
from fleet.rollout.drifting import drift
from fleet.rollout.gate import Counts, Opened, Verdict, judge
from fleet.rollout.giving import Giving, beside
from fleet.rollout.rules import (
    ENDS,
    ClassState,
    RolloutState,
    after_classes,
    after_reverting,
    class_halted,
    is_judged,
    judged,
    may_offer,
    may_open,
)
from fleet.rollout.spec import RolloutSpec
from fleet.rollout.standings import Waves, standings, until
from fleet.store import rollout_events
from fleet.store import rollouts as store
from fleet.store import wanted as wanted_store
from fleet.store.database import Database
from fleet.store.rollout_events import RolloutEvent
from fleet.store.rollout_rows import later_boxes, lock_boxes, spec_of, unreached
from fleet.store.rollouts import Rollout, RolloutBox, RolloutClass
from fleet.wanted.rules import Wanted
from fleet.wanted.tasks import ConfigureFrom
from fleet.wanted.writing import WantedWriter

_BATCH = 200  # boxes whose documents are changed in one transaction
_TAKEN_BACK: Mapping[ClassState, tuple[BoxState, ...]] = MappingProxyType(
    {"reverting": (*TRIED, "waiting"), "aborted": ("offered", "waiting")}
)
"""Boxes that get back what they ran."""

_TO_DO: Mapping[ClassState, tuple[BoxState, ...]] = MappingProxyType(
    {**_TAKEN_BACK, "reverting": (*_TAKEN_BACK["reverting"], "reverting")}
)
"""Boxes that keep a class from being at its end; of an aborted one those that are to go back may be away for ever."""

_LOOK_MS = 60_000  # between two looks at counts, which come by five minutes
REST = 10.0
"""Large rollouts take no more than a tenth of a controller's time."""


@dataclass(frozen=True)
class Effects:
    """What steps act with.

    Args:
        writer: changes what boxes should run.
        configure_from: reads the layers.
    """

    writer: WantedWriter
    configure_from: ConfigureFrom


class Stepping:
    """Moves all rollouts on.

    Args:
        database: theirs.
        effects: what steps act with.
        rest: times as long as a judgement took is waited until the next of the same rollout.
    """

    def __init__(self, database: Database, effects: Effects, rest: float = REST) -> None:
        self._database = database
        self._effects = effects
        self._rest = rest
        self._not_before: dict[int, float] = {}
        self._looked_ms: dict[int, int] = {}

    def turn(self, now_ms: int) -> bool:
        """Take a step of each rollout; whether more is to be done at once.

        Raises:
            DatabaseError: it cannot be written.
        """
        with self._database.reading() as connection:
            ids = store.going_on(connection)
        more: list[bool] = []
        failed: list[Exception] = []
        for rollout in ids:
            try:
                more.append(self._step(rollout, now_ms))
            except Exception as error:  # noqa: BLE001, PERF203 - one that fails for ever must not hold up the others
                failed.append(error)
        if failed:
            raise failed[0]
        return any(more)

    def _step(self, rollout: int, now_ms: int) -> bool:
        began = time.monotonic()
        judges = began >= self._not_before.get(rollout, 0.0)
        with self._database.writing() as connection:
            found = store.lock(connection, rollout, skip_locked=True)
            if found is None:
                return False
            looks = not 0 <= now_ms - self._looked_ms.get(rollout, -_LOOK_MS) < _LOOK_MS  # the clock may be set back
            if looks and judges:
                self._looked_ms[rollout] = now_ms
            step = _Step(connection, found, self._effects, now_ms, looks)
            if judges:
                step.judge()
            more = step.move()
        if judges:
            self._not_before[rollout] = time.monotonic() + self._rest * (time.monotonic() - began)
        return more


@dataclass
class _Step:
    """One step of one rollout, in one transaction."""

    connection: Connection
    rollout: Rollout
    effects: Effects
    now_ms: int
    looks_at_counts: bool
    classes: list[RolloutClass] = field(default_factory=list)
    emptied: RolloutClass | None = None

    def __post_init__(self) -> None:
        self.classes = store.classes(self.connection, self.rollout.id)

    @property
    def spec(self) -> RolloutSpec:
        return self.rollout.spec

    def judge(self) -> None:
        """Judge each class, and open what may be opened."""
        if self.rollout.state != "running":
            return
        found = standings(self.connection, self.rollout, self.now_ms)
        for each in list(self.classes):
            if is_judged(self.rollout.state, each.state):
                self._judge_class(each, found.get(each.hardware_class, {}))
        self._conclude()
        for each in list(self.classes):
            if may_open(self.rollout.state, each.state):
                self._open(each)
        self._conclude()

    def move(self) -> bool:
        """Offer, or give back, to some boxes; whether more are likely to be there."""
        if self.emptied is not None:
            self._fill(self.emptied)
            return True
        chosen: list[RolloutBox] = []
        gives: dict[str, BoxState] = {}
        for each in self.classes:
            state, boxes = self._next(each, _BATCH - len(chosen))
            gives[each.hardware_class] = state
            chosen += boxes
        if chosen:
            self._give(chosen, gives)
        if self.rollout.ended_ms is None:
            self._conclude()
        return len(chosen) == _BATCH

    def _fill(self, each: RolloutClass) -> None:
        """Take boxes of later waves into one that has none left; a class that has none at all is done."""
        number, name = self.rollout.id, each.hardware_class
        at = Counter(
            {at.state: n for at, n in store.tally(self.connection, number).items() if at[1:3] == (name, each.wave)}
        )
        ids = later_boxes(self.connection, number, name, each.wave, self.now_ms, min(at.total(), _BATCH))
        wanted_store.lock_devices(self.connection, ids)
        held = lock_boxes(self.connection, number, ids)
        boxes = [box for box in held if (box.rollout, box.state) == (number, "waiting")]
        store.move(self.connection, boxes, [replace(box, wave=each.wave) for box in boxes])
        if boxes:
            self._event(name, "filled", f"wave {each.wave + 1} had no box left, and got {len(boxes)} of later ones")
        elif not ids:
            self._set(each, replace(each, state="passed", wave=len(self.spec.waves) - 1, reason="no box of it is left"))

    def _next(self, each: RolloutClass, limit: int) -> tuple[BoxState, list[RolloutBox]]:
        """Boxes of a class that are to get another document, and what they are then."""
        number, name = self.rollout.id, each.hardware_class
        if may_offer(self.rollout.state, each.state):
            return "offered", store.offerable(self.connection, number, name, each.wave, self.now_ms, limit)
        if each.state == "halted":  # who comes back later must not walk into what was stopped
            return "waiting", unreached(self.connection, number, name, limit)
        states = _TAKEN_BACK.get(each.state)
        if states is None:
            return "waiting", []
        last = len(self.spec.waves) - 1
        return "reverting", store.boxes_in(self.connection, number, name, states, last, limit)

    def _judge_class(self, each: RolloutClass, waves: Waves) -> None:
        if each.state in {"open", "soaking"} and waves.get(each.wave, Counts()) == Counts():
            self.emptied = each  # every box of the wave is wanted otherwise: it would wait for them for ever
            return
        total = until(waves, each.wave)
        last = each.wave >= len(self.spec.waves) - 1
        opened = Opened(each.soaking_ms, waves.get(each.wave, Counts()).eligible, last)
        verdict = self._drifted(each) or judge(total, self.spec, opened, self.now_ms)
        if verdict.kind == "halt" and total.failed:
            verdict = replace(verdict, reason=f"{verdict.reason} ({self._codes(each)})")
        state = judged(each.state, verdict, self.spec, last=last)
        if state != each.state and verdict.kind in {"pass", "halt", "soak"}:
            what = {"pass": "passed", "halt": "halted", "soak": "soaking"}[verdict.kind]
            self._event(each.hardware_class, what, verdict.reason)
        if each.wave >= 0 or verdict.kind == "halt":
            self._set(each, replace(each, state=state, reason=verdict.reason, soaking_ms=verdict.soaking_ms))

    def _codes(self, each: RolloutClass) -> str:
        """Why boxes of a class failed, the most frequent code first."""
        failed = store.boxes_in(self.connection, self.rollout.id, each.hardware_class, REFUSED, each.wave, _BATCH)
        return ", ".join(code for code, _ in Counter(box.code or box.state for box in failed).most_common())

    def _drifted(self, each: RolloutClass) -> Verdict | None:
        """A halt, where updated boxes count otherwise than their siblings."""
        if self.spec.max_drift is None or each.wave < 0 or not self.looks_at_counts:
            return None
        found = drift(self.connection, self.rollout.id, each.hardware_class, self.spec.max_drift)
        return Verdict("halt", found.reason) if found.verdict == "drifted" else None

    def _halt_all(self, why: str) -> None:
        into: RolloutState = "reverting" if self.spec.on_halt == "revert" else "halted"
        for each in list(self.classes):
            state = class_halted(each.state, into)
            if state != each.state:
                self._set(each, replace(each, state=state, reason=why))

    def _open(self, each: RolloutClass) -> None:
        """Open the next wave that has boxes of this class; a class that has none left is done."""
        tally = store.tally(self.connection, self.rollout.id)
        waves = sorted({at.wave for at in tally if at.hardware_class == each.hardware_class and at.wave > each.wave})
        if not waves:
            # Boxes that join later are of the last wave.
            self._set(each, replace(each, state="passed", wave=len(self.spec.waves) - 1, reason="no box of it is left"))
            return
        self._set(each, replace(each, state="open", wave=waves[0], opened_ms=self.now_ms, soaking_ms=None, reason=""))
        n = sum(n for at, n in tally.items() if (at.hardware_class, at.wave) == (each.hardware_class, waves[0]))
        self._event(each.hardware_class, "opened", f"wave {waves[0] + 1} of {len(self.spec.waves)}: {show_boxes(n)}")

    def _give(self, chosen: Sequence[RolloutBox], gives: Mapping[str, BoxState]) -> None:
        """Give boxes other documents, and note under which revision.

        All boxes of a step are locked at once, in one order, and only then looked at: what they told meanwhile is not
        overwritten, and a box whose state has changed since it was chosen is left to the next step.
        """
        states = {box.device: box.state for box in chosen}
        devices = wanted_store.lock_devices(self.connection, states)
        held = lock_boxes(self.connection, self.rollout.id, states)
        before = wanted_store.load(self.connection, devices)
        mine = [box for box in held if box.rollout == self.rollout.id and box.state == states[box.device]]
        giving = Giving(self.spec, devices, before, self.now_ms)
        settled, models = giving.sort(mine, gives)
        slots = {
            device: {**(before[device].models if device in before else {}), self.spec.slot: model}
            for device, model in models.items()
        }
        configure = self.effects.configure_from(self.connection)
        known = {device: devices[device] for device in slots if device in devices}
        wanted = self.effects.writer.write(self.connection, known, configure, self.now_ms, slots)
        after = dict(settled)
        for box in mine:
            if box.device in models:
                state = gives[box.hardware_class]
                after[box.device] = giving.given(box, state, wanted.get(box.device), models[box.device])
        others = [box for box in held if box.rollout != self.rollout.id and _is_new(box.device, before, wanted)]
        specs = {box.rollout: spec_of(self.connection, box.rollout) for box in others}
        now = [
            beside(box, specs[box.rollout].slot, self.rollout, wanted[box.device].model_revision, self.now_ms)
            for box in others
        ]
        store.move(self.connection, [*mine, *others], [*(after[box.device] for box in mine), *now])

    def _conclude(self) -> None:
        """Draw the state of the rollout from those of its classes, and of the classes from their boxes."""
        left = self._left()
        for each in list(self.classes):
            self._set(each, replace(each, state=after_reverting(each.state, left[each.hardware_class])))
        state = after_classes(self.rollout.state, [each.state for each in self.classes], self.spec)
        if state in {"halted", "reverting"} and state != self.rollout.state:
            reasons = [f"{each.hardware_class}: {each.reason}" for each in self.classes if each.state == state]
            self._halt_all("; ".join(reasons))
            self._change("; ".join(reasons), state)
        elif state in ENDS and (state != "aborted" or not left.total()):
            self._change(self._why_ended(state), state, self.now_ms)
        elif state != self.rollout.state:
            self._change("", state)

    def _why_ended(self, state: RolloutState) -> str:
        """What a person or a halt gave as the reason; nothing where all went well."""
        if state == "aborted" or self.rollout.state == "reverting":
            return self.rollout.reason
        return "; ".join(f"{each.hardware_class}: {each.reason}" for each in self.classes if each.state == "reverted")

    def _change(self, reason: str, state: RolloutState, ended_ms: int | None = None) -> None:
        if (state, ended_ms is None) == (self.rollout.state, self.rollout.ended_ms is None):
            return
        self.rollout = replace(self.rollout, state=state, reason=reason, ended_ms=ended_ms)
        store.set_state(self.connection, self.rollout)
        self._event(None, "ended" if state == "aborted" else state, reason)

    def _left(self) -> Counter[str]:
        """By class, boxes that are still to get back what they ran, or to take it."""
        states = {each.hardware_class: _TO_DO.get(each.state, ()) for each in self.classes}
        left: Counter[str] = Counter()
        for at, n in store.tally(self.connection, self.rollout.id).items():
            left[at.hardware_class] += n if at.state in states.get(at.hardware_class, ()) else 0
        return left

    def _set(self, before: RolloutClass, after: RolloutClass) -> None:
        if before != after:
            store.save_class(self.connection, self.rollout.id, after)
            self.classes[self.classes.index(before)] = after

    def _event(self, hardware_class: str | None, what: str, detail: str) -> None:
        rollout_events.add(self.connection, self.rollout.id, RolloutEvent(self.now_ms, hardware_class, what, detail))


def _is_new(device: str, before: Mapping[str, Wanted], now: Mapping[str, Wanted]) -> bool:
    """Whether a box was given other models."""
    known = before[device].model_revision if device in before else 0
    return device in now and now[device].model_revision != known
