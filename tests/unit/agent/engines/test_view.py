"""What a person is shown of the engines of a box."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.engines.attempts import Attempts
from agent.engines.key import EngineKey
from agent.engines.store import ENGINE_NAME, EngineStore
from agent.engines.supply import EngineSupply
from agent.engines.view import engines_document, engines_lines
from contracts.engine_recipe import RECIPE_NAME
from contracts.facts import FactValue

FACTS: dict[str, FactValue] = {"memory_mb": 8000}
KEY = EngineKey("10.3.0.30", "87", "a" * 64, "b" * 64)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store = EngineStore(tmp_path)
    with store.building("cars", KEY) as folder:
        assert folder is not None
        (folder / ENGINE_NAME).write_bytes(b"e" * 2_000_000)
        (folder / RECIPE_NAME).write_text("{}")
        store.put("cars", KEY, folder, 75.0)
    (tmp_path / "cars/damaged").mkdir()
    (tmp_path / "cars/damaged/record.json").write_text("{")
    return tmp_path


def test_an_engine_is_a_line_and_one_that_cannot_be_read_is_left_out(root: Path) -> None:
    (line,) = engines_lines(EngineSupply(root, FACTS))
    assert line == "built   cars  artifact aaaaaaaaaaaa  TensorRT 10.3.0.30  sm 87  2.0 MB  in 75 s"


def test_a_failure_says_why_and_when_it_is_tried_again_until_it_is_forgotten(root: Path) -> None:
    attempts = Attempts(root / "attempts", FACTS)
    attempts.begin("cars-key")
    attempts.failed("cars-key", "no memory")
    supply = EngineSupply(root, FACTS)
    assert engines_lines(supply)[1] == "failed  cars-key  1 times, next try in 60 min: no memory"
    for _ in range(3):
        attempts.begin("cars-key")
        attempts.failed("cars-key", "no memory")
    supply = EngineSupply(root, FACTS)
    assert "not tried again until the box changes" in engines_lines(supply)[1]
    assert json.loads(json.dumps(engines_document(supply)))["failed"] == [
        {"engine": "cars-key", "problem": "no memory", "tries": 4, "seconds": None}
    ]
    supply.forget_failures()
    assert len(engines_lines(EngineSupply(root, FACTS))) == 1


def test_a_box_without_any_says_so_and_nothing_is_made(tmp_path: Path) -> None:
    assert engines_lines(EngineSupply(tmp_path / "engines", FACTS)) == ["no engine was built here"]
    assert list(tmp_path.iterdir()) == []
