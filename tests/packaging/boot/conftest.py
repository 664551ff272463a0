"""One virtual box with the packages installed as on any other; what was seen of it is kept below build/boot."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.brokers import Mosquitto, Watcher
from tests.integration.squares import write_bundle, write_pictures
from tests.packaging.boot.box import SERVICE, Box
from tests.packaging.boot.image import Bare, bare_system, handed_in, layer
from tests.packaging.boot.machine import Machine, acceleration
from tests.packaging.conftest import BUILD, NAMES, ROOT, build

KEPT = ROOT / "build" / "boot"


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Bare:
    for tool in ("qemu-system-x86_64", "qemu-img", "mmdebstrap", "mke2fs"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool} here; run: make test-boot")
    if os.geteuid() != 0:
        pytest.skip("expected to be root, for a system is unpacked with its owners; run: sudo make test-boot")
    return bare_system(BUILD, tmp_path_factory.mktemp("boot"))


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk with the packages, a model, a road, and what breaks an agent."""
    folder = tmp_path_factory.mktemp("material")
    more = ["--arch", "amd64", "--python", "3.11", *(part for name in NAMES for part in ("--package", name))]
    build("deb", ROOT, folder / "debs", *more)
    write_bundle(folder / "bundle")
    write_pictures(folder / "road")
    shutil.copy(Path(__file__).with_name("probe.py"), folder)
    for name in ("__init__.py", "integration/__init__.py", "integration/faulty_agent.py"):
        target = folder / "python" / "tests" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text((ROOT / "tests" / name).read_text() if (ROOT / "tests" / name).exists() else "")
    return handed_in(folder, folder.with_suffix(".ext4"))


@pytest.fixture(scope="session")
def installed(bare: Bare, material: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A box that was bare, and counts; it is the same one for all tests, which leave it however they like."""
    folder = tmp_path_factory.mktemp("box")
    kind = acceleration(bare)
    machine = Machine(bare, layer(bare.disk, folder / "disk.qcow2", "raw"), material, folder, kind)
    broker = Mosquitto(folder).start()
    try:
        with Watcher(broker.port) as watcher:
            box = Box(machine, broker, watcher)
            _install(box, kind)
            yield box
            (KEPT / "figures.json").write_text(json.dumps(box.figures, indent=1) + "\n")
            _keep_journal(box)
            machine.shut_down()
    finally:
        machine.close()
        broker.stop()
        KEPT.mkdir(parents=True, exist_ok=True)
        shutil.copy(machine.console, KEPT / "console.log")


@pytest.fixture
def box(installed: Box) -> Box:
    """The box, counting."""
    installed.count()
    return installed


def _install(box: Box, kind: str) -> None:
    box.figures["acceleration"] = kind
    box.figures["from power until it takes orders, bare"] = box.machine.switch_on()
    began = time.monotonic()
    said = box.machine.run("apt-get install --yes /mnt/debs/*.deb").text
    box.figures["apt-get install"] = time.monotonic() - began
    began = time.monotonic()
    box.count(windows=1)
    box.figures["from the start of the service until its first report is at the broker"] = time.monotonic() - began
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / "install.log").write_text(said)


def _keep_journal(box: Box) -> None:
    if not box.machine.is_on:
        box.machine.switch_on()
    said = box.machine.run(f"journalctl --no-pager -o short-iso-precise -u {SERVICE}").text
    (KEPT / "journal.log").write_text(said)
