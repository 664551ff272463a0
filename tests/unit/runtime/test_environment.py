"""What a box says of itself, read from captured trees."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from runtime.environment import host_facts, host_name, peak_mb, read_environment, resident_mb

JETSON = {
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
    "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd asimdhp asimddp crc32\n",
    "proc/loadavg": "1.25 0.80 0.60 2/345 6789\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
    "sys/class/thermal/thermal_zone0/temp": "48500\n",
    "sys/class/thermal/thermal_zone1/temp": "51250\n",
    "sys/class/thermal/thermal_zone2/temp": "-256000\n",  # a sensor of a part that is powered down
    "sys/class/thermal/thermal_zone3/temp": "\n",
    "var/lib/nvpmodel/status": "pmode:0002 fmode:quiet",
    "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=15W >\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n",
}


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def onnxruntime_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A box on which one runtime is installed, whatever the test's environment holds."""

    def version(package: str) -> str:
        if package != "onnxruntime":
            raise metadata.PackageNotFoundError(package)
        return "1.31.1"

    monkeypatch.setattr(metadata, "version", version)


@pytest.mark.usefixtures("onnxruntime_only")
def test_a_jetson_tells_its_board_clock_power_mode_and_heat(tmp_path: Path) -> None:
    came = read_environment("onnxruntime", tree(tmp_path, JETSON))
    assert came.device.startswith("NVIDIA Jetson Orin Nano Developer Kit, ")
    assert (came.governor, came.power_mode, came.temperature_c) == ("schedutil", "MAXN_SUPER", 51.25)
    assert came.isa == ("asimd", "asimddp", "asimdhp")
    assert came.load_average == 1.25
    assert came.runtime == "onnxruntime 1.31.1"


def test_what_a_box_does_not_tell_is_none_and_no_zero(tmp_path: Path) -> None:
    came = read_environment("null", tmp_path)
    assert (came.governor, came.power_mode, came.temperature_c, came.load_average) == (None, None, None, None)
    assert came.isa == ()
    assert came.device


@pytest.mark.parametrize(
    ("files", "mode"),
    [
        ({"var/lib/nvpmodel/status": "pmode:0003"}, "mode 3"),
        ({"var/lib/nvpmodel/status": "nothing of the kind"}, None),
    ],
)
def test_a_power_mode_without_a_name_keeps_its_number(tmp_path: Path, files: dict[str, str], mode: str | None) -> None:
    assert read_environment("null", tree(tmp_path, files)).power_mode == mode


def test_a_processor_is_named_with_the_gpus_beside_it(tmp_path: Path) -> None:
    files = {
        "proc/cpuinfo": "model name\t: Test CPU\nflags\t\t: fpu avx2 amx_bf16 unheard_of\n",
        "proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t\t NVIDIA H100\nIRQ: 1\n",
    }
    assert host_name(tree(tmp_path, files)).startswith("Test CPU, ")
    assert host_name(tmp_path).endswith("CPUs, NVIDIA H100")
    assert host_facts(tmp_path)["cpu.isa"] == ("amx_bf16", "avx2")


@pytest.mark.usefixtures("onnxruntime_only")
def test_the_facts_name_the_runtimes_that_are_installed() -> None:
    runtimes = {fact: value for fact, value in host_facts().items() if fact.startswith("runtime.")}
    assert runtimes == {"runtime.onnxruntime": "1.31.1"}


def test_memory_is_this_processes_own() -> None:
    block = bytearray(64_000_000)
    block[::4096] = bytes(len(block[::4096])) or block[:0]
    assert peak_mb() >= resident_mb() > 64
