"""A golden sample that was made to fill the memory, or to run code, is refused before it is unpacked."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import BundleError
from contracts.manifest import TensorInfo
from runtime.golden_samples import read_expected, read_frame

OUTPUT = TensorInfo(name="density", dtype="float32", shape=(1, 1, 2, 2))
FRAME = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
ONES = np.ones((1, 1, 2, 2), np.float32)


class Trap:
    """Runs code where it is unpickled."""

    def __reduce__(self) -> Any:
        return pytest.fail, ("a golden sample ran code",)


def npy(array: Any, version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), version=version)
    return file.getvalue()


def npz(*entries: tuple[str, bytes], packed: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packed) as archive:
        for name, content in entries:
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def header_only(shape: tuple[int, ...]) -> bytes:
    """An .npy that says it is so large, and ends."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return file.getvalue()


def expected(folder: Path, content: bytes, *outputs: TensorInfo) -> Any:
    (folder / "0.npz").write_bytes(content)
    return read_expected(folder / "0.npz", outputs or (OUTPUT,))


def frame(folder: Path, content: bytes) -> Any:
    (folder / "0.npy").write_bytes(content)
    return read_frame(folder / "0.npy", (4, 4, 3))


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_numpy_writes_is_read_as_it_was(version: tuple[int, int], order: Any, tmp_path: Path) -> None:
    np.testing.assert_array_equal(frame(tmp_path, npy(np.asarray(FRAME, order=order), version)), FRAME)
    content = np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)
    read = expected(tmp_path, npz(("density", npy(np.asarray(content, order=order), version))))
    np.testing.assert_array_equal(read["density"], content)
    assert read["density"].flags.writeable  # OpenVINO refuses to share what is not


def test_fewer_results_than_the_output_has_room_for_are_for_the_comparison_to_find(tmp_path: Path) -> None:
    assert expected(tmp_path, npz(("density", npy(ONES[..., :1]))))["density"].shape == (1, 1, 2, 1)


def test_an_output_of_any_size_is_read(tmp_path: Path) -> None:
    boxes = TensorInfo(name="boxes", dtype="float32", shape=(-1, 4))
    assert expected(tmp_path, npz(("boxes", npy(np.ones((17, 4))))), boxes)["boxes"].shape == (17, 4)


BOMB = npy(np.zeros((1, 1, 4096, 4096), np.float32))  # 64 MiB that deflate to 64 kB
SHORT = header_only((1, 1, 1 << 20, 1 << 20))
OBJECTS = np.array([[[[Trap(), Trap()], [Trap(), Trap()]]]], dtype=object)


def lying(size: int) -> bytes:
    """An .npz whose directory says that its bomb is small."""
    content = bytearray(npz(("density", BOMB)))
    for mark, at in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        place = content.index(mark) + at
        content[place : place + 4] = struct.pack("<I", size)
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        npz(("density", BOMB)),
        lying(144),
        lying(2000),
        npz(("density", SHORT)),
        npz(("density", header_only((1 << 62, 1 << 62)))),
        npz(("density", header_only((-1, -1, 2, 2)))),
        npz(("density", npy(np.ones((1, 1, 2, 3), np.float32)))),
        npz(("density", npy(ONES.ravel()))),
        npz(("density", npy(OBJECTS))),
        npz(("density", npy(ONES.astype("M8[s]")))),
        npz(("density", npy(np.ones((1, 1, 2, 2), np.complex128)))),
        npz(("density", npy(ONES)), ("other", npy(ONES))),
        npz(("density", npy(ONES)[:-1])),
        npz(("density", npy(ONES) + b"more")),
        npz(("density", npy(ONES)), packed=zipfile.ZIP_LZMA),
        npz(("density", b"\x93NUMPY\x02\x00\xff\xff\xff\xff")),
        npz(("density", b"\x93NUMPY\x03\x00" + npy(ONES)[8:])),
        b"PK\x03\x04 but not really",
        b"",
        b"x" * 100_000,
    ],
    ids=range(20),
)
def test_what_is_no_sample_of_this_artifact_is_refused_without_the_memory_that_it_asks_for(
    content: bytes, tmp_path: Path
) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match="build the bundle again"):
            expected(tmp_path, content)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_one_of_any_size_has_a_limit_too(tmp_path: Path) -> None:
    boxes = TensorInfo(name="boxes", dtype="float32", shape=(-1, 4))
    with pytest.raises(BundleError, match="at most"):
        expected(tmp_path, npz(("boxes", npy(np.zeros((5_000_000, 4), np.float32)))), boxes)


def test_a_manifest_that_says_the_output_is_enormous_is_not_believed_either(tmp_path: Path) -> None:
    content = bytearray(npz(("density", npy(ONES))))
    for mark, at in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        place = content.index(mark) + at
        content[place : place + 4] = struct.pack("<I", 1 << 30)
    with pytest.raises(BundleError, match="at most"):
        expected(tmp_path, bytes(content), TensorInfo(name="density", dtype="float32", shape=(1, 1, 1 << 20, 1 << 20)))


@pytest.mark.parametrize(
    "content",
    [npy(FRAME.astype(np.float32)), npy(FRAME[:2].repeat(3, 0)), npy(FRAME) + bytes(10_000), header_only((4, 4, 3))],
)
def test_a_frame_of_another_kind_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        frame(tmp_path, content)


@given(data=st.data())
def test_any_damage_is_read_as_numbers_or_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    content = bytearray(npz(("density", npy(ONES)), packed=data.draw(st.sampled_from([0, 8]))))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = expected(folder, bytes(content))
    except BundleError:
        return
    assert all(array.dtype.kind in "biuf" and array.size <= 4 for array in read.values())
