"""Facts are read below a root that tests replace; what cannot be read is absent."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from agent.facts import device_facts


def test_facts_of_a_board_come_from_its_files(tmp_path: Path) -> None:
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/arch").write_text("aarch64\n")
    (tmp_path / "proc/cpuinfo").write_text("processor : 0\nFeatures\t: fp asimd evtstrm aes asimddp\n")
    (tmp_path / "proc/meminfo").write_text("MemTotal:        8048136 kB\nMemFree: 1 kB\nSwapTotal:  0 kB\n")
    (tmp_path / "proc/device-tree/model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    (tmp_path / "etc/os-release").write_text('NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
    facts = device_facts(tmp_path)
    assert facts["cpu.isa"] == ("asimd", "asimddp")
    assert facts["arch"] == "aarch64"
    assert facts["cpu.count"] == 1
    assert facts["memory_mb"] == 7859
    assert facts["swap_mb"] == 0
    assert facts["board"] == "Raspberry Pi 5 Model B Rev 1.0"
    assert facts["os.name"] == "Debian GNU/Linux 12 (bookworm)"
    assert "cpu.model" not in facts


def test_what_cannot_be_read_is_absent_not_zero(tmp_path: Path) -> None:
    facts = device_facts(tmp_path)
    assert not {"arch", "cpu.count", "memory_mb", "swap_mb", "cpu.isa", "board", "os.name", "soc"} & facts.keys()
    assert all(value not in (None, "", 0) for value in facts.values())


def test_of_this_box_the_kernel_and_the_scheduler_are_asked() -> None:
    facts = device_facts()
    assert facts["arch"] == platform.machine()
    assert facts["cpu.count"] == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("installed", "tflite", "litert"),
    [
        ({"ai-edge-litert": "2.3.0", "tflite-runtime": "2.14.0"}, "2.3.0", "2.3.0"),
        ({"tflite-runtime": "2.14.0"}, "2.14.0", None),
        ({}, None, None),
    ],
)
def test_tflite_is_of_the_package_that_the_backend_takes(
    installed: dict[str, str],
    tflite: str | None,
    litert: str | None,
    tmp_path: Path,
) -> None:
    facts = device_facts(tmp_path, package=installed.get)
    assert (facts.get("runtime.tflite"), facts.get("runtime.litert")) == (tflite, litert)
