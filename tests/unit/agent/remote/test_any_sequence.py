"""Any sequence of documents, restarts, power cuts and full disks: what runs is always something that was taken.

The oracle is small: a document may run only if it is well formed, for this box, in date when it came, and newer than
every one before it; and what is reported as running must, merged again, be what runs.
"""

from __future__ import annotations

import random
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent.remote.candidates import Base
from agent.remote.checks import RunCheck
from agent.remote.parse import parse_json, read_desired
from contracts.desired import WrongField
from tests.fakes.applier import in_order
from tests.fakes.disk import PowerCut
from tests.unit.agent.remote.boxes import NOW, Box, as_bytes, desired, time_text

CONFIGS: list[dict[str, Any]] = [
    {},
    {"window_seconds": 5},
    {"window_seconds": 6, "labels": {"site": "north"}},
    {"camera": [{"id": "gate", "score": 0.5}]},
    {"camera": [{"id": "yard", "enabled": False}, {"id": "new", "source": "synthetic"}]},
    {"broker": {"host": "new.example"}},
    {"broker": {"host": "other.example", "password": None}, "window_seconds": 7},
]
NEVER: list[dict[str, Any]] = [
    {"window_seconds": 0},
    {"bundle": "x"},
    {"camera": [{"id": "new"}]},
    {"camera": [{"id": "gate", "source": "gst:filesink"}]},
    {"camera": [{"id": "gate", "source": "nonsense://"}]},
    {"camera": [{"id": "gate", "enabled": False}, {"id": "yard", "enabled": False}]},
]
PAGES: list[dict[str, Any]] = [
    {},
    {"state_seconds": 2},
    {"window_seconds": 4, "camera": [{"id": "gate", "fps": 3}]},
]
BROKERS = ["old.example:1883", "new.example:1883", "other.example:1883"]
REVISIONS = st.integers(1, 6)
EPOCHS = st.integers(0, 2)
FAILS = st.one_of(st.none(), st.integers(0, 12))
SEEDS = st.integers(0, 9)
EXPIRED = {"issued": time_text(NOW - 200), "expires": time_text(NOW - 100)}


class AnySequence(RuleBasedStateMachine):
    """A box, and what it was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.box = Box()
        self.sent: list[dict[str, Any]] = []  # those that might run
        self.order = (0, 0, 0)

    @rule(
        config=st.sampled_from(CONFIGS), revision=REVISIONS, epoch=EPOCHS, fails=FAILS, full=st.booleans(), seed=SEEDS
    )
    def send(self, config: dict[str, Any], revision: int, epoch: int, fails: int | None, full: bool, seed: int) -> None:
        now = self.box.wall
        document = desired(config, revision, epoch=epoch, issued=time_text(now - 5), expires=time_text(now + 500))
        self.sent.append(document)
        self._work(lambda: self.box.send(document), fails, full, seed)

    @rule(config=st.sampled_from(NEVER), revision=REVISIONS, epoch=EPOCHS)
    def send_what_is_wrong(self, config: dict[str, Any], revision: int, epoch: int) -> None:
        assert self.box.send(desired(config, revision, epoch=epoch, expires=time_text(self.box.wall + 500))).refused

    @rule(revision=REVISIONS, epoch=EPOCHS, wrong=st.sampled_from([{"device": "box-2"}, EXPIRED]))
    def send_what_is_not_for_this_box_now(self, revision: int, epoch: int, wrong: dict[str, Any]) -> None:
        assert self.box.send(desired({"window_seconds": 8}, revision, epoch=epoch) | wrong).refused

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        self.box.send(data.draw(st.sampled_from(self.sent)))

    @rule(keys=st.sampled_from(PAGES), fails=FAILS, seed=SEEDS)
    def set_on_the_page(self, keys: dict[str, Any], fails: int | None, seed: int) -> None:
        self._work(lambda: self.box.remote.set_page(keys), fails, full=False, seed=seed)

    @rule(seconds=st.sampled_from([0.0, 1.0, 119.0, 121.0, 600.0]), fails=FAILS, seed=SEEDS)
    def wait(self, seconds: float, fails: int | None, seed: int) -> None:
        self._work(lambda: self.box.turn(seconds), fails, full=False, seed=seed)

    @rule()
    def restart(self) -> None:
        before = self.box.remote.config
        self.box.boot()
        reverted = self.box.reports[-1].refused is not None
        assert reverted or self.box.remote.config == before, "a restart changes nothing"

    @rule(seed=st.integers(0, 9))
    def cut_the_power(self, seed: int) -> None:
        self.box.disk = self.box.disk.after_power_cut(random.Random(seed))
        self.box.boot()

    @rule(reachable=st.one_of(st.none(), st.sets(st.sampled_from(BROKERS))))
    def brokers_come_and_go(self, reachable: set[str] | None) -> None:
        self.box.reachable = self.box.applier.reachable = reachable

    @rule(broken=st.booleans(), synced=st.sampled_from([True, False, None]))
    def cameras_and_clocks_come_and_go(self, broken: bool, synced: bool | None) -> None:
        problem = WrongField(path="camera.gate.source", problem="it does not open")
        self.box.applier.problems = [problem] if broken else []
        self.box.synced = synced

    @invariant()
    def what_runs_is_what_is_reported_and_was_taken(self) -> None:
        box = self.box
        report = box.remote.reported()
        assert in_order(box.remote.config) == box.applier.config
        base = Base(box.local, box.remote._kept.page, RunCheck())
        if report.config_revision is None:
            assert report.state == "local"
            assert in_order(base.with_document(None)) == box.applier.config
            return
        ran = [
            document
            for document in self.sent
            if (document["epoch"], document["config_revision"]) == (report.epoch, report.config_revision)
            and read_desired(document, "box-1").config.digest == report.config_digest
        ]
        assert ran, "only what was sent runs"
        found = [in_order(base.with_document(read_desired(parse_json(as_bytes(one)), "box-1"))) for one in ran]
        assert box.applier.config in found

    @invariant()
    def floors_only_rise_and_are_not_below_what_runs(self) -> None:
        order = self.box.remote.floors.order
        report = self.box.remote.reported()
        assert order >= self.order
        assert order[:2] >= (report.epoch or 0, report.config_revision or 0)
        self.order = order

    def _work(self, work: Any, fails: int | None, full: bool, seed: int) -> None:
        """Do something while the disk gets full or the power goes."""
        box = self.box
        box.disk.fail_in, box.disk.full = fails, full
        try:
            work()
            box.disk.fail_in = None
        except PowerCut:
            box.disk = box.disk.after_power_cut(random.Random(seed))
            box.boot()


class ManySequences(AnySequence):
    """The same, for longer."""


QUIET = [HealthCheck.too_slow, HealthCheck.filter_too_much]
AnySequence.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=QUIET
)
ManySequences.TestCase.settings = settings(
    max_examples=600, stateful_step_count=40, deadline=None, suppress_health_check=QUIET
)
TestAnySequence = AnySequence.TestCase
TestManySequences = pytest.mark.slow(ManySequences.TestCase)
