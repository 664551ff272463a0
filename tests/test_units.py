"""systemd's own view of the units: it understands every line, and little is left that they may do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parent.parent / "systemd"
SERVICES = sorted(path.name for path in SYSTEMD.glob("*.service"))
DROP_INS = sorted(path.name for path in (SYSTEMD / "drop-ins").glob("*.conf"))
CHOOSE = SYSTEMD / "choose-drop-ins"
ANALYZE = shutil.which("systemd-analyze")

MOST_EXPOSED = 1.5  # of a unit as it stands; 0 is locked up, 10 may do everything
MOST_EXPOSED_WITH_ALL = 2.0  # of the agent's with every drop-in that this systemd knows

needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not here")


def version() -> int:
    assert ANALYZE is not None
    told = subprocess.run([ANALYZE, "--version"], capture_output=True, text=True, check=True).stdout
    return int(told.split()[1])


def known_here(drop_in: str) -> bool:
    wants = re.search(r"^Systemd=(\d+)$", (SYSTEMD / "drop-ins" / drop_in).read_text(), re.MULTILINE)
    return wants is None or int(wants[1]) <= version()


def installed(folder: Path, service: str, drop_ins: list[str]) -> Path:
    """The unit as it would lie in /etc/systemd/system, with a program that is there."""
    text = re.sub(r"^ExecStart=/opt/\S+", "ExecStart=/bin/true", (SYSTEMD / service).read_text(), flags=re.MULTILINE)
    unit = folder / service
    unit.write_text(text)
    beside = folder / f"{service}.d"
    beside.mkdir()
    for name in drop_ins:
        shutil.copy(SYSTEMD / "drop-ins" / name, beside)
    return unit


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    return subprocess.run([ANALYZE, *arguments], capture_output=True, text=True, check=False)


def exposure(unit: Path) -> float:
    told = analyze("security", "--offline=true", "--no-pager", str(unit)).stdout
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", told)
    assert found is not None, told
    return float(found[1])


@needs_systemd
@pytest.mark.parametrize("service", SERVICES)
def test_systemd_has_nothing_to_say_against_a_unit(service: str, tmp_path: Path) -> None:
    told = analyze("verify", str(installed(tmp_path, service, [])))
    assert (told.stdout + told.stderr, told.returncode) == ("", 0)


@needs_systemd
@pytest.mark.parametrize("drop_in", DROP_INS)
def test_systemd_has_nothing_to_say_against_a_drop_in(drop_in: str, tmp_path: Path) -> None:
    if not known_here(drop_in):
        pytest.skip(f"{drop_in} is for a newer systemd than {version()}")
    told = analyze("verify", str(installed(tmp_path, "edgetally-agent.service", [drop_in])))
    assert (told.stdout + told.stderr, told.returncode) == ("", 0)


@needs_systemd
@pytest.mark.parametrize("service", SERVICES)
def test_a_unit_may_do_little(service: str, tmp_path: Path) -> None:
    assert exposure(installed(tmp_path, service, [])) <= MOST_EXPOSED


@needs_systemd
def test_with_every_drop_in_at_once_the_agent_still_may_do_little(tmp_path: Path) -> None:
    known = [name for name in DROP_INS if known_here(name)]
    assert exposure(installed(tmp_path, "edgetally-agent.service", known)) <= MOST_EXPOSED_WITH_ALL


def chosen(root: Path, *, packages: Path | None = None, systemd: str = "252") -> list[str]:
    environment = {**os.environ, "EDGETALLY_ROOT": str(root), "EDGETALLY_SYSTEMD": systemd}
    command = [str(CHOOSE), str(SYSTEMD / "drop-ins"), *([str(packages)] if packages else [])]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split()


def box(root: Path, *nodes: str) -> Path:
    for node in nodes:
        path = root / node
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ((), []),
        (("dev/null",), []),
        (("dev/video0",), ["camera-v4l2.conf"]),
        (("dev/dri/card0",), []),
        (("dev/dri/renderD128", "dev/accel/accel0"), ["gpu-drm.conf", "npu-intel.conf"]),
        (("dev/nvidiactl",), ["gpu-nvidia.conf"]),
        (("dev/nvmap",), ["jetson.conf"]),
        (("dev/nvhost-ctrl-gpu", "dev/video1"), ["camera-v4l2.conf", "jetson.conf"]),
        (("dev/fastrpc-cdsp",), ["qualcomm.conf"]),
        (("dev/apex_0",), ["coral.conf"]),
    ],
)
def test_a_box_gets_the_drop_ins_of_the_devices_that_it_has(
    nodes: tuple[str, ...], expected: list[str], tmp_path: Path
) -> None:
    assert chosen(box(tmp_path, *nodes)) == expected


def test_a_coral_stick_is_known_by_its_usb_id(tmp_path: Path) -> None:
    stick = tmp_path / "sys/bus/usb/devices/1-1"
    stick.mkdir(parents=True)
    (stick / "idVendor").write_text("1a6e\n")
    (stick / "idProduct").write_text("089a\n")
    assert chosen(tmp_path) == ["coral.conf"]
    (stick / "idProduct").write_text("0001\n")
    assert chosen(tmp_path) == []


def test_a_runtime_that_writes_machine_code_is_known_by_its_package(tmp_path: Path) -> None:
    packages = tmp_path / "site-packages"
    (packages / "onnxruntime").mkdir(parents=True)
    assert chosen(tmp_path, packages=packages) == []
    (packages / "openvino").mkdir()
    assert chosen(tmp_path, packages=packages) == ["jit.conf"]


def test_settings_of_a_newer_systemd_go_only_where_it_knows_them(tmp_path: Path) -> None:
    assert chosen(tmp_path, systemd="253") == []
    assert chosen(tmp_path, systemd="254") == ["254-backoff.conf", "254-credentials.conf"]
