"""Before anything is written it is known which boxes a change of a layer changes, and how."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import WrittenError
from fleet.configuration import resolve as resolving
from fleet.configuration.layers import Layer
from fleet.configuration.preview import ORDER, Preview, preview
from fleet.configuration.proposal import Written, preview_change, proposed, replaced
from fleet.configuration.resolve import Layers, Problem
from fleet.inventory.device import Device
from fleet.inventory.fields import matches
from tests.unit.fleet.configuration.samples import box, layer


def change(devices: Iterable[Device], layers: list[Layer], after: Layer) -> Preview:
    return preview_change(devices, layers, after.name, after)


def test_boxes_are_grouped_by_what_changes_and_the_others_left_out() -> None:
    layers = [
        layer("fleet", {"camera": [{"id": "gate", "fps": 5}]}),
        layer("group/berlin", {"camera": [{"id": "gate", "fps": 7}]}, "site=berlin"),
        layer("device/box-3", {"camera": [{"id": "gate", "score": 0.3}]}),
    ]
    devices = [box("box-1"), box("box-2", "berlin"), box("box-3"), box("box-4")]
    after = layer("fleet", {"camera": [{"id": "gate", "fps": 10, "score": 0.5}]})
    shown = change(iter(devices), layers, after)
    assert [([str(one) for one in each.difference], each.devices) for each in shown.affected] == [
        (["camera.gate.fps: 5 → 10", "camera.gate.score: - → 0.5"], ("box-1", "box-4")),
        (["camera.gate.score: - → 0.5"], ("box-2",)),
        (["camera.gate.fps: 5 → 10"], ("box-3",)),
    ]
    assert shown.sentence == "this changes 4 of 4 boxes"


def test_what_differs_in_each_box_is_one_difference_as_it_was_written() -> None:
    devices = [box(f"box-{n}") for n in range(20)]
    shown = change(devices, [], layer("fleet", {"labels": {"name": "${device}"}}))
    (group,) = shown.affected
    assert [str(each) for each in group.difference] == ['labels.name: - → "${device}"']
    assert len(group.devices) == 20


def test_boxes_that_get_a_problem_keep_one_or_lose_it_are_told_apart() -> None:
    with_label = layer("fleet", {"labels": {"a": "${label.site}"}})
    devices = [box("box-1"), box("box-2", None)]
    shown = change(devices, [], with_label)
    assert [(each.problem, each.devices) for each in shown.broken] == [
        ("'labels.a' needs ${label.site}, and the box has no label 'site'", ("box-2",))
    ]
    assert shown.sentence == "this changes 1 of 2 boxes; 1 box would get a problem, and stay as now"
    shown = change(devices, [with_label], layer("fleet", {"labels": {"b": "${label.site}"}}))
    assert (shown.changed, shown.broken, shown.still_broken) == (1, (), 1)
    shown = preview_change(devices, [with_label], with_label.name, None)
    assert (shown.changed, shown.mended) == (2, ("box-2",))


def test_a_box_in_which_nothing_becomes_different_does_not_change() -> None:
    before = layer("fleet", {"labels": {"a": "taipei"}})
    shown = change([box(), box("box-2", "berlin")], [before], layer("fleet", {"labels": {"a": "${label.site}"}}))
    assert [each.devices for each in shown.affected] == [("box-2",)]


def test_a_box_that_a_change_does_not_concern_is_not_told_of_whatever_its_problem() -> None:
    layers = [layer("fleet", {"labels": {"a": "${label.site}"}})]
    shown = change([box("box-1"), box("box-2", None)], layers, layer("device/box-1", {"log_level": "debug"}))
    assert shown.sentence == "this changes 1 of 1 box"
    shown = change([box("box-1"), box("box-2", None)], layers, layer("group/a", {"log_level": "debug"}, "site=taipei"))
    assert shown.sentence == "this changes 1 of 2 boxes"


def test_a_change_of_the_query_changes_boxes_that_fitted_before_or_fit_after() -> None:
    before = layer("group/a", {"log_level": "debug"}, "site=taipei")
    devices = [box("box-1"), box("box-2", "berlin"), box("box-3", "paris")]
    shown = change(devices, [before], layer("group/a", {"log_level": "debug"}, "site=berlin"))
    assert sorted(each.devices for each in shown.affected) == [("box-1",), ("box-2",)]


def test_another_order_of_cameras_is_told() -> None:
    layers = [layer("group/a", {"camera": [{"id": "x"}]}), layer("group/b", {"camera": [{"id": "y"}]})]
    shown = change([box()], layers, layer("group/a", {"camera": [{"id": "x"}]}, rank=1))
    assert [each.difference for each in shown.affected] == [(ORDER,)]


def test_each_box_is_asked_each_query_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def counting(query: Any, device: Device) -> bool:
        asked.append((str(query), device.device))
        return matches(query, device)

    monkeypatch.setattr(resolving, "matches", counting)
    layers = [layer(f"group/g{n}", {"labels": {"a": str(n)}}, f"site=s{n}") for n in range(5)]
    change([box("box-1", "s1"), box("box-2", "s2")], layers, layer("group/g1", {"labels": {"a": "x"}}, "site=s1"))
    assert len(asked) == len(set(asked)) == 2 * 5


KEYS = st.fixed_dictionaries(
    {},
    optional={
        "window_seconds": st.integers(1, 3),
        "labels": st.dictionaries(st.just("a"), st.sampled_from(["${label.site}", "taipei"])),
    },
)
NAMED = st.dictionaries(st.sampled_from(["fleet", "group/a", "group/b", "device/box-1"]), KEYS)
BOXES = [box("box-1"), box("box-2", "berlin"), box("box-3", None)]


def set_of(named: dict[str, dict[str, Any]]) -> list[Layer]:
    return [layer(name, keys, "site=taipei" if name == "group/a" else "") for name, keys in named.items()]


@settings(max_examples=60, deadline=None)
@given(NAMED, NAMED)
def test_a_preview_tells_of_each_box_what_resolving_it_gives(
    before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]
) -> None:
    old, new = Layers(set_of(before)), Layers(set_of(after))
    shown = preview(BOXES, set_of(before), set_of(after))
    changed = {device for each in shown.affected for device in each.devices}
    broken = {device for each in shown.broken for device in each.devices}
    for device in BOXES:
        was, becomes = old.resolve(device), new.resolve(device)
        assert (device.device in changed) == (was != becomes and not isinstance(becomes, Problem))
        assert (device.device in broken) == (isinstance(becomes, Problem) and not isinstance(was, Problem))


def test_a_new_group_needs_a_query_and_an_old_one_keeps_its_own() -> None:
    name = layer("group/a").name
    with pytest.raises(WrittenError, match="--query"):
        proposed(name, Written({}, "f"), None)
    before = layer("group/a", {}, "site=a", rank=3)
    assert proposed(name, Written({"log_level": "info"}, "f"), before) == layer(
        "group/a", {"log_level": "info"}, "site=a", rank=3
    )
    assert proposed(name, Written({}, "f", "", 0), before) == layer("group/a")
    with pytest.raises(WrittenError, match="only groups do"):
        proposed(layer("fleet").name, Written({}, "f", rank=1), None)
    with pytest.raises(WrittenError, match="the rank should be"):
        proposed(name, Written({}, "f", rank=10**9), before)
    assert replaced([before], name, None) == []


@pytest.mark.parametrize(
    ("query", "notes"),
    [
        ("site=taipei", ()),
        ("site=nowhere", ("group/a is for no box that is known now",)),
        ("sit=taipei", ("group/a is for no box that is known now: no box has the label 'sit'; did you mean 'site'?",)),
    ],
)
def test_a_group_that_no_box_is_in_is_told_and_may_be_made_all_the_same(query: str, notes: tuple[str, ...]) -> None:
    assert change([box(), box("box-2")], [], layer("group/a", {"log_level": "debug"}, query)).notes == notes


def test_a_layer_of_a_box_that_nobody_knows_is_told() -> None:
    assert change([box()], [], layer("device/bxo", {"log_level": "debug"})).notes == ("no box 'bxo' is known yet",)


def test_a_configuration_that_boxes_do_not_take_for_its_size_is_a_problem_before_it_is_made() -> None:
    zone = {"polygon": [[0.123456789, 0.2], [0.3, 0.4], [0.5, 0.6]]}
    zones = [{"name": f"zone-{n}", **zone} for n in range(60)]
    cameras = [{"id": f"gate-{n}", "zone": zones} for n in range(60)]
    shown = change([box("box-1")], [], layer("fleet", {"camera": cameras}))
    (trouble,) = shown.broken
    assert re.fullmatch(r"the configuration has 2\d+ bytes; expected 180000 at most", trouble.problem)
    assert shown.changed == 0
