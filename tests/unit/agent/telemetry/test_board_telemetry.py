"""What each board tells of itself, from the files that it has: in our units, and nothing that it does not tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.telemetry.summary import Spells, summary
from agent.telemetry.table import find_readers
from contracts.health import Accelerator, Telemetry, Temperature
from tests.unit.agent.trees import BOARDS, tree


class Board:
    """A board's tree that is read again and again, ten seconds apart."""

    def __init__(self, root: Path, board: str) -> None:
        self.root = tree(root, board)
        self.readers = find_readers(self.root)
        self.spells = Spells()
        self.now = 1000.0

    def write(self, path: str, content: object) -> None:
        (self.root / path).write_text(f"{content}\n")

    def look(self, seconds: float = 10.0) -> Telemetry:
        self.now += seconds
        return summary([reader.read(self.now) for reader in self.readers.values()], self.spells, self.now)


@pytest.mark.parametrize("board", sorted(path.name for path in BOARDS.iterdir() if path.is_dir()))
def test_every_board_tells_its_temperature_and_memory_and_none_that_cannot_be(tmp_path: Path, board: str) -> None:
    told = Board(tmp_path, board).look()
    assert told.hottest is not None
    assert told.celsius == told.temperatures[told.hottest].celsius == max(o.celsius for o in told.temperatures.values())
    assert all(20 < one.celsius < 100 for one in told.temperatures.values())
    assert all(one.hot is None or 70 < one.hot < 110 for one in told.temperatures.values())
    assert told.memory_used_mb is not None
    assert told.memory_mb is not None
    assert 0 < told.memory_used_mb < told.memory_mb
    assert told.cpu_load is None  # it takes two looks


def test_jetson_nano(tmp_path: Path) -> None:
    told = Board(tmp_path, "jetson-nano").look()
    # PMIC-Die always says 100 degrees there and is left out.
    assert set(told.temperatures) == {"AO-therm", "CPU-therm", "GPU-therm", "PLL-therm"}
    assert told.temperatures["CPU-therm"] == Temperature(celsius=39.0, hot=92.0)
    assert told.temperatures["PLL-therm"] == Temperature(celsius=36.5, hot=None)  # the kernel slows down for the others
    assert told.watts == {"POM_5V_IN": 4.181, "POM_5V_GPU": 1.122, "POM_5V_CPU": 0.897}
    assert told.accelerators == {"gpu": Accelerator(load=0.512, mhz=614.4)}
    assert told.throttling is not None
    assert not told.throttling.now


def test_jetson_xavier(tmp_path: Path) -> None:
    told = Board(tmp_path, "jetson-xavier-nx").look()
    assert told.throttling is not None
    assert (told.throttling.now, told.throttling.reasons) == (True, ("cpu-throttle-alert",))
    # Of the chip's four channels one is the sum over the others, which is no rail.
    assert told.watts == {"VDD_IN": 7.741, "VDD_CPU_GPU_CV": 3.145, "VDD_SOC": 1.572}
    assert told.accelerators == {"gpu": Accelerator(load=0.73, mhz=803.25)}
    assert "iwlwifi_1" not in told.temperatures


class TestJetsonOrin:
    def test_what_it_tells(self, tmp_path: Path) -> None:
        told = Board(tmp_path, "jetson-orin-nano").look()
        assert told.watts == {"VDD_IN": 9.25, "VDD_CPU_GPU_CV": 3.588, "VDD_SOC": 2.15}
        assert told.accelerators == {"gpu": Accelerator(load=0.981, mhz=624.75)}
        assert told.temperatures["tj-thermal"] == Temperature(celsius=55.4, hot=94.0)

    def test_a_zone_that_is_switched_off_is_absent(self, tmp_path: Path) -> None:
        assert "cv0-thermal" not in Board(tmp_path, "jetson-orin-nano").look().temperatures

    def test_alarms_count_from_the_first_look_on(self, tmp_path: Path) -> None:
        board = Board(tmp_path, "jetson-orin-nano")
        told = board.look().throttling
        assert told is not None
        assert told.caps == ()
        board.write("sys/class/hwmon/hwmon3/oc3_event_cnt", 44)
        told = board.look().throttling
        assert told is not None
        assert (told.now, told.caps) == (False, ("instantaneous_over_current",))
        board.write("sys/class/hwmon/hwmon3/oc1_event_cnt", 1)
        told = board.look().throttling
        assert told is not None
        assert (told.now, told.reasons, told.caps) == (True, ("under_voltage",), ())


def test_jetson_thor(tmp_path: Path) -> None:
    told = Board(tmp_path, "jetson-thor").look()
    # VIN_SYS_5V0 tells volts but no current: its power is not known.
    assert told.watts == {"VDD_GPU": 14.688, "ina238": 38.4}
    assert told.accelerators == {"gpu": Accelerator(mhz=1575.0)}
    assert told.throttling is not None
    assert told.throttling.reasons == ("devfreq-gpu-gpc-0", "gpu-throttle-alert")


