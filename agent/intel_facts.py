"""How many Intel graphics and NPUs the kernel drives; a driver that is missing is a device that is not there."""

from __future__ import annotations

from pathlib import Path

from contracts.facts import FactValue

_INTEL = "0x8086"  # PCI vendor id, pci-ids
_CLASSES = {"intel.gpu": "drm/renderD*", "intel.npu": "accel/accel*"}  # Linux: Documentation/gpu, Documentation/accel


def intel_facts(root: Path) -> dict[str, FactValue]:
    """``intel.gpu`` and ``intel.npu``: how many there are, each absent where there is none.

    Args:
        root: the file system's root; tests give the captured tree of another box.
    """
    found = {
        fact: sum(_vendor(device) == _INTEL for device in (root / "sys/class").glob(pattern))
        for fact, pattern in _CLASSES.items()
    }
    return {fact: count for fact, count in found.items() if count}


def _vendor(device: Path) -> str:
    try:
        return (device / "device/vendor").read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
