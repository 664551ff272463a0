"""Layers become the one configuration of a box, the same for the same input, or a problem that says what is wrong."""

from __future__ import annotations

import json
import random
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.desired import DesiredConfig, canonical
from fleet.configuration.bodies import LARGEST_CONFIG
from fleet.configuration.layers import Layer, depends_on
from fleet.configuration.resolve import Layers, Problem, Resolved, origins, resolve
from fleet.inventory.device import Device
from tests.unit.fleet.configuration.samples import SECRET, box, layer


def config(device: Device, *layers: Layer) -> dict[str, Any]:
    found = resolve(device, layers)
    assert isinstance(found, Resolved), found
    document: dict[str, Any] = json.loads(found.config)
    assert canonical(document).decode() == found.config
    DesiredConfig.model_validate_json(found.config, strict=True)
    return document


def problem(device: Device, *layers: Layer) -> str:
    found = resolve(device, layers)
    assert isinstance(found, Problem), found
    return found.text


def test_without_layers_nothing_is_set() -> None:
    assert config(box()) == {}
    assert config(box(), layer("group/a", {"log_level": "debug"}, "site=berlin")) == {}


def test_a_higher_layer_lies_over_a_lower_one_and_groups_by_rank_and_name() -> None:
    fleet = layer("fleet", {"window_seconds": 1, "state_seconds": 1, "health_seconds": 1, "log_level": "info"})
    low_z = layer("group/z", {"state_seconds": 2, "health_seconds": 2, "log_level": "debug"}, rank=1)
    high_a = layer("group/a", {"health_seconds": 3, "log_level": "warning"}, rank=2)
    high_b = layer("group/b", {"log_level": "error"}, rank=2)
    own = layer("device/box-1", {"labels": {"room": "1"}})
    for seed in range(5):
        layers = [fleet, low_z, high_a, high_b, own]
        random.Random(seed).shuffle(layers)
        assert config(box(), *layers) == {
            "window_seconds": 1,
            "state_seconds": 2,
            "health_seconds": 3,
            "log_level": "error",
            "labels": {"room": "1"},
        }
    assert "labels" not in config(box("box-2"), own, fleet)


def test_cameras_are_merged_by_their_ids() -> None:
    layers = (
        layer("fleet", {"camera": [{"id": "gate", "fps": 5, "score": 0.5}]}),
        layer("group/a", {"camera": [{"id": "yard", "fps": 3}, {"id": "gate", "fps": 10}]}, "site=taipei"),
    )
    cameras = {camera["id"]: camera for camera in config(box(), *layers)["camera"]}
    assert cameras == {"gate": {"id": "gate", "fps": 10, "score": 0.5}, "yard": {"id": "yard", "fps": 3}}


def test_placeholders_are_filled_in_with_what_is_of_the_box() -> None:
    keys = {
        "camera": [{"id": "gate", "source": "rtsp://cam.${label.site}.example/${device}?a=$$1"}],
        "labels": {"kind": "${class}", "zone": "${label.site}"},
    }
    found = config(box(), layer("fleet", keys))
    assert found["camera"][0]["source"] == "rtsp://cam.taipei.example/box-1?a=$1"
    assert found["labels"] == {"kind": "x86_64-vnni", "zone": "taipei"}


@pytest.mark.parametrize("site", [None, ""])
def test_a_label_that_a_box_lacks_is_its_problem_and_never_an_empty_text(site: str | None) -> None:
    keys = {"camera": [{"id": "gate", "source": "rtsp://${label.site}.example/1"}]}
    said = problem(box(site=site), layer("fleet", keys))
    assert said == "'camera.gate.source' needs ${label.site}, and the box has no label 'site'"


def test_a_hardware_class_that_is_not_known_is_not_filled_in() -> None:
    said = problem(box(hardware_class="unknown"), layer("fleet", {"labels": {"a": "${class}"}}))
    assert "the hardware class is not known" in said


@pytest.mark.parametrize(
    "site",
    ["a\nb", "a/b", "..", "a ! filesink location=/x", "me@evil.example", "a?b", "a:1", "a b", "-\x00", "%2e", "a."],
)
def test_a_label_that_means_more_than_a_word_is_refused_where_it_could_break_out(site: str) -> None:
    keys = {"camera": [{"id": "gate", "source": "gst:rtspsrc location=rtsp://${label.site}.example/1"}]}
    said = problem(box(site=site), layer("fleet", keys))
    assert "'camera.gate.source' needs ${label.site}; expected letters, digits" in said
    assert said.isprintable()


def test_a_label_may_hold_any_printable_text() -> None:
    keys = {"labels": {"where": "${label.site}!"}}
    assert config(box(site="台北 / 1"), layer("fleet", keys))["labels"] == {"where": "台北 / 1!"}
    assert "expected printable" in problem(box(site="a\tb"), layer("fleet", keys))


