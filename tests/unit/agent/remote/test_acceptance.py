"""Which documents are taken, and with which code the others are refused."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.desired import LARGEST_DOCUMENT, RefusedDocument
from tests.unit.agent.remote.boxes import NOW, Box, as_bytes, desired, time_text


@pytest.fixture
def box() -> Box:
    return Box()


def refusal(box: Box, document: object) -> RefusedDocument:
    before = box.remote.config
    refused = box.send(document).refused
    assert refused is not None
    assert box.remote.config is before, "what is refused changes nothing"
    return refused


def test_a_newer_document_is_taken_and_reported(box: Box) -> None:
    report = box.send(desired({"window_seconds": 5}, revision=7, epoch=3))
    assert (report.state, report.epoch, report.config_revision, report.refused) == ("ok", 3, 7, None)
    assert box.applier.config.window_seconds == 5


def test_before_any_document_the_local_settings_are_reported(box: Box) -> None:
    report = box.reports[0]
    assert (report.state, report.code, report.epoch, report.config_revision) == ("local", "local", None, None)


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"{", "expected a JSON object"),
        (b"[1]", "got a list"),
        (b'"x"', "got a str"),
        (b"{} {}", "expected a JSON object"),
        (b'{"epoch": NaN}', "NaN"),
        (b'{"epoch": 1e999}', "expected a JSON object"),
        (b'{"epoch": 1, "epoch": 2}', "'epoch' twice"),
        (b'{"device": "\\ud800"}', "expected a JSON object"),
        (b'{"a":' * 50_000, "expected a JSON object"),
        (b'{"a": ' * 17 + b"1" + b"}" * 17, "inside one another"),
        (b"9" * 5000, "expected a JSON object"),
    ],
)
def test_what_is_no_json_object_is_refused(box: Box, payload: bytes, said: str) -> None:
    refused = refusal(box, payload)
    assert refused.code == "not_json"
    assert said in refused.reason


def test_a_document_over_the_limit_is_refused_and_one_at_it_is_read(box: Box) -> None:
    document = as_bytes(desired())
    assert refusal(box, document + b" " * (LARGEST_DOCUMENT + 1 - len(document))).code == "too_large"
    assert box.send(document + b" " * (LARGEST_DOCUMENT - len(document))).refused is None


def test_every_wrong_field_is_named_with_what_was_expected(box: Box) -> None:
    config = {
        "window_seconds": 0,
        "bundle": "other",
        "log_level": "loud",
        "camera": [
            {
                "id": "gate",
                "score": 2,
                "loop": 1,
                "line": [{"name": "stop", "start": [0, 2]}],
                "zone": [{"name": "yard", "polygon": [[0, 0], [1, 1]]}],
            },
            {"id": "No"},
        ],
    }
    refused = refusal(box, desired(config))
    errors = {one.path: one.problem for one in refused.errors}
    assert refused.code == "invalid"
    assert errors == {
        "config.window_seconds": "'config.window_seconds' should be greater than or equal to 1, got 0",
        "config.bundle": errors["config.bundle"],
        "config.log_level": errors["config.log_level"],
        "config.camera.gate.score": "'config.camera.gate.score' should be less than 1, got 2",
        "config.camera.gate.loop": "'config.camera.gate.loop' should be a valid boolean, got 1",
        "config.camera.gate.line.stop.start.1": (
            "'config.camera.gate.line.stop.start.1' should be less than or equal to 1, got 2"
        ),
        "config.camera.gate.zone.yard.polygon": errors["config.camera.gate.zone.yard.polygon"],
        "config.camera.1.id": "'config.camera.1.id' should be 1 to 64 of a-z, 0-9, _ and -, got 'No'",
    }
    assert errors["config.bundle"].startswith("unknown key 'config.bundle'")
    assert "'debug', 'info', 'warning' or 'error'" in errors["config.log_level"]


def test_what_only_shows_in_the_merged_configuration_is_named_too(box: Box) -> None:
    config = {
        "camera": [
            {"id": "new", "fps": 5},
            {"id": "gate", "line": [{"name": "stop", "end": [0, 0.5]}, {"name": "half", "start": [0, 0]}]},
        ]
    }
    errors = {one.path: one.problem for one in refusal(box, desired(config)).errors}
    assert errors["config.camera.new.source"] == "missing key 'camera.new.source'"
    assert errors["config.camera.gate.line.half.end"] == "missing key 'camera.gate.line.half.end'"
    assert "should have two different ends" in errors["config.camera.gate.line.stop"]


def test_a_source_that_can_never_be_opened_is_refused(box: Box) -> None:
    refused = refusal(box, desired({"camera": [{"id": "gate", "source": "gopher://192.0.2.1"}]}))
    assert [one.path for one in refused.errors] == ["config.camera.gate.source"]


def test_names_that_stand_twice_are_refused(box: Box) -> None:
    line = {"name": "stop"}
    config = {"camera": [{"id": "gate", "line": [line, line]}, {"id": "yard"}, {"id": "yard"}]}
    paths = [one.path for one in refusal(box, desired(config)).errors]
    assert paths == ["config.camera.yard", "config.camera.gate.line.stop"]


def test_many_wrong_fields_are_counted_beyond_a_hundred(box: Box) -> None:
    refused = refusal(box, desired({f"wrong{number}": 1 for number in range(150)}))
    assert (len(refused.errors), refused.errors_left_out) == (100, 50)


def test_keys_of_a_sender_cannot_break_our_log_lines(box: Box) -> None:
    refused = refusal(box, desired({"a\nb\u2028" + "x" * 999: 1}))
    assert all(text.isprintable() and len(text) <= 300 for one in refused.errors for text in (one.path, one.problem))
    assert refused.reason.isprintable()


@pytest.mark.parametrize("password", ["hunter22", ["hunter22"], {"hunter22": 1}])
def test_no_refusal_repeats_a_password(box: Box, password: object) -> None:
    config = {"broker": {"password": password, "port": 0}, "camera": [{"id": "gate", "source": "x://u:hunter22@h/"}]}
    assert "hunter22" not in refusal(box, desired(config)).model_dump_json().replace("broker.password.hunter22", "")


def test_a_document_for_another_device_is_refused(box: Box) -> None:
    refused = refusal(box, desired({"nonsense": 1}, device="box-2"))
    assert refused.code == "wrong_device"
    assert "'box-2'" in refused.reason


@pytest.mark.parametrize("missing", ["device", "epoch", "config_revision", "config", "issued", "expires"])
def test_a_document_is_taken_whole_or_not_at_all(box: Box, missing: str) -> None:
    document = desired()
    del document[missing]
    refused = refusal(box, document)
    assert [(one.path, one.problem) for one in refused.errors] == [(missing, f"missing key '{missing}'")]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"epoch": 4, "config_revision": 99}, "stale_epoch"),
        ({"config_revision": 6}, "stale_revision"),
        ({"config_revision": 8, "model_revision": 2}, "stale_revision"),
        ({"config": {"window_seconds": 6}}, "revision_reused"),
        ({"config_revision": 8, "models": {}}, "revision_reused"),
    ],
)
def test_an_older_document_is_refused(box: Box, changes: dict[str, Any], code: str) -> None:
    model = {"name": "m", "version": "1", "manifest": "0" * 64}
    taken = desired({"window_seconds": 5}, revision=7, epoch=5, model_revision=3, models={"main": model})
    assert box.send(taken).refused is None
    refused = refusal(box, taken | changes)
    assert refused.code == code
    assert (refused.epoch, refused.config_revision) == (changes.get("epoch", 5), changes.get("config_revision", 7))


def test_a_higher_epoch_begins_the_revisions_anew(box: Box) -> None:
    box.send(desired({"window_seconds": 5}, revision=7, epoch=5))
    assert box.send(desired({"window_seconds": 6}, revision=1, epoch=6)).config_revision == 1


def test_models_move_without_the_configuration(box: Box) -> None:
    box.send(desired({"window_seconds": 5}, revision=7))
    model = {"name": "m", "version": "1", "manifest": "0" * 64}
    assert (
        box.send(desired({"window_seconds": 5}, revision=7, model_revision=1, models={"main": model})).refused is None
    )
    assert len(box.applier.plans) == 1
    assert box.remote.floors.model_revision == 1


def test_the_same_document_again_is_no_refusal_even_once_it_has_expired(box: Box) -> None:
    document = desired({"window_seconds": 5})
    box.send(document)
    box.turn(10 * 86_400)
    report = box.send(document)
    assert (report.state, report.refused, len(box.applier.plans)) == ("ok", None, 1)


def test_the_same_document_again_takes_the_last_refusal_away(box: Box) -> None:
    box.send(desired({"window_seconds": 5}, revision=2))
    refusal(box, desired({"window_seconds": -5}, revision=3))
    assert box.send(desired({"window_seconds": 5}, revision=2)).refused is None


def test_an_expired_document_is_refused(box: Box) -> None:
    refused = refusal(box, desired(expires=time_text(NOW + 60)))
    assert refused.code == "expired"
    assert "2026-06-01T00:01:00Z" in refused.reason


def test_a_document_from_the_future_is_refused_where_the_clock_is_trusted(box: Box) -> None:
    future: dict[str, Any] = {"issued": time_text(NOW + 3600), "expires": time_text(NOW + 7200)}
    assert refusal(box, desired(**future)).code == "not_yet_valid"
    box.synced = None
    assert box.send(desired(**future)).refused is None


def test_a_clock_that_is_not_trusted_is_not_believed_behind_what_was_seen(box: Box) -> None:
    box.send(desired())
    box.synced, box.wall = False, 0.0
    assert refusal(box, desired(revision=2, expires=time_text(NOW + 30))).code == "expired"
    assert box.send(desired(revision=2)).refused is None


def test_a_trusted_clock_overrules_a_time_that_was_only_claimed(box: Box) -> None:
    box.synced = False
    year = 365 * 86_400
    box.send(desired(issued=time_text(NOW + year), expires=time_text(NOW + 2 * year)))
    assert refusal(box, desired(revision=2)).code == "expired"
    box.synced = True
    assert box.send(desired(revision=2)).refused is None


def test_a_pipeline_is_not_taken_from_a_document_that_nobody_signed(box: Box) -> None:
    refused = refusal(box, desired({"camera": [{"id": "gate", "source": "gst:videotestsrc"}]}))
    assert (refused.code, refused.errors[0].path) == ("needs_signature", "config.camera.gate.source")


def test_an_envelope_without_a_key_here_is_refused(box: Box) -> None:
    assert refusal(box, {"payload": "e30=", "payloadType": "x", "signatures": []}).code == "no_operator_key"


@pytest.mark.parametrize("document", [desired(), {"payload": "e30=", "payloadType": "x", "signatures": []}])
def test_while_nobody_knows_who_may_sign_nothing_is_taken(box: Box, document: dict[str, Any]) -> None:
    box.keys_awaited = True
    refused = refusal(box, document)
    assert refused.code == "keys_awaited"
    assert "unsigned_documents" in refused.reason


def test_a_document_that_came_before_it_was_known_who_may_sign_is_looked_at_once_it_is(box: Box) -> None:
    box.keys_awaited = True
    refusal(box, desired({"window_seconds": 5}))
    box.remote.try_again()
    answer = box.turn().refused
    assert answer is not None
    assert answer.code == "keys_awaited", "nothing is known yet"
    box.keys_awaited = False
    box.remote.try_again()
    assert box.turn().refused is None
    assert box.remote.config.window_seconds == 5


def test_only_the_newest_of_many_waiting_documents_count(box: Box) -> None:
    for revision in range(1, 21):
        box.remote.offer(as_bytes(desired({"window_seconds": revision}, revision=revision)))
    box.remote.turn()
    assert box.reports[-1].config_revision == 20
    assert len(box.applier.plans) == 8
