"""A report goes out as JSON and comes back as what it was."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from converters.report.rows import Report, Row
from tests.unit.converters.report.samples import measured, report, row


def test_a_report_comes_back_as_what_it_was() -> None:
    whole = report(
        measured("int8", "bf16", 8.0, 0.002, rank=1, chosen=True, kept_out=("a", "b"), method="minmax", max_error=0.1),
        row(status="failed", execution=None, artifact=None, evidence=None, bytes=None, reason="no"),
        warnings=("careful",),
    )
    assert Report.model_validate_json(whole.model_dump_json()) == whole
    assert whole.chosen == whole.rows[0]


def test_a_report_without_a_choice_says_so() -> None:
    assert report(row()).chosen is None


@pytest.mark.parametrize(
    ("form", "name", "exact"),
    [
        (row(), "x86-openvino fp32 in f32", True),
        (row(execution="bf16"), "x86-openvino fp32 in bf16", False),
        (row(precision="int8", execution=None), "x86-openvino int8", False),
    ],
)
def test_a_row_has_a_name_and_knows_whether_it_is_fp32(form: Row, name: str, exact: bool) -> None:
    assert (form.name, form.is_fp32) == (name, exact)


@pytest.mark.parametrize("wrong", [{"status": "fine"}, {"bytes": -1}, {"rank": 0}, {"evidence": "believed"}])
def test_a_row_with_an_unheard_of_value_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Row.model_validate(row().model_dump() | wrong)
