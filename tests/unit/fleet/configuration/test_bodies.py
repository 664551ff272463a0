"""A layer is checked when it is written, placeholders and all; what is not shown may be handed in as it was shown."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import DocumentError, WrittenError
from fleet.configuration.bodies import read_body
from fleet.configuration.difference import differences, unified
from fleet.configuration.layers import parse_group_query, parse_name
from fleet.configuration.masking import MASK, masked
from tests.unit.fleet.configuration.samples import SECRET, layer


def refused(keys: dict[str, Any], before: dict[str, Any] | None = None) -> str:
    with pytest.raises(DocumentError) as error:
        read_body(keys, "site.toml", before)
    assert str(error.value).startswith("site.toml: ")
    return str(error.value)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"windw_seconds": 5}, "unknown key 'windw_seconds'; did you mean 'window_seconds'?"),
        ({"window_seconds": "5"}, "'window_seconds' should be a valid number"),
        ({"window_seconds": "${label.window}"}, "'window_seconds' should be a valid number"),
        ({"camera": [{"id": "gate", "transport": "tcpp"}]}, "'camera.gate.transport' should be 'tcp' or 'udp'"),
        ({"camera": [{"id": "${device}"}]}, "should be 1 to 64 of a-z, 0-9, _ and -"),
        ({"camera": [{"fps": 5}]}, "missing key 'camera.0.id'"),
        ({"camera": [{"id": "a"}, {"id": "a"}]}, "'a' stands more than once"),
        ({"camera": [{"id": "a", "mask": []}]}, "unknown key 'camera.a.mask'"),
        ({"camera": {"gate": 5}}, "'camera' should be a valid array"),
        ({"camera": ["gate"]}, "should be"),
        ({"device": "box-1"}, "unknown key 'device'"),
        ({"labels": {"since": dt.date(2026, 1, 1)}}, "nothing that JSON has"),
        ({"window_seconds": float("inf")}, "nothing that JSON has"),
        ({"camera": [{"id": "a", "source": "x${label.site"}]}, "'camera.a.source': '$' is no placeholder"),
        ({"camera": [{"id": "a", "source": "${label.Site}"}]}, "'camera.a.source': '${label.Site}' is no placeholder"),
        ({"labels": {"a": "${site}"}}, "expected ${device}, ${class} or ${label.NAME}, or $$ for a dollar"),
    ],
)
def test_what_is_wrong_is_named(keys: dict[str, Any], said: str) -> None:
    assert said in refused(keys)


def test_every_wrong_key_is_named_at_once() -> None:
    said = refused({"windw_seconds": 5, "camera": [{"id": "a", "fps": "x", "source": "$x"}]})
    assert all(word in said for word in ("windw_seconds", "camera.a.fps", "camera.a.source"))


def test_lists_inside_lists_without_end_are_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert "without end" in refused({"camera": deep})


@pytest.mark.parametrize(
    "keys",
    [
        {"camera": [{"id": "a", "source": "rtsp://${label.site}.example/$$", "transport": "${label.way}"}]},
        {"labels": {"zone": "${label.site}", "camera": "x"}},
        {"camera": [{"id": "a", "input_format": "${label.Way}".lower(), "line": [{"name": "b", "enabled": False}]}]},
        {},
    ],
)
def test_what_fits_is_taken_as_it_was_written(keys: dict[str, Any]) -> None:
    assert read_body(keys, "site.toml") == keys


def test_a_secret_that_was_not_shown_is_kept_where_it_is_handed_in_as_it_was_shown() -> None:
    before = {
        "broker": {"host": "a", "password": SECRET},
        "camera": [{"id": "gate", "source": f"rtsp://me:{SECRET}@cam.example/1", "fps": 5}],
    }
    shown: Any = masked(before)
    shown["camera"][0]["fps"] = 10
    assert read_body(shown, "site.toml", before) == {
        "broker": {"host": "a", "password": SECRET},
        "camera": [{"id": "gate", "source": f"rtsp://me:{SECRET}@cam.example/1", "fps": 10}],
    }
    shown["camera"][0]["source"] = "rtsp://other.example/***"
    assert f"{MASK!r} stands for what was not shown" in refused(shown, before)
    assert MASK in refused(shown)


WORDS = st.text("abcdefghij", min_size=1, max_size=6)
SECRETS = st.text("0123456789", min_size=8, max_size=12)
ADDRESSES = st.sampled_from(
    [
        "rtsp://me:{}@cam.example/1",
        "rtsp://cam.example/{}/1",
        "http://cam.example/?pw={}",
        "gst:rtspsrc location={} ! x",
    ]
)


@settings(max_examples=60, deadline=None)
@given(WORDS, SECRETS, SECRETS, ADDRESSES)
def test_nothing_that_is_shown_holds_a_secret(word: str, secret: str, other: str, address: str) -> None:
    def keys(value: str) -> dict[str, Any]:
        return {
            "broker": {"password": value, "host": f"mqtt://{word}:{value}@broker.example"},
            "camera": [{"id": word, "source": address.format(value)}],
            "labels": {word: f"https://{word}:{value}@site.example/"},
        }

    one, two = layer("fleet", keys(secret)), layer("fleet", keys(other))
    texts = [str(masked(one.keys)), unified(None, one), unified(one, None), unified(one, two), repr(one)]
    texts += [str(each) for each in differences(one.keys, two.keys)]
    assert not any(hidden in text for hidden in (secret, other) for text in texts)
    assert len(differences(one.keys, two.keys)) == (4 if secret != other else 0), "a change that is not shown is told"


def test_a_difference_is_told_by_its_path() -> None:
    old = {"camera": [{"id": "gate", "fps": 5, "score": 0.5}], "broker": {"password": "a"}}
    new = {"camera": [{"id": "gate", "fps": 10}], "broker": {"password": "b"}, "log_level": "debug"}
    assert [str(each) for each in differences(old, new)] == [
        'broker.password: "***" → "***" (differs in what is not shown)',
        "camera.gate.fps: 5 → 10",
        "camera.gate.score: 0.5 → -",
        'log_level: - → "debug"',
    ]


def test_a_unified_difference_has_the_query_and_the_rank() -> None:
    old = layer("group/a", {"window_seconds": 5}, "site=a", rank=1)
    new = layer("group/a", {"window_seconds": 6}, "site=b", rank=1)
    assert unified(old, new).splitlines()[3:] == [
        "-query: site=a",
        "+query: site=b",
        " rank: 1",
        "-window_seconds = 5",
        "+window_seconds = 6",
    ]
    assert unified(old, old) == ""


@pytest.mark.parametrize(("text", "said"), [("online=no", "'online'"), ("a=1 & !(warning=drift)", "'warning'")])
def test_a_group_cannot_follow_what_changes_by_itself(text: str, said: str) -> None:
    with pytest.raises(WrittenError, match=said):
        parse_group_query(text)


@pytest.mark.parametrize("text", ["", "group", "group/", "group/A", "device/a/b", "group/a\n", "fleet/fleet"])
def test_a_name_that_is_none_says_what_was_expected(text: str) -> None:
    with pytest.raises(WrittenError, match="should be `fleet`, `group/NAME` or `device/ID`"):
        parse_name(text)
    assert [str(parse_name(name)) for name in ("fleet", "group/a", "device/b")] == ["fleet", "group/a", "device/b"]
