"""The power goes at every operation on the disk: no file is ever wrong, no bundle half there, and all converges.

What was not flushed is lost, torn, zero or there; names change in order (`tests.fakes.shelf_disk`).
"""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Callable

import pytest

from agent.update.shelf import Shelf
from tests.fakes.disk import PowerCut
from tests.fakes.shelf_disk import FakeShelfDisk
from tests.fakes.transport import FakeMirror, FakeTransport
from tests.unit.agent.update.shelves import Box, blob, manifest_of, served

A = bytes(range(100))
B = b"b" * 55
C = b"shared" * 8
SPOILED = bytes([C[0] ^ 1]) + C[1:]
OLD = {"a/one": A, "c": C}
NEW = {"b/two": B, "c": C, "d/c": C}
OLD_MANIFEST, NEW_MANIFEST = manifest_of(OLD), manifest_of(NEW)
OLD_DIGEST, NEW_DIGEST = (hashlib.sha256(text).hexdigest() for text in (OLD_MANIFEST, NEW_MANIFEST))

Step = Callable[[FakeShelfDisk], object]


def fetch(*files: bytes, breaks: list[int | None] | None = None) -> Step:
    def run(disk: FakeShelfDisk) -> None:
        mirror = FakeMirror(served(*files), breaks=list(breaks or []))
        Box(disk, FakeTransport(mirror)).fetch(*files)

    return run


def begin(data: bytes, wrong: bool = False) -> Step:
    """A part of a file comes, or of what is not that file."""

    def run(disk: FakeShelfDisk) -> None:
        partial = Shelf(disk).partial(blob(data))
        partial.begin(lambda: None)
        partial.add(b"x" * 60 if wrong else data[:60])
        partial.keep()
        partial.add(b"y" * 9 if wrong else data[60:69])

    return run


def assemble(manifest: bytes, files: dict[str, bytes]) -> Step:
    return lambda disk: Shelf(disk).assemble(manifest, [blob(data).sha256 for data in files.values()])


def collect(*keep: str, wanted: tuple[bytes, ...] = ()) -> Step:
    return lambda disk: Shelf(disk).collect(keep, [blob(data).sha256 for data in wanted])


def spoil(disk: FakeShelfDisk) -> None:
    disk.spoil(f"blobs/{blob(C).sha256}")


def steps(*all_of_them: Step) -> Step:
    def run(disk: FakeShelfDisk) -> None:
        for step in all_of_them:
            step(disk)

    return run


HAVE_OLD = steps(fetch(A, C), assemble(OLD_MANIFEST, OLD))
HAVE_BOTH = steps(HAVE_OLD, fetch(B, C), assemble(NEW_MANIFEST, NEW))

CHANGES: dict[str, tuple[Step, Step, set[str]]] = {
    "a new file": (lambda _: None, fetch(A), set()),
    "several files": (lambda _: None, fetch(A, B, C), set()),
    "a connection that breaks": (lambda _: None, fetch(A, breaks=[30, 40]), set()),
    "a file that was begun": (begin(A), fetch(A), set()),
    "a file that was begun wrongly": (begin(A, wrong=True), fetch(A), set()),
    "a first bundle": (fetch(A, C), assemble(OLD_MANIFEST, OLD), set()),
    "a second bundle": (steps(HAVE_OLD, fetch(B, C)), assemble(NEW_MANIFEST, NEW), {OLD_DIGEST}),
    "more of a bundle": (
        steps(fetch(A, C), assemble(OLD_MANIFEST, {"c": C})),
        assemble(OLD_MANIFEST, OLD),
        {OLD_DIGEST},
    ),
    "a spoiled file": (steps(HAVE_OLD, spoil), steps(fetch(A, C), assemble(OLD_MANIFEST, OLD)), set()),
    "collecting a bundle": (HAVE_BOTH, collect(NEW_DIGEST), {NEW_DIGEST}),
    "collecting everything": (steps(HAVE_BOTH, begin(b"z" * 80)), collect(), set()),
    "collecting around an attempt": (
        steps(HAVE_OLD, fetch(B), begin(b"z" * 80)),
        collect(OLD_DIGEST, wanted=(B,)),
        {OLD_DIGEST},
    ),
    "a whole change": (
        HAVE_OLD,
        steps(fetch(B, C), assemble(NEW_MANIFEST, NEW), collect(NEW_DIGEST, OLD_DIGEST)),
        {OLD_DIGEST},
    ),
}
"""What is there before, the change, and the bundles that must be whole throughout."""


@pytest.fixture(autouse=True)
def _checkpoint_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.update.partial._EVERY_BYTES", 20)


def must_be_right(disk: FakeShelfDisk, whole: set[str]) -> None:
    """What holds after a power cut at any moment."""
    for name, data in disk.content("blobs").items():
        assert hashlib.sha256(data).hexdigest() == name or data == SPOILED
    for bundle in disk.names("bundles"):
        if not bundle.startswith(".") and SPOILED not in disk.content(f"bundles/{bundle}").values():
            assert Shelf(disk).check(bundle) == []
    assert whole <= set(disk.names("bundles"))


def state(disk: FakeShelfDisk) -> dict[str, dict[str, bytes]]:
    return {folder: disk.content(folder) for folder in ("blobs", "bundles", "partial")}


def at_every_operation(change: str, seeds: int, again: bool) -> int:
    prepare, work, whole = CHANGES[change]
    before = FakeShelfDisk()
    prepare(before)
    clean = before.copy()
    work(clean)
    expected = state(clean)
    for operation in range(len(clean.operations)):
        for seed in range(seeds):
            dice = random.Random(f"{operation} {seed}")
            disk = before.copy()
            disk.fail_in = operation
            with pytest.raises(PowerCut):
                work(disk)
            disk = disk.after_power_cut(dice)
            must_be_right(disk, whole)
            if again:  # and once more while it gets over the first one
                disk.fail_in = dice.randint(0, len(clean.operations))
                with contextlib.suppress(PowerCut):
                    work(disk)
                disk = disk.after_power_cut(dice)
                must_be_right(disk, whole)
            work(disk)
            must_be_right(disk, whole)
            assert state(disk) == expected
            after = state(disk.after_power_cut(dice))
            assert after["blobs"] == expected["blobs"], "what was said to be done is done"
            bundles = {name: data for name, data in after["bundles"].items() if not name.startswith(".")}
            assert bundles == expected["bundles"]
    return len(clean.operations)


@pytest.mark.parametrize("change", CHANGES)
def test_a_power_cut_at_any_operation_leaves_only_right_files_and_the_change_can_be_done_again(change: str) -> None:
    assert at_every_operation(change, seeds=4, again=False) > 2


@pytest.mark.parametrize("change", CHANGES)
def test_a_second_power_cut_while_the_first_is_got_over_changes_nothing(change: str) -> None:
    at_every_operation(change, seeds=3, again=True)


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_many_power_cuts(change: str) -> None:
    at_every_operation(change, seeds=100, again=True)


@pytest.mark.parametrize("change", CHANGES)
def test_a_kill_at_any_operation_leaves_only_right_files_and_the_change_can_be_done_again(change: str) -> None:
    """Everything that was written is there, flushed or not."""
    prepare, work, whole = CHANGES[change]
    before = FakeShelfDisk()
    prepare(before)
    clean = before.copy()
    work(clean)
    for operation in range(len(clean.operations)):
        disk = before.copy()
        disk.fail_in = operation
        with pytest.raises(PowerCut):
            work(disk)
        must_be_right(disk, whole)
        work(disk)
        assert state(disk) == state(clean)
