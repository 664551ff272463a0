"""Scenarios: who is what, and what the new model does to whom."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from contracts.errors import DocumentError
from fleet.inventory.hardware_class import hardware_class
from runtime.documents import read_toml
from tools.fleet_sim.crossings import expected, poisson
from tools.fleet_sim.run import RELEASE
from tools.fleet_sim.scenario import Scenario, population
from tools.fleet_sim.scenarios import CLASSES, HIT, scenarios

TEXT = """
name = "mine"
[[class]]
name = "a"
share = 0.25
fates = { fails = 0.2, silent = 0.1 }
[class.facts]
arch = "aarch64"
"runtime.tflite" = "2.1.0"
[[class]]
name = "b"
share = 0.75
facts = { arch = "x86_64" }
"""


def test_a_scenario_is_read_from_toml(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(TEXT)
    found = population(read_toml(Scenario, tmp_path / "mine.toml"), 400)
    fates = Counter((kind.name, fate) for _, kind, fate in found)
    assert fates == {("a", "fails"): 20, ("a", "silent"): 10, ("a", "good"): 70, ("b", "good"): 300}
    assert len({device for device, _, _ in found}) == 400


def test_shares_that_are_more_than_all_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(TEXT.replace("0.75", "0.8"))
    with pytest.raises(DocumentError, match="should be 1 together"):
        read_toml(Scenario, tmp_path / "mine.toml")
    (tmp_path / "mine.toml").write_text(TEXT.replace("fails = 0.2", "fails = 0.95"))
    with pytest.raises(DocumentError, match="at most 1 together"):
        read_toml(Scenario, tmp_path / "mine.toml")


def test_a_daily_profile_has_a_factor_for_each_hour(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("daily = [1.0, 2.0]\n" + TEXT)
    with pytest.raises(DocumentError, match="24 factors or none, got 2"):
        read_toml(Scenario, tmp_path / "mine.toml")


def test_the_hour_of_a_window_decides_how_many_cross() -> None:
    profile = [0.0] * 7 + [2.0] + [1.0] * 16
    minute, hour = 60_000, 3_600_000
    assert expected(600, profile, 3 * hour, 3 * hour + minute) == 0.0
    assert expected(600, profile, 7 * hour, 7 * hour + minute) == 20.0
    assert expected(600, profile, 31 * hour, 31 * hour + minute) == 20.0
    assert expected(600, (), 3 * hour, 3 * hour + minute) == 10.0


def test_the_same_seed_makes_the_same_fleet_and_another_one_another() -> None:
    one = scenarios()["fails-20"]
    assert population(one, 1000) == population(one, 1000)
    other = population(one.model_copy(update={"seed": 2}), 1000)
    assert [fate for *_, fate in population(one, 1000)] != [fate for *_, fate in other]


def test_the_facts_of_each_class_make_it_and_the_release_fits_them() -> None:
    for each in CLASSES:
        facts = {name: tuple(value) if isinstance(value, list) else value for name, value in each.facts.items()}
        assert hardware_class(facts) == each.name
        assert RELEASE.misfit(facts) is None


def test_only_the_class_that_is_meant_is_hit() -> None:
    for name, scenario in scenarios().items():
        hit = {kind.name for _, kind, fate in population(scenario, 500) if fate != "good"}
        assert hit == (set() if name in {"good", "offline"} else {HIT})


@pytest.mark.parametrize("mean", [0.0, 3.0, 200.0])
def test_crossings_are_as_many_as_expected_and_vary_as_poisson_says(mean: float) -> None:
    import random

    chance = random.Random(1)
    drawn = [poisson(mean, chance) for _ in range(20_000)]
    found = sum(drawn) / len(drawn)
    assert found == pytest.approx(mean, rel=0.02)
    assert sum((one - found) ** 2 for one in drawn) / len(drawn) == pytest.approx(mean, rel=0.05)