def test_what_becomes_wrong_by_filling_in_is_a_problem_of_that_box_alone() -> None:
    layers = Layers([layer("fleet", {"camera": [{"id": "gate", "transport": "${label.site}"}]})])
    assert isinstance(layers.resolve(box(site="udp")), Resolved)
    found = layers.resolve(box(site="carrier-pigeon"))
    assert isinstance(found, Problem)
    assert "'camera.gate.transport' should be 'tcp' or 'udp'" in found.text


def test_a_configuration_that_no_document_could_hold_is_a_problem() -> None:
    rows = [{"id": f"camera-{n}", "source": "x" * 4_000} for n in range(LARGEST_CONFIG // 4_000 + 1)]
    assert f"expected {LARGEST_CONFIG} at most" in problem(box(), layer("fleet", {"camera": rows}))


def test_secrets_are_in_the_configuration_and_in_no_text_of_it() -> None:
    found = resolve(box(), [layer("fleet", {"broker": {"password": SECRET}})])
    assert isinstance(found, Resolved)
    assert SECRET in found.config
    assert SECRET not in repr(found)
    assert SECRET not in repr(layer("fleet", {"broker": {"password": SECRET}}))


def test_each_value_is_told_the_layer_that_it_is_from() -> None:
    layers = Layers(
        [
            layer("fleet", {"log_level": "info", "camera": [{"id": "gate", "fps": 5, "score": 0.5}]}),
            layer("group/a", {"camera": [{"id": "gate", "fps": 10}]}),
        ]
    )
    found = {".".join(path): str(name) for path, name in origins(layers.of(box())).items()}
    assert found == {"log_level": "fleet", "camera.gate.score": "fleet", "camera.gate.fps": "group/a"}


FPS = st.integers(1, 9)
CAMERAS = st.lists(
    st.fixed_dictionaries(
        {"id": st.sampled_from("ab")},
        optional={"fps": FPS, "source": st.sampled_from(["rtsp://${label.site}.example", "synthetic"])},
    ),
    unique_by=lambda row: row["id"],
)
KEYS = st.fixed_dictionaries(
    {},
    optional={
        "camera": CAMERAS,
        "window_seconds": FPS,
        "labels": st.dictionaries(st.sampled_from(["zone", "x"]), st.sampled_from(["${device}", "y"])),
    },
)
NAMED = st.dictionaries(
    st.sampled_from(["fleet", "group/a", "group/b", "group/c", "device/box-1", "device/box-2"]),
    st.tuples(KEYS, st.integers(0, 2), st.sampled_from(["", "site=taipei", "site!=taipei"])),
)


@settings(max_examples=60, deadline=None)
@given(NAMED, st.sampled_from(["taipei", "berlin", None]), st.randoms(use_true_random=False))
def test_the_same_layers_give_the_same_bytes_in_whatever_order_and_however_often(
    named: dict[str, tuple[dict[str, Any], int, str]], site: str | None, shuffled: random.Random
) -> None:
    layers = [
        layer(name, keys, query if name.startswith("group") else "", rank if name.startswith("group") else 0)
        for name, (keys, rank, query) in named.items()
    ]
    found = Layers(layers)
    first = found.resolve(box(site=site))
    shuffled.shuffle(layers)
    again = Layers(layers)
    again.resolve(box("box-2", site="berlin"))  # what was asked before changes nothing
    assert again.resolve(box(site=site)) == first == found.resolve(box(site=site))


def test_as_long_as_what_layers_depend_on_is_the_same_so_is_the_configuration() -> None:
    before = box()
    busy = before.model_copy(update={"online": True, "state": "degraded", "drift_warnings": ("x",), "boot_id": "b"})
    assert depends_on(before) == depends_on(busy)
    others: list[dict[str, Any]] = [{"labels": {}}, {"hardware_class": "x"}, {"facts": {"arch": "x"}}, {"version": "2"}]
    for other in others:
        assert depends_on(before) != depends_on(before.model_copy(update=other))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=20))
def test_whatever_a_box_says_of_itself_an_address_stays_the_one_that_was_written(site: str) -> None:
    keys = {"camera": [{"id": "gate", "source": "rtsp://me:pw@${label.site}.example:554/${label.site}?a=1"}]}
    found = resolve(box(site=site), [layer("fleet", keys)])
    if isinstance(found, Problem):
        assert found.text.isprintable()
        return
    address = urlsplit(json.loads(found.config)["camera"][0]["source"])
    assert (address.netloc, address.path, address.query) == (f"me:pw@{site}.example:554", f"/{site}", "a=1")
    assert address.port == 554
