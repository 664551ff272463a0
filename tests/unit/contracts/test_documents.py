"""What people write is refused with the path, what was expected and what came; what machines send is tolerated."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.config import AgentConfig, parse_address
from contracts.documents import read_document, without_credentials
from contracts.errors import DocumentError, WrittenError
from contracts.messages import Status
from contracts.model_spec import ModelSpec


def agent(**changes: Any) -> dict[str, Any]:
    return {
        "device": "box-1",
        "bundle": "b",
        "broker": {"host": "h"},
        "camera": [{"id": "gate", "source": "synthetic"}],
    } | changes


def model(**changes: Any) -> dict[str, Any]:
    return {
        "name": "m",
        "version": "1.0.0",
        "labels": ["vehicle"],
        "input": {"width": 64, "height": 64},
        "output": {"decoder": "density"},
    } | changes


def problems(kind: type[AgentConfig | ModelSpec], document: dict[str, Any]) -> str:
    with pytest.raises(DocumentError) as caught:
        read_document(kind, document, "file.toml")
    assert str(caught.value).startswith("file.toml: ")
    return str(caught.value)


def test_a_good_document_is_read() -> None:
    assert read_document(AgentConfig, agent(), "f").device == "box-1"
    assert read_document(ModelSpec, model(), "f").output.decoder == "density"


def test_an_unknown_key_names_its_path_and_the_nearest_key() -> None:
    text = problems(AgentConfig, agent(camera=[{"id": "gate", "source": "synthetic", "fpss": 3}]))
    assert "unknown key 'camera[0].fpss'; did you mean 'fps'?" in text


def test_an_unknown_key_far_from_all_lists_the_known_ones() -> None:
    assert "known here: ca, certificate, key" in problems(AgentConfig, agent(broker={"host": "h", "tls": {"zzz": 1}}))


def test_an_unknown_key_inside_a_chosen_kind_of_output_is_compared_with_that_kind() -> None:
    text = problems(ModelSpec, model(output={"decoder": "yolox", "scoer": 0.3}))
    assert "did you mean 'score'?" in text


def test_a_missing_key_is_named() -> None:
    document = model()
    del document["input"]["width"]
    assert "missing key 'input.width'" in problems(ModelSpec, document)


def test_a_missing_decoder_is_named() -> None:
    assert "missing key 'output.decoder'" in problems(ModelSpec, model(output={}))


def test_an_unknown_decoder_lists_the_known_ones_and_the_nearest() -> None:
    text = problems(ModelSpec, model(output={"decoder": "yolx"}))
    assert "unknown decoder 'yolx'" in text
    assert "density, yolo, yolox, nanodet, ssd" in text
    assert "did you mean 'yolox'?" in text


def test_a_wrong_value_says_what_was_expected_and_what_came() -> None:
    text = problems(AgentConfig, agent(window_seconds="soon"))
    assert "'window_seconds' should be a valid number" in text
    assert "got 'soon'" in text


def test_a_wrong_item_does_not_also_make_its_list_too_short() -> None:
    assert "at least 1 item" not in problems(AgentConfig, agent(camera=[{"id": "gate", "source": ""}]))


@pytest.mark.parametrize("device", ["", "Box", "a/b", "a+b", "a#", "x" * 65, "ä"])
def test_an_id_outside_the_topic_characters_is_refused_with_the_rule(device: str) -> None:
    assert "should be 1 to 64 of a-z, 0-9, _ and -" in problems(AgentConfig, agent(device=device))


def test_a_secret_that_is_wrong_is_not_repeated() -> None:
    text = problems(AgentConfig, agent(broker={"host": "h", "password": ["hunter2"]}))
    assert "hunter2" not in text
    assert "broker.password" in text


def test_a_secret_inside_a_table_that_is_wrong_as_a_whole_is_not_repeated() -> None:
    text = problems(AgentConfig, agent(broker=[{"host": "h", "password": "hunter2"}]))
    assert "hunter2" not in text
    assert "got a list of 1" in text


@pytest.mark.parametrize("text", ["", ":1883", "h:", "h:0", "h:99999", "h:²", "h:x"])
def test_an_address_that_is_none_is_refused_with_its_form(text: str) -> None:
    with pytest.raises(WrittenError, match="--broker should be HOST or HOST:PORT"):
        parse_address("--broker", text)


def test_an_address_without_a_port_leaves_it_open() -> None:
    assert parse_address("--broker", "h") == ("h", None)
    assert parse_address("--broker", "h:1884") == ("h", 1884)


def test_a_path_with_a_nul_is_refused() -> None:
    assert "'state_dir'" in problems(AgentConfig, agent(state_dir="a\0b"))


def test_credentials_in_a_wrong_source_are_not_repeated() -> None:
    document = agent(camera=[{"id": "gate", "source": {"url": "rtsp://user:hunter2@h/x"}}])
    assert "hunter2" not in problems(AgentConfig, document)


def test_credentials_are_taken_out_of_any_text() -> None:
    assert without_credentials("open rtsp://u:p@h:1/x failed") == "open rtsp://h:1/x failed"
    assert without_credentials("open rtsp://u:p@ss@h:1/x failed") == "open rtsp://h:1/x failed"
    assert without_credentials("nothing here") == "nothing here"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("open http://h/x?user=admin&pwd=s3cret failed", "open http://h/x?… failed"),
        ("open http://h/x#s3cret failed", "open http://h/x#… failed"),
        ("open http://u:s3/cret@h/x failed", "open http://… failed"),
        ("GET /video?token=s3cret&x=1", "GET /video?token=…&x=1"),
        ("/user=admin_password=s3cret_channel=1", "/user=admin_password=…"),
        ("rtspsrc user-pw=s3cret", "rtspsrc user-pw=…"),
        ("{'password': 's3cret', 'host': 'h'}", "{'password': '…', 'host': 'h'}"),
        ('{"api_key":"s3cret"}', '{"api_key":"…"}'),
        ("Authorization: Basic czNjcmV0", "Authorization: Basic …"),
        ("authorization=Digest s3cret, x", "authorization=Digest …"),
        ("the password is wrong; compass=3, bypass=true", "the password is wrong; compass=3, bypass=true"),
        ("see https://example.com/docs/cameras.html.", "see https://example.com/docs/cameras.html."),
    ],
)
def test_secrets_are_taken_out_of_any_text_and_nothing_else(text: str, said: str) -> None:
    assert without_credentials(text) == said


def test_a_long_text_is_searched_for_secrets_in_time_that_grows_with_its_length() -> None:
    for piece in ("a", "://", "@", "password=", "a:", "?"):
        without_credentials(piece * 100_000)


@pytest.mark.parametrize("password", ["s3cret word", "s3cret'word", 's3cret"word', "s3cret<word"])
def test_a_wrong_source_is_not_repeated_whatever_its_password_holds(password: str) -> None:
    source = f"rtsp://user:{password}@h/x\0"
    said = problems(AgentConfig, agent(camera=[{"id": "gate", "source": source}]))
    assert "camera[0].source" in said
    assert not any(part in said for part in ("s3cret", "word", "user"))


@pytest.mark.parametrize(
    ("source", "option"),
    [
        ("rtsp://h/x", {"size": [640, 480]}),
        ("gst:videotestsrc", {"capture_fps": 30}),
        ("csi:0", {"input_format": "mjpeg"}),
        ("clip.mp4", {"input_format": "mjpeg"}),
    ],
)
def test_an_option_that_a_source_does_not_take_is_refused(source: str, option: dict[str, object]) -> None:
    said = problems(AgentConfig, agent(camera=[{"id": "gate", "source": source, **option}]))
    assert f"{next(iter(option))!r} is for sources that begin with" in said


def test_what_a_machine_sends_may_hold_unknown_keys() -> None:
    status = read_document(Status, {"status": "online", "boot_id": "b", "reason": "", "newer": 1}, "topic")
    assert status.status == "online"


@pytest.mark.parametrize(
    ("polygon", "complaint"),
    [
        ([[0, 0], [1, 1], [1, 0], [0, 1]], "should not cross itself"),
        ([[0, 0], [0.5, 0.5], [1, 1]], "should enclose an area"),
        ([[0, 0], [1, 0], [1, 1.2]], "less than or equal to 1, got 1.2"),
        ([[0, 0], [1, 0]], "at least 3 items"),
    ],
)
def test_a_polygon_that_is_no_area_inside_the_picture_is_refused(polygon: list[list[float]], complaint: str) -> None:
    zone = {"name": "z", "polygon": polygon}
    assert complaint in problems(AgentConfig, agent(camera=[{"id": "c", "source": "s", "zone": [zone]}]))


def test_two_cameras_of_one_name_are_refused() -> None:
    camera = {"id": "gate", "source": "synthetic"}
    assert "'gate' stands more than once" in problems(AgentConfig, agent(camera=[camera, camera]))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"labels": ["a", "a"]}, "'a' stands more than once"),
        ({"input": {"width": 8, "height": 8, "mean": [1, 2]}}, "'mean' should have 1 value or 3"),
        ({"input": {"width": 8, "height": 8, "std": [0]}}, "'std' should be above 0"),
        ({"input": {"width": 8, "height": 8, "color": "gray", "mean": [1, 2, 3]}}, "1 value or 1"),
        ({"output": {"decoder": "yolox", "nms": {"groups": [["bus"]]}}}, "names 'bus', which 'labels' lacks"),
        ({"version": "one"}, "'version'"),
    ],
)
def test_a_spec_whose_parts_disagree_is_refused(change: dict[str, Any], complaint: str) -> None:
    assert complaint in problems(ModelSpec, model(**change))
