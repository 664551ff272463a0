"""Secrets come as files of the service manager's, lie over agent.toml, and stand in no error."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.credentials import read_credentials, with_credentials
from agent.remote.local import explain
from agent.settings import load_config
from contracts.errors import DocumentError

FILE = """
device = "box-1"
bundle = "b"
state_dir = "{state}"
[broker]
host = "broker.example"
[broker.tls]
ca = "ca.pem"
[[camera]]
id = "gate"
[[camera]]
id = "yard"
source = "synthetic"
"""


@pytest.fixture
def handed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "credentials"
    folder.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    return folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "agent.toml"
    file.write_text(FILE.format(state=tmp_path / "state"))
    return file


def test_a_credential_is_the_key_that_it_is_called_by(handed: Path, path: Path) -> None:
    (handed / "edgetally.broker.username").write_text("box-1\n")
    (handed / "edgetally.broker.password").write_text("hunter2\n")
    (handed / "edgetally.camera.gate.source").write_text("rtsp://me:hunter3@192.0.2.7/stream")
    config = load_config(path)
    assert (config.broker.username, config.broker.secrets) == ("box-1", ("hunter2",))
    assert [camera.source for camera in config.camera] == ["rtsp://me:hunter3@192.0.2.7/stream", "synthetic"]


def test_where_a_file_is_wanted_the_credential_is_that_file(handed: Path, path: Path) -> None:
    (handed / "edgetally.camera.gate.source").write_text("synthetic")
    for name in ("key", "certificate"):
        (handed / f"edgetally.broker.tls.{name}").write_bytes(b"\xff any bytes \x00")
    tls = load_config(path).broker.tls
    assert tls is not None
    assert (tls.ca, tls.key) == ("ca.pem", str(handed / "edgetally.broker.tls.key"))


def test_the_environment_goes_before_a_credential(handed: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (handed / "edgetally.camera.gate.source").write_text("synthetic")
    (handed / "edgetally.broker.password").write_text("from-credential")
    monkeypatch.setenv("EDGETALLY_BROKER__PASSWORD", "from-env")
    assert load_config(path).broker.secrets == ("from-env",)


def test_config_explain_says_that_a_value_is_a_credential(handed: Path, path: Path) -> None:
    (handed / "edgetally.camera.gate.source").write_text("rtsp://me:hunter3@192.0.2.7/stream")
    (handed / "edgetally.broker.password").write_text("hunter2")
    layers = {".".join(value.path): value.layer for value in explain(path).values}
    assert layers["broker.password"] == layers["camera.gate.source"] == "credential"
    assert layers["camera.yard.source"] == layers["broker.host"] == "file"


def test_a_credential_alone_opens_no_page(handed: Path, path: Path) -> None:
    (handed / "edgetally.camera.gate.source").write_text("synthetic")
    (handed / "edgetally.page.password").write_text("hunter2hunter2")
    assert load_config(path).page is None


def test_what_nothing_is_called_like_is_said_with_the_nearest_name_and_passed_over(
    handed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (handed / "edgetally.broker.pasword").write_text("hunter2")
    (handed / "another-service.key").write_text("hunter3")
    with caplog.at_level(logging.WARNING):
        assert read_credentials().keys == {}
    assert "edgetally.broker.pasword; did you mean 'broker.password'?" in caplog.text
    assert "another-service" not in caplog.text
    assert "hunter" not in caplog.text


def test_a_credential_of_no_camera_is_said(handed: Path, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (handed / "edgetally.camera.gate.source").write_text("synthetic")
    (handed / "edgetally.camera.gaet.source").write_text("rtsp://me:hunter2@192.0.2.7/")
    with caplog.at_level(logging.WARNING):
        load_config(path)
    assert "'gaet'" in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("wrong", [b"", b"\n", b"hunter2\nhunter3", b"hunter2\x00", b"hunter2\xff", b"h" * 70_000])
def test_what_is_no_line_of_text_is_refused_without_repeating_it(wrong: bytes, handed: Path, path: Path) -> None:
    (handed / "edgetally.broker.password").write_bytes(wrong)
    with pytest.raises(DocumentError, match=r"^credential edgetally\.broker\.password: ") as caught:
        load_config(path)
    assert "hunter" not in str(caught.value)


def test_by_hand_those_of_the_service_are_read_where_one_may(tmp_path: Path) -> None:
    for name in ("run", "etc"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "edgetally.broker.password").write_text(name)
    folders = (str(tmp_path / "nothing"), str(tmp_path / "run"), str(tmp_path / "etc"))
    assert read_credentials({}, folders).keys == {("broker", "password"): "run"}
    assert read_credentials({"CREDENTIALS_DIRECTORY": str(tmp_path / "etc")}, folders).keys == {
        ("broker", "password"): "etc"
    }


Key = st.sampled_from(["id", "source", "camera", "broker", "tls", "password"])
Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(Key, inner, max_size=3),
)


@settings(deadline=None)
@given(document=st.dictionaries(st.sampled_from(["camera", "broker", "page", "device"]), Json, max_size=4))
def test_a_file_of_any_form_is_left_to_who_validates_it(
    document: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("c")
    (folder / "edgetally.broker.password").write_text("hunter2")
    (folder / "edgetally.camera.gate.source").write_text("synthetic")
    laid = with_credentials(document, read_credentials({"CREDENTIALS_DIRECTORY": str(folder)}))
    assert laid.keys() == document.keys()
