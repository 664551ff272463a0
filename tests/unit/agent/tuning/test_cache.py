"""What was measured is there whole or not at all, for this machine only, and never more than a few files of it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.tuning.cache import Tuned, TuningCache, key_of
from agent.tuning.rules import Aim
from agent.tuning.search import Space
from agent.tuning.setting import Setting
from contracts.errors import StorageError
from contracts.facts import FactValue

FACTS: dict[str, FactValue] = {
    "arch": "x86_64",
    "cpu.model": "Xeon",
    "cpu.count": 2,
    "cpu.isa": ("avx2",),
    "runtime.openvino": "2026.4.1",
    "power_mode": "15W",
}
ROOT = Path(__file__).parents[4]


def setting(name: str = "a", lanes: int = 1) -> Setting:
    return Setting(artifact=name, digest="0" * 64, execution_precision="f32", lanes=lanes, threads=1)


THROUGHPUT = Aim("throughput", None)


def key(
    fact: str = "arch", value: FactValue = "x86_64", aim: Aim = THROUGHPUT, governor: str = ""
) -> dict[str, object]:
    """With one fact added or changed."""
    return key_of(FACTS | {fact: value}, governor, Space(((setting(),),)), aim)


def tuned(fact: str = "arch", value: FactValue = "x86_64") -> Tuned:
    return Tuned(key=key(fact, value), at="2026-01-01T00:00:00Z", base=setting(), best=setting("b"))


@pytest.fixture
def cache(tmp_path: Path) -> TuningCache:
    return TuningCache(tmp_path / "tuning")


def again(cache: TuningCache) -> TuningCache:
    """The next process's."""
    return TuningCache(cache._folder, cache._kept)


def test_the_next_process_knows_it(cache: TuningCache) -> None:
    assert cache.get(key()) is None
    cache.put(tuned())
    assert again(cache).get(key()) == tuned()


@pytest.mark.parametrize(
    "other",
    [
        key("cpu.count", 4),
        key("cpu.model", "N100"),
        key("runtime.openvino", "2027.0"),
        key("power_mode", "MAXN"),
        key(governor="powersave"),
        key("gpu.sm", 87),
        key(aim=Aim("latency", None)),
        key(aim=Aim("throughput", 30.0)),
        key_of(FACTS, None, Space(((setting(lanes=2),),)), THROUGHPUT),
    ],
)
def test_it_holds_for_this_machine_and_aim_alone(cache: TuningCache, other: dict[str, object]) -> None:
    cache.put(tuned())
    assert again(cache).get(other) is None


def test_what_no_figure_depends_on_keeps_it(cache: TuningCache) -> None:
    cache.put(tuned())
    assert again(cache).get(key("os.name", "Debian 13")) == tuned()


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"null", b"\xff\xfe", b"[]" * 1000, b'{"key": 1}', b"x" * (2 << 20)], ids=range(7)
)
def test_a_damaged_one_is_said_and_measured_again(
    cache: TuningCache, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    cache.put(tuned())
    (file,) = cache._folder.glob("*.json")
    file.write_bytes(damage)
    with caplog.at_level(logging.WARNING):
        assert again(cache).get(key()) is None
    assert "measured again" in caplog.text
    cache.put(tuned())
    assert again(cache).get(key()) == tuned()


def test_another_ones_content_under_its_name_is_not_believed(cache: TuningCache) -> None:
    cache.put(tuned())
    (mine,) = cache._folder.glob("*.json")
    mine.write_text(tuned("cpu.count", 8).model_dump_json())
    assert again(cache).get(key()) is None


def test_the_oldest_go(cache: TuningCache) -> None:
    small = TuningCache(cache._folder, kept=3)
    for count in range(6):
        small.put(tuned("cpu.count", count))
        (newest,) = (file for file in small._folder.glob("*.json") if file == small._file(key("cpu.count", count)))
        os.utime(newest, (count, count))
    assert len(list(cache._folder.iterdir())) == 3
    assert [again(small).get(key("cpu.count", count)) is not None for count in range(6)] == [False] * 3 + [True] * 3


def test_all_is_forgotten(cache: TuningCache) -> None:
    cache.put(tuned())
    assert again(cache).forget() == 1
    assert again(cache).get(key()) is None
    assert again(cache).forget() == 0


def test_where_the_disk_refuses_it_is_known_until_the_end(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = TuningCache(tmp_path / "file")
    with pytest.raises(StorageError):
        cache.put(tuned())
    assert cache.get(key()) == tuned()


@pytest.mark.parametrize("first", [True, False], ids=["nothing was there", "one was there"])
def test_a_process_killed_while_it_writes_leaves_what_was_there(cache: TuningCache, first: bool) -> None:
    if not first:
        cache.put(tuned())
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom agent.tuning.cache import *\n"
        "tuned = Tuned.model_validate_json(sys.argv[2])\n"
        "TuningCache(Path(sys.argv[1])).put(tuned, before=lambda: os.kill(os.getpid(), signal.SIGKILL))\n"
    )
    other = tuned().model_copy(update={"at": "later"})
    run = subprocess.run(
        [sys.executable, "-c", program, str(cache._folder), other.model_dump_json()], cwd=ROOT, check=False
    )
    assert run.returncode == -9
    assert again(cache).get(key()) == (None if first else tuned())
    again(cache).put(other)
    assert again(cache).get(key()) == other
    assert len(list(cache._folder.iterdir())) == 1  # what was left behind is gone
