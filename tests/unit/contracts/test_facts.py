"""Requirements are compared with facts, and a refusal names the fact that differed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.facts import Facts, Requirement, refusals, version_key

FACTS: Facts = {"arch": "x86_64", "runtime.tensorrt": "8.5.2", "gpu.sm": 72, "cpu.isa": ("avx2", "avx512_vnni")}


@pytest.mark.parametrize(
    ("requirement", "refusal"),
    [
        ({"fact": "arch", "equals": "x86_64"}, None),
        ({"fact": "gpu.sm", "equals": 72}, None),
        ({"fact": "arch", "equals": "aarch64"}, "needs arch aarch64, this device has x86_64"),
        (
            {"fact": "runtime.tensorrt", "at_least": "10.3"},
            "needs runtime.tensorrt at least 10.3, this device has 8.5.2",
        ),
        ({"fact": "runtime.tensorrt", "at_least": "8.5"}, None),
        ({"fact": "runtime.tensorrt", "at_least": "8.5", "below": "9"}, None),
        (
            {"fact": "runtime.tensorrt", "at_least": "8", "below": "8.5.2"},
            "needs runtime.tensorrt at least 8 and below 8.5.2, this device has 8.5.2",
        ),
        ({"fact": "cpu.isa", "has": "avx2"}, None),
        ({"fact": "cpu.isa", "has": "amx_bf16"}, "needs cpu.isa amx_bf16, this device has avx2, avx512_vnni"),
        ({"fact": "cpu.isa", "has_any": ["avx_vnni", "avx512_vnni"]}, None),
        (
            {"fact": "cpu.isa", "has_any": ["avx_vnni", "amx_int8"]},
            "needs cpu.isa one of avx_vnni, amx_int8, this device has avx2, avx512_vnni",
        ),
        ({"fact": "npu.isa", "has_any": ["a"]}, "needs npu.isa one of a, this device has no npu.isa"),
        ({"fact": "arch", "has_any": ["x86_64"]}, None),
        (
            {"fact": "arch", "any_of": ["aarch64", "armv7l"]},
            "needs arch one of aarch64, armv7l, this device has x86_64",
        ),
        ({"fact": "npu.driver", "at_least": 1}, "needs npu.driver at least 1, this device has no npu.driver"),
    ],
)
def test_a_requirement_is_met_or_refused_with_both_sides(requirement: dict[str, Any], refusal: str | None) -> None:
    assert Requirement(**requirement).refusal(FACTS) == refusal


def test_every_unmet_requirement_is_told() -> None:
    unmet = refusals([Requirement(fact="arch", equals="a"), Requirement(fact="gpu.sm", equals=87)], FACTS)
    assert len(unmet) == 2


def test_a_requirement_without_a_comparison_is_refused() -> None:
    with pytest.raises(ValidationError, match="should have equals"):
        Requirement(fact="arch")


def test_versions_compare_by_number_not_by_letter() -> None:
    assert version_key("10.13.1") > version_key("10.3")
    assert version_key("10.3.0") == version_key("10.3")
    assert version_key("2026.4.1-22982-e213a1") == version_key("2026.4.1")


names = st.lists(st.sampled_from("abcdef"), max_size=6)


@given(names, names)
def test_a_list_has_any_exactly_where_it_shares_one(wanted: list[str], held: list[str]) -> None:
    requirement = Requirement(fact="cpu.isa", has_any=tuple(wanted))
    assert (requirement.refusal({"cpu.isa": tuple(held)}) is None) is bool(set(wanted) & set(held))


@given(names.filter(bool), names)
def test_a_list_that_has_each_has_any(wanted: list[str], held: list[str]) -> None:
    facts: Facts = {"cpu.isa": tuple(held)}
    each = all(Requirement(fact="cpu.isa", has=name).refusal(facts) is None for name in wanted)
    assert not each or Requirement(fact="cpu.isa", has_any=tuple(wanted)).refusal(facts) is None


@given(st.lists(st.integers(0, 999), min_size=1, max_size=4), st.lists(st.integers(0, 999), min_size=1, max_size=4))
def test_the_order_of_versions_is_that_of_their_numbers(left: list[int], right: list[int]) -> None:
    padded = [numbers + [0] * (4 - len(numbers)) for numbers in (left, right)]
    keys = [version_key(".".join(map(str, numbers))) for numbers in (left, right)]
    assert (keys[0] < keys[1]) == (padded[0] < padded[1])
