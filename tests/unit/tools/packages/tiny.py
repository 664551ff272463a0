"""A checkout of a few small files and wheels, from which real packages are built in a moment and without a network."""

from __future__ import annotations

import ensurepip
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

from runtime.bundle import sha256
from tests.fakes.wheelhouse import Shelf
from tools.packages.tree import Ingredients
from tools.packages.wheels import Wheel

ROOT = Path(__file__).parents[4]
EPOCH = 1_700_000_000
PIP = next((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"))


@dataclass(frozen=True)
class Said:
    """A wheel's name, version, and what its one module does when it is imported."""

    name: str
    version: str = "1.0"
    body: str = ""
    tag: str = "py3-none-any"


def write_wheel(folder: Path, said: Said) -> Path:
    """A wheel that pip installs: one module, and a command that prints the version."""
    info = f"{said.name}-{said.version}.dist-info"
    path = folder / f"{said.name}-{said.version}-{said.tag}.whl"
    body = f"{said.body}\ndef main():\n    print('{said.name} {said.version}')\n"
    files = {
        f"{said.name}.py": body,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {said.name}\nVersion: {said.version}\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tiny\nRoot-Is-Purelib: true\nTag: {said.tag}\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{said.name}-say = {said.name}:main\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return path


def line(wheel: Path) -> str:
    """What a lock says about it."""
    name, version, *_ = wheel.name.split("-")
    return f"{name}=={version} --hash=sha256:{sha256(wheel)}"


def ingredients(folder: Path, version: str = "1.2.3", architecture: str = "amd64") -> Ingredients:
    """A checkout with our own units and scripts, and tiny wheels."""
    source = folder / "source"
    if not source.exists():
        for name in ("systemd", "packaging"):
            shutil.copytree(ROOT / name, source / name)
        (source / "docs").mkdir()
        (source / "docs" / "service.md").write_text("# Service\n")
        (source / "CHANGELOG.md").write_text("# Changelog\n")
        (source / "contracts").mkdir()
    (source / "contracts" / "version.py").write_text(f'VERSION = "{version}"\n')
    own = write_wheel(folder / "wheels", Said("edgetally", version))
    base = write_wheel(folder / "wheels", Said("ground", tag="py3-none-manylinux_2_28_x86_64"))
    more = write_wheel(folder / "wheels", Said("more"))
    pip = Path(shutil.copy(PIP, folder / "wheels"))
    locks = source / "requirements" / "box"
    locks.mkdir(parents=True, exist_ok=True)
    for name in ("agent", "fleet"):
        (locks / f"{name}.txt").write_text(line(base) + "\n")
    for name in ("onnxruntime", "openvino", "tflite", "tensorrt"):
        (locks / f"{name}.txt").write_text(f"{line(base)}\n{line(more)}\n")
    (locks / "pip.txt").write_text(line(pip) + "\n")
    shelf = Shelf(base, more, pip)
    return Ingredients(source, architecture, ("3.10", "3.11"), EPOCH, Wheel(own, line(own)), shelf)
