"""Finished targets are taken again only whole, only for the same build, and only after an interrupt."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from contracts.errors import DocumentError, ModelFileError
from contracts.manifest import Artifact
from converters.made import Made
from converters.resume import Finished, finished_targets
from tests.fakes.bundles import artifact
from tests.unit.converters.report.samples import row

BUILD = {"source": "abc", "packages": {"onnx": "1.2.3", "nncf": None}}


def grow(finished: Finished, target: str = "x86") -> Made:
    """What a ladder leaves in a target's root."""
    root = finished.root(target)
    made = Artifact.model_validate(artifact(root, f"{target}/fp32"))
    return Made([made], [row(target, "fp32")], ["a warning"])


def interrupted(out: Path, *targets: str) -> Path:
    """A build that ended by Ctrl-C after some targets were finished; where it left them."""

    def work(finished: Finished) -> None:
        for target in targets:
            finished.keep(target, grow(finished, target))

    with pytest.raises(KeyboardInterrupt):
        interrupt(out, work)
    return next(iter(hidden(out)), out.parent)


def hidden(out: Path) -> list[Path]:
    return sorted(out.parent.glob(f".{out.name}.finished-*"))


def interrupt(out: Path, work: Callable[[Finished], None]) -> None:
    """A build that ends by Ctrl-C after some work."""
    with finished_targets(out, BUILD) as finished:
        work(finished)
        raise KeyboardInterrupt


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "my.bundle"


def test_a_finished_target_is_there_for_the_same_build_after_an_interrupt(out: Path) -> None:
    interrupted(out, "x86")
    with finished_targets(out, BUILD) as finished:
        again = finished.load("x86")
        assert again is not None
        assert [one.id for one in again.artifacts] == ["x86/fp32"]
        assert again.rows == [row("x86", "fp32")]
        assert again.warnings == ["a warning"]
        assert finished.load("arm") is None


def test_the_order_of_what_it_follows_from_does_not_matter_but_every_value_does(out: Path) -> None:
    interrupted(out, "x86")
    for other in ({**BUILD, "source": "abd"}, {**BUILD, "rounds": 1}, {"source": "abc"}):
        with finished_targets(out, other) as finished:
            assert finished.load("x86") is None
    with finished_targets(out, dict(reversed(BUILD.items()))) as finished:
        assert finished.load("x86") is not None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda root: (root / "artifacts/x86/fp32/model.bin").write_bytes(b"other weights"),
        lambda root: (root / "artifacts/x86/fp32/model.bin").unlink(),
        lambda root: (root / "made.json").write_text("{"),
        lambda root: (root / "made.json").write_text('{"artifacts": []}'),
        lambda root: (root / "made.json").unlink(),
    ],
    ids=["changed", "missing", "cut off", "no list", "unlisted"],
)
def test_one_that_is_not_whole_is_made_anew(spoil: object, out: Path) -> None:
    folder = interrupted(out, "x86")
    assert callable(spoil)
    spoil(folder / "x86")
    with finished_targets(out, BUILD) as finished:
        assert finished.load("x86") is None
        finished.keep("x86", grow(finished))
        assert finished.load("x86") is not None


def test_what_was_only_half_written_is_not_a_target(out: Path) -> None:
    def work(finished: Finished) -> None:
        finished.keep("arm", grow(finished, "arm"))
        grow(finished, "x86")

    with pytest.raises(KeyboardInterrupt):
        interrupt(out, work)
    with finished_targets(out, BUILD) as finished:
        assert finished.load("arm") is not None
        assert finished.load("x86") is None
        assert list(finished.root("x86").iterdir()) == [], "and does not get into what is made instead"


def test_nothing_is_left_after_a_good_end_or_an_error_or_with_nothing_finished(out: Path) -> None:
    with finished_targets(out, BUILD) as finished:
        finished.keep("x86", grow(finished))
    assert hidden(out) == []

    def fail(finished: Finished) -> None:
        finished.keep("x86", grow(finished))
        raise ModelFileError("no artifact could be made")

    with pytest.raises(ModelFileError):
        interrupt(out, fail)
    assert hidden(out) == []
    interrupted(out)
    assert hidden(out) == []


def test_what_went_into_the_bundle_is_kept_until_the_bundle_is_whole(out: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()

    def work(finished: Finished) -> None:  # and then measuring begins
        finished.keep("x86", grow(finished))
        finished.copy_into(bundle, "x86")

    with pytest.raises(KeyboardInterrupt):
        interrupt(out, work)
    assert (bundle / "artifacts/x86/fp32/model.bin").read_bytes() == b"x86/fp32"
    with finished_targets(out, BUILD) as finished:
        assert finished.load("x86") is not None


def test_where_a_file_cannot_have_two_names_it_is_copied(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with finished_targets(out, BUILD) as finished:
        finished.keep("x86", grow(finished))
        finished.copy_into(tmp_path / "bundle", "x86")
    assert (tmp_path / "bundle/artifacts/x86/fp32/model.bin").read_bytes() == b"x86/fp32"


def test_what_a_changed_build_left_is_removed_once_it_is_surely_abandoned(out: Path) -> None:
    old = interrupted(out, "x86")
    with finished_targets(out, {**BUILD, "source": "new"}):
        assert old.exists(), "it may belong to a build that is just beginning"
    long_ago = time.time() - 3600
    os.utime(old, (long_ago, long_ago))
    with finished_targets(out, {**BUILD, "source": "new"}):
        assert not old.exists()


def test_the_same_build_started_twice_is_told_so_and_disturbs_nothing(out: Path) -> None:
    with finished_targets(out, BUILD) as finished:
        made = grow(finished)
        finished.keep("x86", made)
        with pytest.raises(
            DocumentError, match=r"another build of the same is writing .*my\.bundle; wait until it ends"
        ):
            interrupt(out, lambda _: None)
        assert finished.load("x86") is not None
