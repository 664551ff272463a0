"""Which version made an engine stands in its first bytes; anything else is refused with a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import ModelFileError
from runtime.plan_header import HEADER_SIZE, PlanHeader, read_plan_header

VERSION = st.tuples(*(st.integers(0, 255) for _ in range(4)))


def header(magic: bytes, version: tuple[int, ...], rest: bytes = b"") -> bytes:
    return magic + bytes(20) + bytes(version) + rest


@given(st.sampled_from([(b"ftrt", "runtime.tensorrt"), (b"vtrt", "runtime.tensorrt_rtx")]), VERSION, st.binary())
def test_kind_and_version_are_read(kind: tuple[bytes, str], version: tuple[int, ...], rest: bytes) -> None:
    found = read_plan_header(header(kind[0], version, rest), "model.engine")
    assert (found.fact, found.version) == (kind[1], ".".join(map(str, version)))


def test_an_engine_of_tensorrt_for_rtx() -> None:
    content = b"vtrt" + bytes(range(20)) + b"\x01\x07\x01\x74" + b"more"
    assert read_plan_header(content, "x") == PlanHeader("runtime.tensorrt_rtx", "1.7.1.116")


@given(st.binary(max_size=HEADER_SIZE - 1))
def test_a_torn_file_is_refused(content: bytes) -> None:
    with pytest.raises(
        ModelFileError, match=rf"model.engine: expected a TensorRT engine of at least {HEADER_SIZE} bytes"
    ):
        read_plan_header(content, "model.engine")


@given(st.binary(min_size=4, max_size=4).filter(lambda magic: magic not in {b"ftrt", b"vtrt"}), VERSION)
def test_another_file_is_refused(magic: bytes, version: tuple[int, ...]) -> None:
    with pytest.raises(ModelFileError, match="expected a TensorRT engine \\(beginning with 'ftrt' or 'vtrt'\\)"):
        read_plan_header(header(magic, version), "model.engine")
