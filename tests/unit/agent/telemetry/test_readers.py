"""Readers in the face of files that are missing, refuse, hold nonsense or never end, and of what drivers get wrong."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agent.telemetry.nvidia_gpu import NvidiaGpu
from agent.telemetry.reading import Differences, Reading, Sensor
from agent.telemetry.summary import Spells, summary
from agent.telemetry.sysfs import apart, harmless, integer, text
from agent.telemetry.table import find_readers
from contracts.health import Accelerator, Telemetry
from tests.fakes.nvml import FakeGpu, FakeNvml
from tests.unit.agent.trees import BOARDS, tree

_BOARDS = sorted(path.name for path in BOARDS.iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {board: tree(tmp_path_factory.mktemp(board), board) for board in _BOARDS}


def sampled(root: Path) -> Telemetry:
    spells = Spells()
    readers = find_readers(root).values()
    summary([reader.read(0.0) for reader in readers], spells, 0.0)
    return summary([reader.read(10.0) for reader in readers], spells, 10.0)


def test_a_box_without_any_of_it_tells_nothing_and_not_zero(tmp_path: Path) -> None:
    assert find_readers(tmp_path) == {}
    assert sampled(tmp_path) == Telemetry()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(board=st.sampled_from(_BOARDS), content=st.binary(max_size=64), data=st.data())
@example("jetson-orin-nano", b"-999999999999999999", None)
@example("jetson-orin-nano", b"9" * 4096, None)
@example("intel-nuc-core-ultra", b"nan", None)
@example("raspberry-pi-5", b"\xff\xfe\0", None)
@example("intel-nuc-core-ultra", "٣".encode(), None)  # a digit to Python, though not to the kernel
def test_nonsense_in_any_file_is_absent_and_nothing_raises(
    boards: dict[str, Path], board: str, content: bytes, data: st.DataObject | None
) -> None:
    root = boards[board]
    files = sorted(file for place in ("sys/class", "sys/devices", "proc") for file in (root / place).rglob("*"))
    files = [file for file in files if file.is_file()]
    spoilt = files if data is None else [data.draw(st.sampled_from(files))]
    before = {file: file.read_bytes() for file in spoilt}
    try:
        for file in spoilt:
            file.write_bytes(content)
        told = sampled(root)
    finally:
        for file, kept in before.items():
            file.write_bytes(kept)
    assert all(-60 <= one.celsius <= 160 for one in told.temperatures.values())
    assert all(0 <= watts <= 10_000 for watts in told.watts.values())
    assert all(one.load is None or 0 <= one.load <= 1 for one in told.accelerators.values())
    names = [*told.temperatures, *told.watts, *told.accelerators]
    assert all(name and name.isascii() and name.isprintable() and len(name) < 120 for name in names)
    told.model_dump_json()


def test_folders_where_files_should_be_and_links_in_circles_are_absent(tmp_path: Path) -> None:
    root = tree(tmp_path, "jetson-nano")
    for file in (root / "sys/class/thermal").rglob("temp"):
        file.unlink()
        file.mkdir()
    (root / "sys/devices/gpu.0/load").unlink()
    (root / "sys/devices/gpu.0/load").symlink_to("load")
    told = sampled(root)
    assert told.temperatures == {}
    assert told.accelerators == {"gpu": Accelerator(mhz=614.4)}


def test_a_pipe_that_nobody_writes_to_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "temp")
    assert text(tmp_path / "temp") == ""


def test_of_a_file_that_does_not_end_only_the_beginning_is_read() -> None:
    assert len(text(Path("/dev/zero"))) == 4096


@pytest.mark.parametrize(
    ("content", "number"), [("42\n", 42), ("-7", -7), ("", None), ("1.5", None), ("0x10", None), ("1 2", None)]
)
def test_a_whole_number_or_nothing(tmp_path: Path, content: str, number: int | None) -> None:
    (tmp_path / "file").write_text(content)
    assert integer(tmp_path / "file") == number


def test_a_board_with_very_many_sensors_is_read_up_to_a_limit(tmp_path: Path) -> None:
    for number in range(200):
        zone = tmp_path / f"sys/class/thermal/thermal_zone{number}"
        zone.mkdir(parents=True)
        (zone / "type").write_text("same-name\n")
        (zone / "temp").write_text("50000\n")
    told = sampled(tmp_path)
    assert len(told.temperatures) == 64
    assert {"same-name", "same-name_2", "same-name_64"} <= told.temperatures.keys()


def test_names_become_harmless_and_stay_apart() -> None:
    assert harmless('a/b"c\n{}') == "a_b_c"
    assert [name for name, _ in apart([("fan", Path()), ("cpu", Path()), ("fan", Path())])] == ["fan", "cpu", "fan_2"]


def test_sensors_that_vanish_while_running_become_absent_and_come_back(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", "jetson-orin-nano")
    readers = find_readers(root)
    shutil.move(root / "sys", tmp_path / "gone")
    told = summary([reader.read(0.0) for reader in readers.values()], Spells(), 0.0)
    assert (told.temperatures, told.watts, told.accelerators, told.throttling) == ({}, {}, {}, None)
    shutil.move(tmp_path / "gone", root / "sys")
    assert summary([reader.read(10.0) for reader in readers.values()], Spells(), 10.0).watts["VDD_IN"] == 9.25


class TestDifferences:
    def test_the_first_value_a_fall_and_a_standing_clock_tell_nothing(self) -> None:
        differences = Differences()
        assert differences.rise("x", 10.0, 0.0) is None
        assert differences.rise("x", 16.0, 2.0) == (6.0, 2.0)
        assert differences.rise("x", 20.0, 2.0) is None
        assert differences.rise("x", 3.0, 4.0) is None
        assert differences.rise("x", 5.0, 6.0) == (2.0, 2.0)

    def test_after_a_value_that_could_not_be_read_it_begins_anew(self) -> None:
        differences = Differences()
        differences.rise("x", 10.0, 0.0)
        assert differences.rise("x", None, 2.0) is None
        assert differences.rise("x", 90.0, 4.0) is None

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.floats(0, 1e15) | st.none(), st.floats(0, 1e9)), max_size=20))
    def test_a_share_is_between_0_and_1(self, readings: list[tuple[float | None, float]]) -> None:
        differences = Differences()
        for value, now in readings:
            share = differences.share("x", value, now)
            assert share is None or 0 <= share <= 1


class TestSummary:
    def test_where_no_sensor_says_where_it_slows_down_the_default_holds(self) -> None:
        told = summary([Reading(sensors={"a": Sensor(50.0), "b": Sensor(60.0)})], Spells(), 0.0)
        assert {name: one.hot for name, one in told.temperatures.items()} == {"a": 75.0, "b": 75.0}

    def test_what_is_configured_holds_for_every_sensor(self) -> None:
        told = summary([Reading(sensors={"a": Sensor(50.0), "b": Sensor(60.0, 99.0)})], Spells(), 0.0, hot=66.0)
        assert {name: one.hot for name, one in told.temperatures.items()} == {"a": 66.0, "b": 66.0}
        assert told.hottest == "b"

    def test_spells_count_how_often_it_began_and_how_long_it_lasts(self) -> None:
        spells = Spells()
        held = [(True, 0.0), (True, 10.0), (False, 20.0), (True, 30.0), (True, 45.0)]
        told = [spells.look({"heat": now_held}, {}, now) for now_held, now in held]
        assert [(one.seconds, one.spells) for one in told if one] == [(0, 1), (10, 1), (None, 1), (0, 2), (15, 2)]

    def test_a_cap_alone_is_no_throttling(self) -> None:
        told = Spells().look({"heat": False}, {"power_cap": True}, 0.0)
        assert told is not None
        assert (told.now, told.caps, told.spells) == (False, ("power_cap",), 0)


class TestNvidia:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
        (tmp_path / "proc/driver/nvidia/version").write_text("NVRM version: ...\n")
        return tmp_path

    def look(self, root: Path, nvml: FakeNvml) -> Reading:
        reader = NvidiaGpu.find(root, lambda: nvml)
        assert reader is not None
        return reader.read(0.0)

    @pytest.mark.parametrize("old", [False, True])
    def test_everything_it_tells_is_in_our_units(self, root: Path, *, old: bool) -> None:
        reading = self.look(root, FakeNvml([FakeGpu(), FakeGpu(celsius=40)], old=old))
        assert reading.sensors == {"nvidia0": Sensor(61.0, 93.0), "nvidia1": Sensor(40.0, 93.0)}
        assert reading.watts == {"nvidia0": 142.5, "nvidia1": 142.5}
        assert reading.accelerators["nvidia0"] == Accelerator(
            load=0.87, mhz=1695.0, memory_used_mb=3000.0, memory_mb=24000.0
        )
        assert not any(reading.throttles.values())

    def test_what_it_does_not_tell_is_absent(self, root: Path) -> None:
        silent = FakeGpu(None, None, None, None, None, None, None)
        assert self.look(root, FakeNvml([silent])) == Reading()

    def test_heat_is_throttling_and_the_power_limit_is_a_cap(self, root: Path) -> None:
        reading = self.look(root, FakeNvml([FakeGpu(reasons=0x4 | 0x20)]))
        assert [reason for reason, held in reading.throttles.items() if held] == ["nvidia0:heat"]
        assert reading.caps == {"nvidia0:power_cap": True}

    def test_without_its_driver_nothing_is_loaded(self, tmp_path: Path) -> None:
        def load() -> FakeNvml:
            raise AssertionError

        assert NvidiaGpu.find(tmp_path, load) is None

    def test_without_the_library_or_a_gpu_there_is_no_reader(self, root: Path) -> None:
        assert NvidiaGpu.find(root, lambda: None) is None
        assert NvidiaGpu.find(root, lambda: FakeNvml([])) is None

    def test_the_real_library_has_every_name_that_is_asked_of_it(self) -> None:
        real = pytest.importorskip("pynvml")
        asked = [name for name in dir(FakeNvml) if name.lower().startswith("nvml")]
        assert len(asked) > 10
        assert [name for name in asked if not hasattr(real, name)] == []
        for name in asked:
            if not callable(getattr(real, name)):
                assert getattr(real, name) == getattr(FakeNvml, name), name
