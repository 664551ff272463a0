"""Whatever bytes come: never an exception, always a document that was taken or a refusal with its code."""

from __future__ import annotations

import copy
import json
import random
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.desired import ENVELOPE_TYPE, RefusalCode, Reported
from tests.unit.agent.remote.boxes import Box, as_bytes, desired

FULL: dict[str, Any] = desired(
    {
        "window_seconds": 5,
        "log_level": "debug",
        "labels": {"site": "north"},
        "broker": {"host": "b.example", "port": 8883, "password": "p", "tls": {"ca": "ca.pem"}},
        "camera": [
            {
                "id": "gate",
                "source": "rtsp://192.0.2.1/",
                "fps": 5.5,
                "line": [{"name": "stop", "start": [0, 0], "end": [1, 1], "labels": ["car"]}],
                "zone": [{"name": "z", "polygon": [[0, 0], [1, 0], [1, 1]], "anchor": "bottom"}],
            }
        ],
    },
    model_revision=1,
    models={"main": {"name": "m", "version": "1", "manifest": "0" * 64}},
)
KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"  # RFC 8032, section 7.1
ENVELOPE = {"payload": "e30=", "payloadType": ENVELOPE_TYPE, "signatures": [{"keyid": "k", "sig": "AA=="}]}
KEYS = ["config", "camera", "line", "zone", "id", "name", "enabled", "broker", "tls", "payloadType", "epoch", "x", ""]
TIMES = ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"]
ODD = [2**53, -1, 10**400, "\ud800", "\x00", "gate", "box-1", *TIMES]
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.sampled_from(ODD))
JSON = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=5)), inner, max_size=4),
    ),
    max_leaves=12,
)


def places(document: Any) -> list[tuple[Any, Any]]:
    """Every place of a document that something else may be put into."""
    inside = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [found for key, value in inside for found in ((document, key), *places(value))]


def changed_document(dice: random.Random) -> bytes:
    """A good document with a few places of it changed, and then perhaps some of its bytes."""
    document = copy.deepcopy(dice.choice([FULL, FULL, FULL, ENVELOPE]))
    for _ in range(dice.randint(0, 3)):
        holder, key = dice.choice(places(document))
        if isinstance(holder, dict) and dice.random() < 0.5:
            holder[dice.choice(KEYS)] = holder.pop(key)
        else:
            holder[key] = any_value(dice, 3)
    data = bytearray(json.dumps(document).encode())
    for _ in range(dice.choice([0, 0, 0, 1, 2])):
        data[dice.randrange(len(data))] = dice.randrange(256)
    return bytes(data[: dice.choice([len(data)] * 9 + [dice.randrange(len(data))])])


def any_value(dice: random.Random, depth: int) -> Any:
    """Something that JSON can say."""
    kind = dice.randrange(8 if depth else 6)
    if kind == 7:
        return {dice.choice(KEYS): any_value(dice, depth - 1) for _ in range(dice.randint(0, 3))}
    if kind == 6:
        return [any_value(dice, depth - 1) for _ in range(dice.randint(0, 3))]
    simple = [None, dice.random() < 0.5, dice.randint(-9, 9), dice.uniform(-2, 2), dice.choice(KEYS), dice.choice(ODD)]
    return simple[kind]


def check(box: Box, payload: bytes) -> None:
    before = box.remote.config
    report = box.send(payload)
    Reported.model_validate_json(report.model_dump_json())
    if report.refused is None:
        assert report.config_revision is not None
    else:
        assert report.refused.code in set(get_args(RefusalCode)) - {"internal", "storage"}, report.refused
        assert report.refused.reason
        assert box.remote.config is before
    assert len(report.model_dump_json()) < 200_000


@pytest.fixture(scope="module")
def box() -> Box:
    return Box()


@pytest.fixture(scope="module")
def signed_box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    """One that takes signed documents only."""
    keys = tmp_path_factory.mktemp("keys") / "operator-keys.json"
    keys.write_text(json.dumps({"k": {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": KEY}}}))
    return Box(keys=keys)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(st.binary(max_size=200), JSON.map(lambda value: json.dumps(value).encode())))
def test_no_bytes_and_no_json_raise(box: Box, payload: bytes) -> None:
    check(box, payload)


@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**64 - 1))
def test_no_changed_document_raises(box: Box, signed_box: Box, seed: int) -> None:
    check(signed_box if seed % 4 == 0 else box, changed_document(random.Random(seed)))


@pytest.mark.slow
@settings(max_examples=100_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**64 - 1))
def test_a_hundred_thousand_changed_documents_raise_nothing(box: Box, signed_box: Box, seed: int) -> None:
    check(signed_box if seed % 4 == 0 else box, changed_document(random.Random(seed)))


def test_after_all_that_a_good_document_is_taken() -> None:
    box = Box()
    for payload in (b"", b"\x00", b"{}", as_bytes(ENVELOPE), as_bytes(FULL)[:-1]):
        assert box.send(payload).refused is not None
    assert box.send(FULL).refused is None
