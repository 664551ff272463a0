"""A bill counts each crossing once, says what is missing, and does not accept what does not add up."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.counting.clock import utc_text
from contracts.messages import CountReport, CrossingEvent
from tools.billing.bill import Bill, make_bill
from tools.billing.intake import Intake, read_lines
from tools.billing.table import table

NOON = 1_767_268_800  # 2026-01-01T12:00:00Z
TOPIC = "edgetally/v1/box/camera/gate/counts"


class Box:
    """Counts the line ``mid`` of a camera in windows of 10 s, as an agent does."""

    def __init__(self, camera: str = "gate", store: str = "s1", counter: str = "c1", first: int = 1) -> None:
        self.camera, self.store, self.counter = camera, store, counter
        self.seq = first - 1
        self.totals: dict[str, Counter[str]] = {}

    def report(self, window: int, crossed: Mapping[str, tuple[int, int]], **more: Any) -> dict[str, Any]:
        self.seq += 1
        by_label = {label: {"in": ins, "out": outs} for label, (ins, outs) in crossed.items()}
        for label, ways in by_label.items():
            self.totals.setdefault(label, Counter()).update(ways)
        total = {label: {"in": ways["in"], "out": ways["out"]} for label, ways in self.totals.items()}
        line = {
            "counter_id": self.counter,
            "since": utc_text(NOON),
            "in": sum(ways["in"] for ways in by_label.values()),
            "out": sum(ways["out"] for ways in by_label.values()),
            "by_label": by_label,
            "total_in": sum(ways["in"] for ways in total.values()),
            "total_out": sum(ways["out"] for ways in total.values()),
            "total_by_label": total,
        }
        return {
            "store_id": self.store,
            "seq": self.seq,
            "boot_id": "b",
            "device": "box",
            "camera": self.camera,
            "window": {"start": utc_text(NOON + 10 * window), "end": utc_text(NOON + 10 * window + 10)},
            "clock_synced": True,
            "frames_seen": 100,
            "frames_dropped": {},
            "coverage": 1.0,
            "quality": "ok",
            "artifact_digest": None,
            "count": None,
            "lines": {"mid": line},
        } | more


def bill(documents: Sequence[Mapping[str, Any]], **period: float) -> Bill:
    intake = Intake()
    for document in documents:
        intake.take(json.dumps(document))
    return make_bill(intake, **period)


def sums(made: Bill, what: str = "counted") -> dict[tuple[str, str], int]:
    return {(item.label, item.direction): getattr(item, what) for item in made.items if getattr(item, what)}


def test_windows_add_up_per_label_and_direction_and_nothing_is_missing() -> None:
    box = Box()
    made = bill([box.report(0, {"car": (2, 1)}), box.report(1, {"car": (1, 0), "bus": (0, 3)})])
    assert sums(made) == {("car", "in"): 3, ("car", "out"): 1, ("bus", "out"): 3}
    assert (made.problems, sums(made, "recovered"), made.stores[0].missing) == ([], {}, [])
    (camera,) = made.cameras
    assert (camera.share, camera.covered, camera.missing) == (1.0, 20.0, [])
    assert (made.start, made.end) == ("2026-01-01T12:00:00Z", "2026-01-01T12:00:20Z")


def test_what_is_delivered_again_is_counted_once_also_when_it_is_marked_late() -> None:
    box = Box()
    first, second = box.report(0, {"car": (2, 0)}), box.report(1, {"car": (1, 0)})
    made = bill([first, second, first | {"late": True}, second])
    assert sums(made) == {("car", "in"): 3}
    assert (made.repeated, made.problems) == (2, [])


def test_the_first_delivery_may_be_the_late_one() -> None:
    report = Box().report(0, {"car": (2, 0)})
    made = bill([report | {"late": True}, report])
    assert (made.repeated, made.problems) == (1, [])


def test_a_number_with_two_contents_is_a_problem() -> None:
    first = Box().report(0, {"car": (2, 0)})
    assert "number 1 of store s1 came with two contents" in bill([first, first | {"frames_seen": 7}]).problems


def test_a_missing_window_is_named_and_its_crossings_are_known_by_the_totals() -> None:
    box = Box()
    first, _, _, last = [box.report(n, {"car": (2, 0), "bus": (0, n)}) for n in range(4)]
    made = bill([last, first])
    assert sums(made) == {("car", "in"): 4, ("bus", "out"): 3}
    assert sums(made, "recovered") == {("car", "in"): 4, ("bus", "out"): 3}
    assert made.stores[0].missing == [(2, 3)]
    (camera,) = made.cameras
    assert camera.missing == [("2026-01-01T12:00:10Z", "2026-01-01T12:00:30Z")]
    assert (camera.share, made.problems) == (0.5, [])
    text = table(made)
    assert "missing: 2 of the numbers of box, store s1: 2 to 3" in text
    assert "missing: no report of box/gate for 2026-01-01T12:00:10Z to 2026-01-01T12:00:30Z" in text


def test_what_was_before_the_bill_is_not_billed() -> None:
    box = Box()
    reports = [box.report(n, {"car": (1, 0)}) for n in range(6)]
    made = bill(reports[3:])
    assert sums(made) == {("car", "in"): 3}
    assert sums(made, "recovered") == {}
    assert sums(bill(reports, start=NOON + 20, end=NOON + 40)) == {("car", "in"): 2}


def test_the_first_windows_of_a_counter_that_began_in_the_bill_are_known_by_its_totals() -> None:
    box = Box()
    _, second = box.report(0, {"car": (4, 0)}), box.report(1, {"car": (1, 0)})
    made = bill([second], start=NOON, end=NOON + 20)
    assert sums(made, "recovered") == {("car", "in"): 4}
    assert made.cameras[0].missing == [("2026-01-01T12:00:00Z", "2026-01-01T12:00:10Z")]


def test_a_total_that_falls_is_a_problem() -> None:
    box = Box()
    first = box.report(0, {"car": (2, 0)})
    box.totals = {}
    assert any("a total fell" in problem for problem in bill([first, box.report(1, {"car": (1, 0)})]).problems)


def test_totals_that_rise_without_a_window_or_a_gap_are_a_problem() -> None:
    box = Box()
    first = box.report(0, {"car": (2, 0)})
    box.totals["car"]["in"] += 5
    made = bill([first, box.report(1, {"car": (1, 0)})])
    assert any("rose by more than the windows say" in problem for problem in made.problems)
    assert sums(made, "recovered") == {}


def test_labels_that_do_not_add_up_are_a_problem() -> None:
    report = Box().report(0, {"car": (2, 0)})
    report["lines"]["mid"]["in"] = 3
    assert any("its labels do not add up" in problem for problem in bill([report]).problems)


def test_a_new_counter_begins_anew_and_both_are_billed() -> None:
    old, new = Box(), Box(counter="c2", first=2)
    made = bill([old.report(0, {"car": (2, 0)}), new.report(1, {"car": (1, 0)})])
    assert (sums(made), made.problems) == ({("car", "in"): 3}, [])


def test_a_window_that_a_restart_cut_in_two_covers_its_time_once() -> None:
    box = Box()
    made = bill([box.report(0, {}, coverage=0.4), box.report(0, {}, coverage=0.5), box.report(1, {}, coverage=0.9)])
    assert (made.cameras[0].covered, made.cameras[0].share) == (18.0, 0.9)


def test_windows_without_a_frame_are_said_with_their_reason_and_are_no_zero() -> None:
    box = Box()
    blind = {"frames_seen": 0, "coverage": 0.0, "quality": "no_camera"}
    made = bill([box.report(0, {}), box.report(1, {}, **blind), box.report(2, {}, **blind, clock_synced=False)])
    (camera,) = made.cameras
    assert (camera.blind, camera.unsynced, camera.share) == ({"no_camera": 2}, 1, 0.3333)
    assert "not seen: box/gate, windows without a frame (no_camera): 2" in table(made)
    assert [(item.label, item.counted) for item in made.items] == [("", 0), ("", 0)]


def test_events_are_counted_beside_the_windows_in_the_same_row_of_numbers() -> None:
    box = Box()
    event = {
        "kind": "crossing", "store_id": "s1", "seq": 1, "boot_id": "b", "device": "box", "camera": "gate",
        "at": utc_text(NOON + 3), "clock_synced": True, "line": "mid", "counter_id": "c1", "direction": "in",
        "label": "car", "track": 7,
    }  # fmt: skip
    box.seq = 1
    made = bill([event, event, box.report(0, {"car": (1, 0)})])
    assert (sums(made), sums(made, "events")) == ({("car", "in"): 1}, {("car", "in"): 1})
    assert (made.stores[0].missing, made.repeated, made.problems) == ([], 1, [])


def test_an_event_of_a_newer_agent_is_not_counted_and_its_number_is_not_missing() -> None:
    box = Box()
    first = box.report(0, {"car": (1, 0)})
    event = {"kind": "speed", "store_id": "s1", "seq": 2, "device": "box", "camera": "gate", "at": utc_text(NOON)}
    box.seq = 2
    made = bill([first, event, box.report(1, {"car": (1, 0)})])
    assert (sums(made), made.stores[0].missing, made.refused) == ({("car", "in"): 2}, [], 0)


def test_a_dump_is_read_as_it_was_published_and_as_mosquitto_sub_writes_it() -> None:
    box = Box()
    one, two, three = (box.report(n, {"car": (1, 0)}) for n in range(3))
    lines = [
        json.dumps(one),
        json.dumps({"tst": "t", "topic": TOPIC, "qos": 1, "payload": json.dumps(two)}),
        json.dumps({"topic": TOPIC, "payload": three}),
        json.dumps({"topic": "edgetally/v1/box/health", "payload": {}}),
        "",
    ]
    intake = Intake()
    read_lines(io.StringIO("\n".join(lines)), intake)
    assert (sums(make_bill(intake)), intake.refused) == ({("car", "in"): 3}, 0)


@pytest.mark.parametrize(
    "topic",
    [
        "edgetally/v1/other/camera/gate/counts",
        "edgetally/v1/box/camera/yard/counts",
        "edgetally/v1/box/camera/gate/events",
    ],
)
def test_a_message_that_says_it_is_of_another_box_is_refused(topic: str) -> None:
    intake = Intake()
    intake.take(json.dumps(Box().report(0, {"car": (1, 0)})), topic)
    assert (intake.messages, intake.refused) == ({}, 1)


def test_nothing_is_said_to_be_nothing() -> None:
    assert table(bill([])) == "nothing to bill: no report came"


@given(
    st.binary()
    | st.text()
    | st.recursive(
        st.none() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.sampled_from(["kind", "seq", "payload", "topic"]) | st.text(), x),
    ).map(json.dumps)
)
def test_whatever_comes_is_refused_and_counted(payload: bytes | str) -> None:
    intake = Intake()
    intake.take(payload)
    assert (intake.refused, intake.messages) == (1, {})
    lines = Intake()
    read_lines([payload if isinstance(payload, str) else payload.decode(errors="replace")], lines)
    assert lines.messages == {}


windows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()), min_size=1, max_size=25)


@settings(max_examples=150)
@given(windows, st.randoms(use_true_random=False))
def test_counted_and_recovered_are_the_truth_up_to_the_last_report_however_it_was_delivered(
    truth: list[tuple[int, int, bool]], dice: Any
) -> None:
    box = Box()
    reports = [(box.report(n, {"car": (ins, outs)}), arrives) for n, (ins, outs, arrives) in enumerate(truth)]
    arrived = [report for report, arrives in reports if arrives]
    delivered = [*arrived, *dice.sample(arrived, len(arrived) // 2)]
    dice.shuffle(delivered)
    made = bill(delivered, start=NOON, end=NOON + 10 * len(truth))
    known = truth[: max((report["seq"] for report in arrived), default=0)]
    total = Counter(sums(made)) + Counter(sums(made, "recovered"))
    expected = Counter({("car", "in"): sum(w[0] for w in known), ("car", "out"): sum(w[1] for w in known)})
    assert (total, made.problems) == (+expected, [])
    assert made.repeated == len(delivered) - len(arrived)
    if arrived:
        assert made.cameras[0].covered == 10 * len(arrived)
        missing = {n for first, last in made.stores[0].missing for n in range(first, last + 1)}
        assert missing | {report["seq"] for report in arrived} == set(range(arrived[0]["seq"], arrived[-1]["seq"] + 1))


def a_state_report(box: Box, window: int, entries: Mapping[str, int], totals: Mapping[str, int]) -> dict[str, Any]:
    counter = {"counter_id": "e1", "since": utc_text(NOON), "last": "shut", "seconds": {"shut": 10.0}}
    return box.report(window, {}, lines={}, states={"eyes": {**counter, "entries": entries, "total_entries": totals}})


def test_entries_into_states_are_billed_like_crossings_and_recovered_from_their_totals() -> None:
    box = Box()
    first = a_state_report(box, 0, {"shut": 2}, {"shut": 2})
    a_state_report(box, 1, {"shut": 1, "open": 1}, {"shut": 3, "open": 1})  # lost
    last = a_state_report(box, 2, {"open": 1}, {"shut": 3, "open": 2})
    event = {name: last[name] for name in ("store_id", "boot_id", "device", "camera", "clock_synced")} | {
        "seq": 4, "kind": "state", "at": utc_text(NOON + 5), "question": "eyes", "counter_id": "e1",
        "before": "open", "state": "shut", "entry": True,
    }  # fmt: skip
    seen = {**event, "seq": 5, "entry": False}
    made = bill([first, last, event, seen])
    assert made.problems == []
    assert {item.line for item in made.items} == {"state:eyes"}
    assert sums(made) == {("shut", "in"): 2, ("open", "in"): 1}
    assert sums(made, "recovered") == {("shut", "in"): 1, ("open", "in"): 1}
    assert sums(made, "events") == {("shut", "in"): 1}
    assert {item.direction for item in made.items} == {"in"}, "a state is entered; nothing goes out of it"


def test_totals_of_entries_that_rise_by_more_than_the_windows_say_are_a_problem() -> None:
    box = Box()
    made = bill([a_state_report(box, 0, {}, {}), a_state_report(box, 1, {"shut": 1}, {"shut": 9})])
    assert [problem.split(": ")[1] for problem in made.problems] == ["the totals rose by more than the windows say"]


def test_the_test_box_speaks_the_contract() -> None:
    CountReport.model_validate(Box().report(0, {"car": (1, 0)}))
    assert {field.name for field in dataclasses.fields(Bill)} >= {"items", "cameras", "stores", "problems"}
    assert CrossingEvent.model_fields["kind"].default == "crossing"


def test_the_example_in_the_documentation_is_what_comes_out() -> None:
    text = (Path(__file__).parents[3] / "docs/counts.md").read_text()
    dump, shown = (re.findall(f"```{kind}\n(.*?)\n```", text, re.DOTALL)[0] for kind in ("jsonl", "text"))
    intake = Intake()
    read_lines(dump.splitlines(), intake)
    assert table(make_bill(intake)) == shown