class TestRaspberryPi:
    def test_it_is_hot_at_the_firmware_s_soft_limit_though_it_says_only_where_it_switches_off(
        self, tmp_path: Path
    ) -> None:
        told = Board(tmp_path, "raspberry-pi-5").look()
        assert told.temperatures == {"cpu-thermal": Temperature(celsius=63.4, hot=80.0)}

    def test_the_firmware_s_bits_are_named_and_those_of_the_past_left_out(self, tmp_path: Path) -> None:
        board = Board(tmp_path, "raspberry-pi-5")
        word = "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"
        seen = []
        for bits in ("50005", "0xe0008", "d0000"):
            board.write(word, bits)
            told = board.look().throttling
            assert told is not None
            seen.append((told.reasons, told.seconds, told.spells))
        assert seen == [
            (("throttled", "under_voltage"), 0.0, 1),
            (("soft_temperature_limit",), 10.0, 1),
            ((), None, 1),
        ]

    def test_a_kernel_without_the_firmware_s_word_still_knows_of_a_weak_supply(self, tmp_path: Path) -> None:
        tree(tmp_path, "raspberry-pi-5")
        (tmp_path / "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled").unlink()
        board = Board(tmp_path / "again", "raspberry-pi-5")
        board.readers = find_readers(tmp_path)
        (tmp_path / "sys/class/hwmon/hwmon2/in0_lcrit_alarm").write_text("1\n")
        told = board.look().throttling
        assert told is not None
        assert told.reasons == ("under_voltage",)


def test_qualcomm(tmp_path: Path) -> None:
    told = Board(tmp_path, "qcs6490-rb3gen2").look()
    assert told.temperatures["cpu4-thermal"] == Temperature(celsius=58.9, hot=85.0)
    assert told.temperatures["quiet-thermal"].hot is None  # its 43 degrees are for a hand, not for the chip
    assert "mdmss0-thermal" not in told.temperatures  # off: it reads the absolute zero
    assert told.accelerators == {"gpu": Accelerator(mhz=315.0)}
    assert Board(tmp_path / "2", "qcs8550-aim300").look().accelerators == {"gpu": Accelerator(load=0.37)}


def test_a_board_that_has_only_critical_points_and_tells_no_throttling(tmp_path: Path) -> None:
    told = Board(tmp_path, "sk-tda4vm").look()
    assert told.temperatures["mpu-thermal"] == Temperature(celsius=58.3, hot=95.0)
    assert (told.throttling, told.watts, told.accelerators) == (None, {}, {})


class TestIntel:
    def test_the_package_s_own_sensor_is_taken_and_its_double_left_out(self, tmp_path: Path) -> None:
        told = Board(tmp_path, "intel-nuc-core-ultra").look()
        assert set(told.temperatures) == {"acpitz", "TCPU", "Package_id_0"}
        assert told.temperatures["Package_id_0"] == Temperature(celsius=64.0, hot=105.0)
        assert told.temperatures["TCPU"].hot is None

    def test_rates_are_differences_of_two_looks(self, tmp_path: Path) -> None:
        board = Board(tmp_path, "intel-nuc-core-ultra")
        first = board.look()
        assert (first.watts, first.cpu_load) == ({}, None)
        assert first.accelerators["card0:gt0"] == Accelerator(mhz=1450.0)
        assert first.accelerators["npu0"] == Accelerator(mhz=1400.0, memory_used_mb=134.217728)
        board.write("sys/class/powercap/intel-rapl:0/energy_uj", 123_456_789_012 + 154_000_000)
        board.write("sys/class/powercap/intel-rapl:0:0/energy_uj", 0)  # it overflowed
        board.write("sys/class/drm/card0/gt/gt0/rc6_residency_ms", 987_654 + 2_500)
        board.write("sys/class/accel/accel0/device/npu_busy_time_us", 5_512_345 + 4_200_000)
        board.write("proc/stat", "cpu  99300 120 21100 700600 800 0 90 0 0 0")
        second = board.look()
        assert second.watts == {"package-0": 15.4, "psys": 0.0}
        assert second.accelerators["card0:gt0"] == Accelerator(load=0.75, mhz=1450.0)
        assert second.accelerators["npu0"].load == 0.42
        assert second.cpu_load == 0.4

    def test_a_power_limit_is_told_and_is_no_throttling_but_heat_is(self, tmp_path: Path) -> None:
        board = Board(tmp_path, "intel-nuc-core-ultra")
        told = board.look().throttling
        assert told is not None
        assert (told.now, told.caps) == (False, ("card0:gt0:pl1",))
        board.write("sys/class/drm/card0/gt/gt0/throttle_reason_thermal", 1)
        for cpu in (0, 1):
            board.write(f"sys/devices/system/cpu/cpu{cpu}/thermal_throttle/package_throttle_count", 43)
        told = board.look().throttling
        assert told is not None
        assert told.reasons == ("card0:gt0:thermal", "processor_heat")
        told = board.look().throttling
        assert told is not None
        assert told.reasons == ("card0:gt0:thermal",)  # the counter stands still again

    def test_the_newer_driver_s_files(self, tmp_path: Path) -> None:
        engine = tmp_path / "sys/class/drm/card1/device/tile0/gt0"
        for path, content in {
            "freq0/act_freq": 1200,
            "gtidle/idle_residency_ms": 5000,
            "freq0/throttle/status": 1,
            "freq0/throttle/reason_thermal": 1,
            "freq0/throttle/reason_pl1": 0,
        }.items():
            (engine / path).parent.mkdir(parents=True, exist_ok=True)
            (engine / path).write_text(f"{content}\n")
        (tmp_path / "sys/class/drm/card1/device/vendor").write_text("0x8086\n")
        (reader,) = find_readers(tmp_path).values()
        reader.read(0.0)
        (engine / "gtidle/idle_residency_ms").write_text("9000\n")
        reading = reader.read(10.0)
        assert reading.accelerators == {"card1:gt0": Accelerator(load=0.6, mhz=1200.0)}
        assert (reading.throttles, reading.caps) == ({"card1:gt0:thermal": True}, {"card1:gt0:pl1": False})
