"""Speeds against FP32 and against what the runtime takes by itself; ranking."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.facts import FactValue
from converters.report.rows import Row
from converters.speed import default_precision, ranked, speed_of
from tests.unit.converters.report.samples import benchmark, measured, row


def rows() -> list[Row]:
    return [
        measured("fp32", "f32", 20.0, 0.0, default_precision="bf16"),
        measured("fp32", "bf16", 10.0, 0.001, default_precision="bf16"),
        measured("int8", "bf16", 8.0, 0.002, default_precision="bf16"),
    ]


def test_int8_is_compared_with_fp32_and_with_the_default_side_by_side() -> None:
    speed = speed_of(rows()[2], rows())
    assert (speed.against_fp32, speed.against_default) == (pytest.approx(2.5), pytest.approx(1.25))


@pytest.mark.parametrize("changes", [{"lanes": 1}, {"threads": 2}])
def test_other_lanes_or_threads_are_not_compared(changes: dict[str, int]) -> None:
    alone = measured("int8", "f32", 8.0, 0.0, benchmark=benchmark(8.0, **changes))
    assert speed_of(alone, [*rows(), alone]).against_fp32 is None


def test_another_target_is_not_compared() -> None:
    other = measured("int8", "f32", 8.0, 0.0, target="x86-onnxruntime")
    assert speed_of(other, [*rows(), other]).against_fp32 is None


def test_what_was_not_measured_has_no_speed() -> None:
    assert speed_of(row(precision="int8"), rows()).against_fp32 is None


def test_the_fastest_that_is_kept_and_within_the_budget_is_chosen() -> None:
    tried = [
        *rows(),
        measured("int8", "f32", 1.0, 0.5),  # fails the gate
        measured("int8", "f32", 2.0, 0.0, status="left out"),
        row(precision="fp16"),  # not measured
    ]
    came = ranked(tried)
    assert [each.rank for each in came] == [3, 2, 1, None, None, None]
    assert [each.chosen for each in came] == [False, False, True, False, False, False]


Tried = tuple[str, str, float, float, str]
TRIED = st.tuples(
    st.sampled_from(["int8", "fp16", "fp32"]),
    st.sampled_from(["f32", "bf16"]),
    st.floats(0.1, 100),  # ms
    st.sampled_from([0.0, 0.002, 0.5]),  # lost
    st.sampled_from(["kept", "left out", "failed"]),
)


@given(tried=st.lists(TRIED, max_size=8), exact_ms=st.floats(0.1, 100))
def test_the_chosen_one_is_never_slower_than_fp32(
    tried: list[tuple[str, str, float, float, str]], exact_ms: float
) -> None:
    exact = measured("fp32", "f32", exact_ms, 0.0)
    came = ranked([*(measured(form, run, ms, lost, status=status) for form, run, ms, lost, status in tried), exact])
    (chosen,) = (each for each in came if each.chosen)
    assert chosen.benchmark is not None
    assert exact.benchmark is not None
    assert chosen.benchmark.fps >= exact.benchmark.fps
    assert chosen.status == "kept"
    assert chosen.accuracy is not None
    assert chosen.accuracy.verdict == "passed"


def test_ranking_again_forgets_the_first_ranking() -> None:
    came = ranked(ranked(rows())[:2])
    assert [(each.rank, each.chosen) for each in came] == [(2, False), (1, True)]


@pytest.mark.parametrize(
    ("backend", "options", "isa", "expected"),
    [
        ("onnxruntime", {}, ("amx_bf16",), "f32"),
        ("openvino", {}, ("avx2", "avx512_bf16"), "bf16"),
        ("openvino", {}, ("avx2",), "f32"),
        ("openvino", {}, ("asimd", "asimdhp"), "f16"),
        ("openvino", {"device": "GPU"}, ("avx2",), "f16"),
        ("openvino", {}, (), "f32"),
    ],
)
def test_the_default_follows_from_the_processor(
    backend: str, options: dict[str, str], isa: tuple[str, ...], expected: str
) -> None:
    facts: dict[str, FactValue] = {"cpu.isa": isa}
    assert default_precision(backend, options, facts) == expected
