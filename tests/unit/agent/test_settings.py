"""Settings come in layers: the file, over it the environment, over both the flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.settings import load_config
from contracts.errors import DocumentError

FILE = """
device = "box-1"
bundle = "b"
window_seconds = 5
[broker]
host = "from-file"
port = 1884
[[camera]]
id = "gate"
source = "synthetic"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "agent.toml"
    file.write_text(FILE)
    return file


def test_the_file_alone_is_enough(path: Path) -> None:
    config = load_config(path)
    assert (config.device, config.broker.host, config.window_seconds) == ("box-1", "from-file", 5)


def test_the_environment_goes_before_the_file_and_flags_before_both(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGETALLY_BROKER__HOST", "from-env")
    monkeypatch.setenv("EDGETALLY_WINDOW_SECONDS", "7")
    config = load_config(path, {"window_seconds": 9})
    assert (config.broker.host, config.broker.port, config.window_seconds) == ("from-env", 1884, 9)


def test_a_password_from_the_environment_is_not_shown(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGETALLY_BROKER__PASSWORD", "hunter2")
    config = load_config(path)
    assert config.broker.password is not None
    assert config.broker.password.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(config)


def test_a_wrong_value_of_any_layer_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGETALLY_WINDOW_SECONDS", "soon")
    with pytest.raises(DocumentError, match="'window_seconds' should be a valid number"):
        load_config(path)


def test_a_key_wrong_in_the_file_is_named_with_the_nearest(path: Path) -> None:
    path.write_text(FILE.replace("window_seconds", "windows_second"))
    with pytest.raises(DocumentError, match="unknown key 'windows_second'; did you mean 'window_seconds'"):
        load_config(path)


@pytest.mark.parametrize(("content", "said"), [(None, "there is none"), (b"a = ", "expected TOML"), (b"\xff", "UTF-8")])
def test_a_file_that_cannot_be_read_is_said(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "agent.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DocumentError, match=said):
        load_config(file)
