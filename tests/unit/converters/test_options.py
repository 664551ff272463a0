"""Options set on the command line: checked before the long work, and honoured by the families that they are for."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import DocumentError, EdgetallyError, UnknownNameError
from converters.families.onnxruntime_int8 import weight_type
from converters.nvidia.generations import options_of
from converters.options import parse_options, with_options
from converters.table import FAMILIES, extra_of
from targets.load import all_targets, load_target
from tests.unit.converters.nvidia.jobs import nvidia_job


def test_what_is_set_reaches_the_target_and_leaves_its_other_options_alone() -> None:
    options = parse_options(["x86-tensorrt.placement=modelopt", "x86-onnxruntime.int8=u8u8"])
    targets = [load_target(name) for name in ("x86-tensorrt", "x86-onnxruntime", "x86-openvino")]
    tensorrt, onnxruntime, openvino = with_options(targets, options)
    assert tensorrt.options == {"generation": "11", "placement": "modelopt"}
    assert onnxruntime.options == {"int8": "u8u8"}
    assert openvino == load_target("x86-openvino")
    assert "placement" not in load_target("x86-tensorrt").options, "for one build only"


def test_a_value_may_hold_dots_and_equals_signs() -> None:
    assert parse_options(["ti-tda4vm-tidl.deny_types=a=b.c"]) == {"ti-tda4vm-tidl": {"deny_types": "a=b.c"}}


@pytest.mark.parametrize(
    ("text", "error", "why"),
    [
        ("x86-tensort.placement=modelopt", UnknownNameError, "unknown target .*did you mean 'x86-tensorrt'"),
        (
            "x86-tensorrt.placment=modelopt",
            UnknownNameError,
            "unknown option of x86-tensorrt 'placment'.*did you mean 'placement'",
        ),
        (
            "x86-tensorrt.placement=model-opt",
            UnknownNameError,
            "unknown value of x86-tensorrt.placement 'model-opt'.*did you mean 'modelopt'",
        ),
        ("x86-tensorrt.generation=8.6", UnknownNameError, "unknown option of x86-tensorrt 'generation'"),
        ("x86-openvino.device=GPU", DocumentError, "target 'x86-openvino' has no option to set, got 'device'"),
        *(
            (text, DocumentError, "expected TARGET.KEY=VALUE")
            for text in ("", "x86-tensorrt", "x86-tensorrt.placement", "x86-tensorrt.placement=", "x86-tensorrt.=x")
        ),
    ],
)
def test_what_cannot_be_set_is_refused_with_what_could_be(text: str, error: type[EdgetallyError], why: str) -> None:
    with pytest.raises(error, match=why):
        parse_options([text])


@given(st.text(max_size=40))
def test_any_text_is_taken_or_refused_in_a_sentence(text: str) -> None:
    with contextlib.suppress(EdgetallyError):
        assert len(parse_options([text])) == 1


def test_two_values_for_one_option_are_refused() -> None:
    assert parse_options(["x86-onnxruntime.int8=u8u8"] * 2)
    with pytest.raises(DocumentError, match=r"x86-onnxruntime\.int8 is given twice"):
        parse_options(["x86-onnxruntime.int8=u8u8", "x86-onnxruntime.int8=u8s8"])


def test_an_option_for_a_target_that_is_not_built_is_refused() -> None:
    with pytest.raises(DocumentError, match="'x86-onnxruntime' is not among the targets that are built"):
        with_options([load_target("x86-tensorrt")], parse_options(["x86-onnxruntime.int8=u8u8"]))


def test_every_value_that_may_be_set_is_one_that_its_family_takes(tmp_path: Path) -> None:
    job = nvidia_job(tmp_path, {})
    for kind in FAMILIES["onnxruntime"].settable["int8"]:
        assert weight_type(replace(job, options={"int8": kind})) is not None
    for family in ("tensorrt", "deepstream"):
        for value in FAMILIES[family].settable["placement"]:
            assert options_of({"generation": "11", "placement": value}, "x").placement == value


def test_what_a_target_says_of_its_device_cannot_be_set() -> None:
    for target in all_targets():
        assert not {"generation", "htp_arch", "soc_model", "platform", "tidl_version"} & set(
            FAMILIES[target.family].settable
        )


def test_a_package_that_is_missing_is_named_with_the_extra_that_brings_it() -> None:
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    if sys.version_info < (3, 11):
        pytest.skip("tomllib came with Python 3.11")
    import tomllib

    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    for entry in FAMILIES.values():
        for package in entry.packages:
            brought = [line.replace("-", "_") for line in extras[extra_of(package)]]
            assert any(line.startswith(package) for line in brought), package
