"""Whether unsigned documents may be taken by a box: never before signed metadata said who signs, where there is any."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.disk import Disk
from agent.remote.signing import KEYS_NAME
from agent.update.trust.operators import NONE_NAME, note_no_operators
from agent.updating import awaits_operator_keys, operator_keys_file
from contracts.config import AgentConfig


def config(folder: Path, **update: object) -> AgentConfig:
    document = {
        "device": "box-1",
        "bundle": "b",
        "state_dir": str(folder),
        "broker": {"host": "127.0.0.1"},
        "camera": [{"id": "gate", "source": "synthetic"}],
        "update": update,
    }
    return AgentConfig.model_validate(document)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Of a box with a root."""
    (tmp_path / "root.json").write_text("{}")
    return tmp_path


def test_a_box_without_a_root_awaits_no_keys(tmp_path: Path) -> None:
    assert not awaits_operator_keys(config(tmp_path))


def test_a_box_with_a_root_awaits_them_until_metadata_was_read(state: Path) -> None:
    assert awaits_operator_keys(config(state))
    (state / KEYS_NAME).write_text("{}")
    assert not awaits_operator_keys(config(state))


def test_a_root_that_the_configuration_names_counts_too(tmp_path: Path) -> None:
    root = tmp_path / "elsewhere.json"
    root.write_text("{}")
    assert awaits_operator_keys(config(tmp_path, root=str(root)))


def test_metadata_that_names_no_operators_ends_it_and_that_is_news_once(state: Path) -> None:
    assert note_no_operators(Disk(state))
    assert not note_no_operators(Disk(state))
    assert not awaits_operator_keys(config(state))


def test_keys_that_were_named_once_are_not_forgotten(state: Path) -> None:
    (state / KEYS_NAME).write_text("{}")
    assert not note_no_operators(Disk(state))
    assert not (state / NONE_NAME).exists()


def test_agent_toml_may_ask_for_unsigned_documents(state: Path) -> None:
    assert not awaits_operator_keys(config(state, unsigned_documents=True))


def test_keys_beside_agent_toml_hold_until_metadata_names_others(state: Path, tmp_path: Path) -> None:
    beside = tmp_path / "beside.json"
    beside.write_text('{"a": 1}')
    assert operator_keys_file(config(state), beside) == state / KEYS_NAME
    assert (state / KEYS_NAME).read_text() == '{"a": 1}'
    assert not awaits_operator_keys(config(state))
