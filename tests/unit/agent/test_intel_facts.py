"""Intel's accelerators are found by what the kernel drives, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

from agent.intel_facts import intel_facts


def drive(root: Path, device: str, vendor: str) -> None:
    folder = root / "sys/class" / device / "device"
    folder.mkdir(parents=True)
    (folder / "vendor").write_text(f"{vendor}\n")


def test_graphics_and_npu_are_counted(tmp_path: Path) -> None:
    drive(tmp_path, "drm/renderD128", "0x8086")
    drive(tmp_path, "drm/renderD129", "0x8086")
    drive(tmp_path, "accel/accel0", "0x8086")
    assert intel_facts(tmp_path) == {"intel.gpu": 2, "intel.npu": 1}


def test_another_maker_s_graphics_are_none_of_intel_s(tmp_path: Path) -> None:
    drive(tmp_path, "drm/renderD128", "0x10de")
    assert intel_facts(tmp_path) == {}


def test_a_device_that_tells_nothing_is_absent(tmp_path: Path) -> None:
    (tmp_path / "sys/class/drm/renderD128").mkdir(parents=True)
    assert intel_facts(tmp_path) == {}
