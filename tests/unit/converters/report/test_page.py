"""The page: whole in itself, told in words, and safe whatever a model calls its parts."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from contracts.manifest import Source
from converters.report.page import render
from converters.report.rows import Report
from converters.speed import ranked
from tests.unit.converters.report.samples import measured, pictures, report, row

HOSTILE = """<script>alert(1)</script>"><img src=x onerror='alert(2)'>{{ 7 * 7 }}&lt;"""
VOID = {"meta", "rect", "line", "circle", "path", "br"}


class Reader(HTMLParser):
    """Tags, attributes and text of a page; fails where tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += " " + " ".join(data.split())


def everything(**changes: object) -> Report:
    rows = [
        measured("fp32", "f32", 20.0, 0.0, default_precision="bf16"),
        measured("fp32", "bf16", 10.0, 0.004, default_precision="bf16"),
        measured("int8", "bf16", 8.0, 0.002, default_precision="bf16", method="mixed", kept_out=("head", "stem")),
        measured("int8", "bf16", 7.0, 0.3, status="left out", method="minmax", reason="it loses 30.00%", artifact=None),
        row("arm64-tflite", "int8", evidence="emulated", evidence_device="an emulator"),
        row("qnn-htp", "int8", None, status="failed", artifact=None, evidence=None, reason="a node is not supported"),
        row("tda4vm", "int8", None, status="not run", artifact=None, evidence=None, reason="needs arch aarch64"),
    ]
    return report(*ranked(rows), warnings=("a warning",), **changes)


def test_the_page_says_what_was_chosen_why_and_at_what_loss() -> None:
    text = Reader(render(everything())).text
    assert "x86-openvino int8 in bf16 is the one for this host" in text
    assert "the fastest of 3 within the budget" in text
    assert "2.50\N{MULTIPLICATION SIGN} the speed of FP32" in text
    assert "It loses 0.20 % of the mean count on 120 pictures, against labels" in text


@pytest.mark.parametrize(
    "told",
    [
        "arm64-tflite int8",
        "emulated",
        "an emulator",
        "a node is not supported",
        "needs arch aarch64",
        "1.25\N{MULTIPLICATION SIGN} of bf16",
        "+0.20 (+0.00 to +0.40)",
        "Tried before: minmax: it loses 30.00%",
        "head",
        "a warning",
        "n 2000",
        "1.50 MB",
        "the loss was measured against labels",
    ],
)
def test_the_page_holds_every_row_and_its_reason(told: str) -> None:
    assert told in Reader(render(everything())).text.replace("  ", " ")


def test_a_report_with_nothing_in_it_is_a_page_too() -> None:
    text = Reader(render(report(calibration=None, evaluation=None))).text
    assert "No artifact was chosen for this host" in text
    assert "svg" not in Reader(render(report())).tags


def test_the_page_needs_nothing_else_and_runs_nothing() -> None:
    page = render(everything())
    reader = Reader(page)
    assert not {"script", "link", "img", "iframe", "object", "base"} & set(reader.tags)
    assert not {"src", "href", "srcset"} & {name for name, _ in reader.attributes}
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert "@import" not in page
    assert not re.search(r"url\(|https?:|//\w", page)
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in reader.attributes


def test_no_name_from_outside_becomes_markup_or_template() -> None:
    hostile = everything(created=HOSTILE, converter=HOSTILE, device=HOSTILE)
    spec = hostile.model.model_copy(update={"labels": (HOSTILE,), "name": HOSTILE, "version": HOSTILE})
    rows = [
        each.model_copy(
            update={
                "target": HOSTILE,
                "reason": HOSTILE,
                "evidence_device": HOSTILE,
                "method": HOSTILE,
                "kept_out": (HOSTILE,),
                "artifact": HOSTILE,
                "precision": HOSTILE if each.precision != "fp32" else "fp32",
                "execution_precision": HOSTILE if each.precision != "fp32" else "f32",
            }
        )
        for each in hostile.rows
    ]
    whole = hostile.model_copy(
        update={
            "model": spec,
            "rows": tuple(rows),
            "warnings": (HOSTILE,),
            "source": Source(file=HOSTILE, sha256="0" * 64),
            "calibration": pictures(origin=HOSTILE, clips=(HOSTILE,)),
            "evaluation": pictures("c" * 64, origin=HOSTILE, clips=(HOSTILE,)),
        }
    )
    page = render(whole)
    reader = Reader(page)
    assert not {"script", "img"} & set(reader.tags)
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert HOSTILE in reader.text
    assert "{{ 7 * 7 }}" in page


def test_the_plot_is_described_for_who_does_not_see_it() -> None:
    page = render(everything())
    assert 'role="img" aria-labelledby="plot-title plot-desc"' in page
    assert "x86-openvino int8 in bf16: 8.00 ms, loses 0.20 %, kept" in page
