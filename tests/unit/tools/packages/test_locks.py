"""What a lock says for another kind of box than the one that builds."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import DocumentError
from tools.packages.catalogue import ARCHITECTURES, CATALOGUE, PYTHONS
from tools.packages.locks import Box, added, read_lock

HASH = "--hash=sha256:" + "a" * 64
LOCKS = Path(__file__).parents[4] / "requirements" / "box"


def lock(folder: Path, text: str, name: str = "lock.txt") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_markers_are_those_of_the_box_and_not_of_the_python_that_builds(tmp_path: Path) -> None:
    path = lock(
        tmp_path,
        f"av==17.1 ; python_full_version < '3.11' \\\n    {HASH}\n"
        f"av==18.1 ; python_full_version >= '3.11' \\\n    {HASH}\n"
        f"greenlet==3 ; platform_machine == 'aarch64' {HASH}\n",
    )
    assert [pin.pinned for pin in read_lock(path, Box("x86_64", "3.10"))] == ["av==17.1"]
    assert [pin.pinned for pin in read_lock(path, Box("aarch64", "3.13"))] == ["av==18.1", "greenlet==3"]


def test_a_runtime_carries_only_what_it_adds(tmp_path: Path) -> None:
    base = lock(tmp_path, f"numpy==2 {HASH}\n", "agent.txt")
    path = lock(tmp_path, f"numpy==2 {HASH}\nopenvino==2026 {HASH}\n")
    assert [pin.pinned for pin in added(path, base, Box("x86_64", "3.11"))] == ["openvino==2026"]


def test_a_runtime_that_wants_another_version_than_the_agent_is_refused(tmp_path: Path) -> None:
    base = lock(tmp_path, f"numpy==2 {HASH}\n", "agent.txt")
    path = lock(tmp_path, f"numpy==1 {HASH}\n")
    with pytest.raises(DocumentError, match="numpy==1: expected numpy==2"):
        added(path, base, Box("x86_64", "3.11"))


@pytest.mark.parametrize("text", ["numpy==2\n", f"numpy>=2 {HASH}\n", f"numpy=={HASH}\n", f"!! {HASH}\n"])
def test_what_is_not_an_exact_version_with_its_digest_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DocumentError):
        read_lock(lock(tmp_path, text), Box("x86_64", "3.11"))


@given(text=st.text(max_size=80))
def test_a_damaged_lock_is_refused_or_read_but_never_a_bug(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = lock(tmp_path_factory.mktemp("lock"), "")
    path.write_text(text, encoding="utf-8", newline="")
    try:
        pins = read_lock(path, Box("x86_64", "3.11"))
    except DocumentError:
        return
    assert all(pin.hashes for pin in pins)


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("machine", ARCHITECTURES.values())
def test_our_own_locks_agree_with_one_another_for_every_kind_of_box(machine: str, python: str) -> None:
    box = Box(machine, python)
    for package in CATALOGUE.values():
        base = LOCKS / f"{package.main}.txt"
        found = read_lock(base, box) if package.lock == base.name else added(LOCKS / package.lock, base, box)
        assert found, f"{package.name} would be empty on Python {python}"
