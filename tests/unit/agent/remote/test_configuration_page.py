"""docs/configuration.md: its examples are taken as they stand, and its table is that of the contracts."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import get_args

import pytest

from agent.remote.layers import Layer, effective
from agent.remote.parse import parse_json, read_desired
from contracts.config import AgentConfig
from contracts.desired import Desired, OperatorKeys, RefusalCode, RunningState
from contracts.documents import read_document
from tests.unit.agent.remote.boxes import Box
from tools.key_table import with_key_table

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGE = (Path(__file__).parents[4] / "docs/configuration.md").read_text()


def example(kind: str) -> str:
    """The one code block of a kind."""
    found = re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
    assert len(found) == 1
    return str(found[0])


@pytest.fixture
def local() -> AgentConfig:
    return read_document(AgentConfig, tomllib.loads(example("toml")), "docs/configuration.md")


def test_the_document_fits_the_file_beside_it_and_does_what_the_page_says(local: AgentConfig) -> None:
    box = Box(config=local)
    report = box.send(example("json").encode())
    assert (report.state, report.refused) == ("ok", None)
    cameras = {camera.id: camera for camera in box.remote.config.camera}
    assert set(cameras) == {"gate", "yard"}
    assert [line.name for line in cameras["gate"].line] == ["stop-line", "exit"]
    assert (box.remote.config.window_seconds, box.remote.config.labels) == (60, {"site": "north"})


def test_the_digest_is_what_the_page_says() -> None:
    import hashlib

    document = parse_json(b'{"broker":{"port":1,"password":"x"}}')
    text = json.dumps(document, sort_keys=True, separators=(",", ":")).replace('"x"', '"**********"')
    desired = read_desired(json.loads(example("json")) | {"config": document}, "box-1")
    assert desired.config.digest == hashlib.sha256(text.encode()).hexdigest()


def test_the_keys_file_is_one() -> None:
    assert read_document(OperatorKeys, {"keys": json.loads(example("json operator-keys"))}, "page").keys["operator-1"]


def test_every_code_and_state_is_on_the_page() -> None:
    for word in (*get_args(RefusalCode), *get_args(RunningState)):
        assert f"`{word}`" in PAGE


def test_the_limits_on_the_page_are_those_of_the_contract(local: AgentConfig) -> None:
    schema = json.dumps(Desired.model_json_schema())
    assert '"maxItems": 64' in schema
    assert '"maxItems": 128' in schema
    assert effective(local, [Layer("remote", {})]) == local


def test_the_table_of_keys_is_that_of_the_contracts() -> None:
    assert with_key_table(PAGE) == PAGE, "docs/configuration.md is old; run make schema"
