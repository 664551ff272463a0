"""Every line of the checklist is ticked by a fact, and not ticked without it."""

from __future__ import annotations

import pytest

from contracts.measurement import Environment
from converters.report.checklist import checklist
from converters.report.rows import Report
from tests.unit.converters.report.samples import accuracy, benchmark, measured, pictures, report, row


def lines(made: Report) -> dict[str, bool]:
    return {check.text: check.done for check in checklist(made)}


def good() -> Report:
    return report(measured("int8", "f32", 8.0, 0.001, method="minmax"))


def test_a_report_in_which_all_is_well_is_ticked_throughout() -> None:
    assert lines(good()) == {
        "evaluation pictures (120) disjoint from calibration (80), by clip": True,
        "the loss was measured against labels": True,
        "every artifact kept whose loss was measured is estimated within the budget": True,
        "the 95 % interval of every loss lies within the budget": True,
        "every artifact was run on a box of its own kind": True,
        "p99 from at least 1000 runs": True,
        "the clock's governor was performance": True,
    }


def environment(governor: str) -> Environment:
    return benchmark().environment.model_copy(update={"governor": governor})


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (report(row(), evaluation=None), "no evaluation pictures were given"),
        (
            report(row(method="minmax"), calibration=pictures("c" * 64, clips=("c", "d"))),
            "others than those of the calibration; clips in both: c",
        ),
        (
            report(row(method="minmax"), calibration=pictures("c" * 64), evaluation=pictures("c" * 64)),
            "they are the same pictures",
        ),
        (report(measured("int8", "f32", 8.0, 0.0, accuracy=accuracy(truth="reference"))), "FP32 counts stood in"),
        (report(row()), "loss not measured here: x86-openvino fp32"),
        (report(measured("int8", "f32", 8.0, 0.5)), "kept although over the budget: x86-openvino int8"),
        (
            report(measured("int8", "f32", 8.0, 0.0, accuracy=accuracy(verdict="undecided", needed=400))),
            "too few pictures to be sure of 1 of 1: 120 were given; about 400 would decide",
        ),
        (
            report(measured("int8", "f32", 8.0, 0.0, accuracy=accuracy(verdict="undecided", needed=41089))),
            "to be sure of 1 of 1: 120 were given; 1 at the budget's edge, which more will hardly decide",
        ),
        (report(row("arm64-tflite", evidence="emulated")), "so far only emulated: arm64-tflite fp32"),
        (report(row("orin", evidence="built")), "so far only built: orin fp32"),
        (report(row()), "no speed was measured"),
        (report(row(benchmark=benchmark(n=30, quick=True))), "they were measured quickly"),
        (report(row(benchmark=benchmark(n=999))), "p99 from at least 1000 runs: the fewest were 999"),
        (report(row(benchmark=benchmark(environment=environment("powersave")))), "governor powersave"),
        (report(row(), row("qnn", status="failed")), "failed: qnn fp32; the table says why"),
    ],
)
def test_what_is_missing_is_named_and_not_ticked(made: Report, line: str) -> None:
    (found,) = [text for text in lines(made) if line in text]
    assert not lines(made)[found]


def test_nothing_is_said_of_calibration_where_nothing_was_quantised() -> None:
    assert not [text for text in lines(report(row(), calibration=None)) if "calibration" in text]


def test_a_row_that_was_left_out_spoils_nothing() -> None:
    bad = measured("int8", "f32", 8.0, 0.5, status="left out", evidence="built")
    assert lines(report(*good().rows, bad)) == lines(good())
