"""What a message changes of what is known of its box, and what it does not."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.messages import CountReport
from contracts.topics import Channel
from fleet.inventory.device import Change, Device
from fleet.inventory.fields import matches, select, values
from fleet.inventory.hardware_class import hardware_class
from fleet.inventory.query import QueryError
from fleet.inventory.query_parser import parse_query
from fleet.inventory.reading import (
    CHANNELS,
    LARGEST_PAYLOAD,
    LONGEST_TEXT,
    REASONS,
    Message,
    RefusedError,
    read_message,
)
from fleet.inventory.rules import after, changes
from tests.fakes.fleet import counted, facts, health, hello, reported, status

NEW = Device(device="box-1")


def read(topic: str, payload: bytes) -> Message:
    message = read_message(topic, payload)[1]
    assert not isinstance(message, CountReport)
    return message


def told(device: Device, *messages: tuple[str, bytes]) -> Device:
    for topic, payload in messages:
        now = after(device, read(topic, payload))
        device = device if now is None else now
    return device


def refused(topic: str, payload: bytes) -> RefusedError:
    with pytest.raises(RefusedError) as error:
        read_message(topic, payload)
    return error.value


def test_what_a_box_tells_is_known() -> None:
    device = told(
        NEW,
        hello(version="1.2.0", models={"main": "a" * 64}),
        status("online"),
        facts(labels={"site": "taipei"}, facts={"arch": "aarch64", "gpu.sm": 87, "jetpack": "6.1"}),
        reported(epoch=1, config_revision=7, state="degraded", code="camera"),
    )
    assert (device.version, device.online, device.labels) == ("1.2.0", True, {"site": "taipei"})
    assert (device.hardware_class, device.epoch, device.config_revision) == ("jetson-sm87-jp6", 1, 7)
    assert (device.state, device.code) == ("degraded", "camera")


def test_the_same_message_again_changes_nothing() -> None:
    messages = (hello(), status("online"), facts(), reported(), health())
    device = told(NEW, *messages)
    for message in messages:
        assert told(device, message) == device


@pytest.mark.parametrize("late", [hello(boot="boot-1", version="0.9"), status("offline"), reported(config_revision=1)])
def test_what_comes_of_an_earlier_boot_changes_nothing(late: tuple[str, bytes]) -> None:
    device = told(NEW, status("online", boot="boot-1"), hello(boot="boot-2"), status("online", boot="boot-2"))
    assert after(device, read(*late)) is None


def test_a_will_of_this_boot_makes_the_box_offline() -> None:
    device = told(NEW, status("online"), status("offline", reason="connection lost"))
    assert device.online is False
    assert device.status_reason == "connection lost"


def test_an_attempt_does_not_go_back_within_a_boot() -> None:
    second = told(NEW, reported(update={"attempt": 2, "state": "committed", "code": "committed"}))
    assert after(second, read(*reported(update={"attempt": 1, "state": "fetch"}))) is None
    other_store = told(second, reported(boot="boot-2", update={"attempt": 1, "state": "fetch"}))
    assert other_store.update is not None
    assert other_store.update.attempt == 1


def test_a_report_with_a_lower_number_of_the_same_boot_is_late() -> None:
    second = told(NEW, reported(seq=2, config_revision=7))
    assert after(second, read(*reported(seq=1, config_revision=6))) is None
    assert told(second, reported(seq=2, config_revision=7)) == second, "the broker gives the same again"
    assert told(second, reported(seq=3, config_revision=6)).config_revision == 6
    assert told(second, reported(boot="boot-2", seq=1, config_revision=6)).config_revision == 6


def test_a_hello_keeps_what_a_report_told_of_the_same_artifact() -> None:
    model = {"artifact_digest": "a" * 64, "name": "cars", "version": "1.1.0", "manifest": "c" * 64}
    device = told(NEW, reported(models={"main": model}), hello(models={"main": "a" * 64}))
    assert (values(device, "model"), device.models["main"].manifest) == (["cars@1.1.0"], "c" * 64)
    device = told(device, hello(boot="boot-2", models={"main": "b" * 64}))
    assert (values(device, "model"), values(device, "artifact")) == ([], ["b" * 64])


def test_boxes_are_found_by_the_bundle_that_runs_and_its_change_is_remembered() -> None:
    digest = "a" * 64
    before, now = (
        told(NEW, reported(models={"main": {"artifact_digest": digest, "name": "cars", "version": version}}))
        for version in ("1.0.0", "1.1.0")
    )
    assert select("model=cars@1.1.0", [before, now]) == [now]
    assert select("model~cars@*", [before, now]) == [before, now]
    assert changes(before, now) == [Change("model.main", f"cars@1.0.0 ({digest})", f"cars@1.1.0 ({digest})")]


def test_warnings_are_those_of_the_last_health() -> None:
    warned = told(NEW, health(warnings=["look at the lens"], problems=["yolox 1.0 was withdrawn"]))
    assert warned.warnings == ("gate: look at the lens", "yolox 1.0 was withdrawn")
    assert told(warned, health()).warnings == ()


def test_changes_name_what_was_and_what_is() -> None:
    before = told(NEW, hello(version="1.0.0"), facts(labels={"site": "taipei", "lane": "2"}))
    now = told(before, hello(boot="boot-2", version="1.1.0"), facts(labels={"site": "tainan"}))
    assert changes(before, now) == [
        Change("boot_id", "boot-1", "boot-2"),
        Change("version", "1.0.0", "1.1.0"),
        Change("label.site", "taipei", "tainan"),
        Change("label.lane", "2", None),
    ]
    assert changes(now, now) == []


def test_progress_of_an_update_is_no_change_to_remember() -> None:
    update: dict[str, Any] = {"attempt": 1, "state": "fetch", "progress": {"text": "1 of 9 MB"}}
    before = told(NEW, reported(update=update))
    now = told(before, reported(update={**update, "progress": {"text": "2 of 9 MB"}}))
    assert now != before
    assert changes(before, now) == []


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, "unknown"),
        ({"arch": "aarch64"}, "aarch64"),
        ({"arch": "x86_64", "cpu.isa": ("avx", "avx2")}, "x86_64-avx2"),
        ({"arch": "x86_64", "cpu.isa": ("amx_int8", "avx2", "avx512_vnni")}, "x86_64-amx"),
        ({"arch": "x86_64"}, "x86_64-sse"),
        ({"arch": "x86_64", "cpu.isa": ("avx2", "avx_vnni"), "intel.npu": 1}, "x86_64-vnni-npu"),
        ({"arch": "x86_64", "gpu.sm": 89}, "x86_64-sm89"),
        ({"arch": "aarch64", "soc": "i.MX8MP"}, "i-mx8mp"),
        ({"arch": "aarch64", "jetpack": "6.1", "gpu.sm": 87}, "jetson-sm87-jp6"),
        ({"arch": "aarch64", "jetpack": "new"}, "jetson"),
        ({"arch": "\N{SNOWMAN}"}, "unknown"),
    ],
)
def test_the_hardware_class_follows_from_the_facts(facts: dict[str, Any], expected: str) -> None:
    assert hardware_class(facts) == expected


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        ("edgetally/v1/box-1/desired", b"{}", "no_topic"),
        ("edgetally/v1/BOX/hello", b"{}", "no_topic"),
        ("edgetally/v1/box-1/hello", b"{", "not_json"),
        ("edgetally/v1/box-1/hello", b"[" * 100_000, "not_json"),
        ("edgetally/v1/box-1/hello", b"[" * 30 + b"]" * 30, "out_of_bounds"),
        ("edgetally/v1/box-1/hello", b"\xff", "not_json"),
        ("edgetally/v1/box-1/hello", b"null", "invalid"),
        ("edgetally/v1/box-1/hello", b'{"epoch": 1e400}', "out_of_bounds"),
        ("edgetally/v1/box-1/hello", b'{"epoch": NaN}', "out_of_bounds"),
        ("edgetally/v1/box-1/hello", b'{"epoch": 9007199254740992}', "out_of_bounds"),
        ("edgetally/v1/box-1/hello", b" " * (LARGEST_PAYLOAD + 1), "too_large"),
        (*hello(device="box-2", topic_of="box-1"), "wrong_device"),
        (*hello(boot=""), "out_of_bounds"),
        (*facts(labels={f"l{n}": "" for n in range(65)}), "invalid"),
        (*facts(labels={"a b": "c"}), "invalid"),
        (*facts(facts={f"f{n}": 1 for n in range(2_000)}), "out_of_bounds"),
    ],
)
def test_what_is_not_taken_is_refused_with_its_reason(topic: str, payload: bytes, reason: str) -> None:
    assert refused(topic, payload).reason == reason


def test_texts_are_cut_and_what_a_terminal_obeys_is_taken_out() -> None:
    evil = "\x1b[2J\x00\u202e" + "x" * 1_000
    device = told(NEW, facts(labels={"site": evil}))
    site = device.labels["site"]
    assert len(site) <= LONGEST_TEXT
    assert site.endswith("…")
    assert site.startswith("\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}x")


def test_what_a_refusal_quotes_is_printable() -> None:
    assert str(refused("edgetally/\x1b", b"")).isprintable()
    assert str(refused("edgetally/v1/box-1/facts", json.dumps({"\x1b[2J": 1}).encode())).isprintable()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def spoilt(draw: st.DrawFn) -> tuple[str, bytes]:
    """A good message with one of its values replaced by anything."""
    topic, payload = draw(st.sampled_from([hello(), status("online"), facts(), reported(), health()]))
    document = json.loads(payload)
    document[draw(st.sampled_from(sorted(document)))] = draw(JSON)
    return topic, json.dumps(document).encode()


@given(st.sampled_from(CHANNELS), st.binary(max_size=200))
def test_any_bytes_are_refused_with_a_known_reason(channel: Channel, payload: bytes) -> None:
    try:
        read_message(f"edgetally/v1/box-1/{channel.value}", payload)
    except RefusedError as error:
        assert error.reason in REASONS  # noqa: PT017 - either outcome is right


@given(st.lists(spoilt(), max_size=5))
def test_whatever_boxes_tell_can_be_stored_read_back_and_asked_for(messages: list[tuple[str, bytes]]) -> None:
    device = NEW
    for message in messages:
        with contextlib.suppress(RefusedError):
            device = told(device, message)
    text = device.model_dump_json()
    assert "\\u0000" not in text
    assert Device.model_validate_json(text) == device
    assert matches(parse_query("device=box-1"), device)
    assert all(after is None or len(after) <= 2 * LONGEST_TEXT for _, _, after in changes(NEW, device))


BOXES = [
    told(NEW, facts(labels={"site": "taipei", "state": "north"}, facts={"arch": "x86_64", "cpu.isa": ["avx2"]})),
    told(Device(device="box-2"), facts(device="box-2", labels={"site": "tainan"}, facts={"arch": "aarch64"})),
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["box-1", "box-2"]),
        ("site=taipei", ["box-1"]),
        ("label:state=north", ["box-1"]),
        ("state=north", []),
        ("fact:cpu.isa=avx2", ["box-1"]),
        ("fact:arch=aarch64 | device~*-1", ["box-1", "box-2"]),
        ("online=unknown & class=aarch64", ["box-2"]),
        ("warning~*", []),
    ],
)
def test_boxes_are_selected_by_labels_facts_and_fields(query: str, expected: list[str]) -> None:
    assert [device.device for device in select(query, BOXES)] == expected


def test_a_label_that_no_box_has_is_an_error_but_not_where_no_box_is_known() -> None:
    with pytest.raises(QueryError, match="did you mean 'site'"):
        select("sight=taipei", BOXES)
    assert select("sight=taipei", []) == []


def test_target_is_what_the_facts_allow() -> None:
    device = told(NEW, facts(facts={"arch": "x86_64", "runtime.openvino": "2026.1.0", "cpu.isa": ["avx2"]}))
    assert values(device, "target") == ["x86-openvino"]


@pytest.mark.parametrize("crossed", [-1, 1_000_001])
def test_a_window_has_no_more_crossings_than_can_be(crossed: int) -> None:
    line = {"counter_id": "c", "since": "", "in": crossed, "out": 0, "total_in": 0, "total_out": 0}
    assert refused(*counted(lines={"road": line})).reason == "out_of_bounds"
