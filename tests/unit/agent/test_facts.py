"""Facts are read below a root that tests replace; what cannot be read is absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.facts import device_facts


def test_facts_of_a_board_come_from_its_files(tmp_path: Path) -> None:
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("processor : 0\nFeatures\t: fp asimd evtstrm aes asimddp\n")
    (tmp_path / "proc/meminfo").write_text("MemTotal:        8048136 kB\nMemFree: 1 kB\n")
    (tmp_path / "proc/device-tree/model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    (tmp_path / "etc/os-release").write_text('NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
    facts = device_facts(tmp_path)
    assert facts["cpu.isa"] == ("asimd", "asimddp")
    assert facts["memory_mb"] == 7859
    assert facts["board"] == "Raspberry Pi 5 Model B Rev 1.0"
    assert facts["os.name"] == "Debian GNU/Linux 12 (bookworm)"
    assert "cpu.model" not in facts


def test_what_cannot_be_read_is_absent_not_zero(tmp_path: Path) -> None:
    facts = device_facts(tmp_path)
    assert not {"memory_mb", "cpu.isa", "board", "os.name"} & facts.keys()
    assert facts["cpu.count"] == len(os.sched_getaffinity(0))
    assert all(value not in (None, "", 0) for value in facts.values())


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
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent.facts._version", installed.get)
    facts = device_facts(tmp_path)
    assert (facts.get("runtime.tflite"), facts.get("runtime.litert")) == (tflite, litert)
