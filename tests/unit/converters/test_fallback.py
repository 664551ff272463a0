"""An artifact that did not run as it was made to is refused with the numbers; one that cannot be looked into is not."""

from __future__ import annotations

import pytest

from contracts.errors import ArtifactError
from converters.fallback import check_executed


@pytest.mark.parametrize(
    ("precision", "executed"),
    [
        ("fp32", {"f32": 12}),
        ("fp16", {"f16": 12, "f32": 3}),
        ("int8", {"int8": 10, "f32": 2}),
        ("int8-a16", {"int16": 10}),
        ("int8", {"int8": 1, "bf16": 11}),
        ("int8", None),
        ("fp32", {}),
    ],
)
def test_what_ran_as_it_was_made_to_passes(precision: str, executed: dict[str, int] | None) -> None:
    check_executed("x86/one", precision, executed)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_layers_that_ran_elsewhere_are_counted(precision: str) -> None:
    with pytest.raises(ArtifactError, match=r"x86/one: 3 of 12 layers .* another provider .*--allow-fallback"):
        check_executed("x86/one", precision, {"int8": 9, "elsewhere": 3})


@pytest.mark.parametrize("precision", ["int8", "int8-a16", "dynamic"])
@pytest.mark.parametrize(
    ("executed", "said"), [({"f32": 7, "bf16": 2}, r"0 of 9 .*2 in bf16, 7 in f32"), ({}, "0 of 0 .*none counted")]
)
def test_a_quantised_file_of_which_nothing_ran_quantised_is_refused(
    precision: str, executed: dict[str, int], said: str
) -> None:
    with pytest.raises(ArtifactError, match=rf"x86/one: {said}.*fell back to floating point"):
        check_executed("x86/one", precision, executed)
