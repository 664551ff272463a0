"""Real `venv` and pip make the box's environment from tiny wheels; what ran before runs on whatever goes wrong."""

from __future__ import annotations

import ast
import compileall
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.unit.tools.packages.tiny import PIP, Said, line, write_wheel
from tools.packages import environment
from tools.packages.environment import COMPLETE, EnvironmentMakingError, Home

PYTHON = "{}.{}".format(*sys.version_info[:2])


class Box:
    """The files that packages would have put there."""

    def __init__(self, root: Path, pip: Path) -> None:
        self.root = root
        self.home = Home(root, "agent", jetpack=root / "nv_tegra_release")
        (root / "lib").mkdir(parents=True)
        (root / "lib" / pip.name).symlink_to(pip)
        self.script = shutil.copy(environment.__file__, root / "lib" / "environment.py")

    def install(self, name: str = "agent", version: str = "1.0", body: str = "", *, jetpack: bool = False) -> None:
        folder = self.root / "components" / name
        shutil.rmtree(folder, ignore_errors=True)
        module = {"agent": "edgetally"}.get(name, name)
        wheel = write_wheel(folder / "wheels", Said(module, version, body))
        document = {"name": name, "version": version, "modules": [module], "jetpack": jetpack}
        (folder / "component.json").write_text(json.dumps(document))
        (folder / f"requirements-{PYTHON}.txt").write_text(line(wheel) + "\n")

    def says(self) -> str:
        command = str(self.root / "current" / "bin" / "edgetally-say")
        return subprocess.run([command], capture_output=True, text=True, check=True).stdout.strip()

    def has(self, module: str) -> bool:
        command = [str(self.root / "current" / "bin" / "python"), "-I", "-c", f"import {module}"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def environments(self) -> list[str]:
        return sorted(path.name for path in (self.root / "environments").iterdir())


@pytest.fixture(scope="module")
def pip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pip's wheel, unpacked and compiled: Python runs it as it runs the wheel, and starts it in half the time."""
    folder = tmp_path_factory.mktemp("pip") / PIP.name
    zipfile.ZipFile(PIP).extractall(folder)
    compileall.compile_dir(folder, quiet=1)
    return folder


@pytest.fixture
def box(tmp_path: Path, pip: Path) -> Box:
    return Box(tmp_path / "opt", pip)


def test_it_is_made_once_and_stays_while_nothing_changes(box: Box) -> None:
    box.install()
    assert box.home.make().startswith("made 1.0-cp")
    made = (box.root / "current" / COMPLETE).stat().st_mtime_ns
    assert "in place" in box.home.make()
    assert (box.root / "current" / COMPLETE).stat().st_mtime_ns == made
    assert box.says() == "edgetally 1.0"


def test_a_runtime_that_comes_is_in_it_and_one_that_goes_is_not(box: Box) -> None:
    box.install()
    box.install("onnxruntime")
    box.home.make()
    assert box.has("onnxruntime")
    shutil.rmtree(box.root / "components" / "onnxruntime")
    box.home.make()
    assert not box.has("onnxruntime")


def test_an_upgrade_keeps_the_one_before_and_only_that(box: Box) -> None:
    for version in ("1.0", "1.1", "1.2"):
        box.install(version=version)
        box.home.make()
    assert box.says() == "edgetally 1.2"
    assert [name.partition("-")[0] for name in box.environments()] == ["1.1", "1.2"]
    assert box.home.back().startswith("back to 1.1-")
    assert box.says() == "edgetally 1.1"


@pytest.mark.parametrize(
    ("body", "reason"),
    [("raise ImportError('no libgomp.so.1')", "libgomp"), ("import os; os.kill(os.getpid(), 4)", "signal 4")],
    ids=["does not load", "processor lacks an instruction"],
)
def test_one_that_does_not_work_here_never_becomes_current(box: Box, body: str, reason: str) -> None:
    box.install()
    box.home.make()
    box.install(version="1.1", body=body)
    with pytest.raises(EnvironmentMakingError, match=reason):
        box.home.make()
    assert box.says() == "edgetally 1.0"
    assert len(box.environments()) == 1


def test_a_wheel_that_was_changed_is_refused(box: Box) -> None:
    box.install()
    [wheel] = (box.root / "components" / "agent" / "wheels").iterdir()
    wheel.write_bytes(write_wheel(box.root / "other", Said("edgetally", "1.0", "import os")).read_bytes())
    with pytest.raises(EnvironmentMakingError, match=r"(?s)hash|HASH|find a version"):
        box.home.make()
    assert not box.home.current.exists()


def test_while_only_half_of_an_upgrade_is_there_what_ran_runs_on(box: Box) -> None:
    box.install()
    box.install("onnxruntime")
    box.home.make()
    box.install(version="1.1")
    assert "onnxruntime 1.0 must become 1.1" in box.home.make()
    assert box.says() == "edgetally 1.0"
    box.install("onnxruntime", "1.1")
    box.home.make()
    assert box.says() == "edgetally 1.1"


def test_versions_that_differ_on_a_new_box_are_refused(box: Box) -> None:
    box.install(version="1.1")
    box.install("onnxruntime", "1.0")
    with pytest.raises(EnvironmentMakingError, match="install all in one version"):
        box.home.make()


@pytest.mark.parametrize(("wanted", "jetpack"), [(True, True), (True, False), (False, True)])
def test_the_systems_own_packages_are_seen_only_on_jetpack_and_only_for_tensorrt(
    box: Box, wanted: bool, jetpack: bool
) -> None:
    box.install()
    box.install("tensorrt", jetpack=wanted)
    if jetpack:
        (box.root / "nv_tegra_release").touch()
    box.home.make()
    told = (box.root / "current" / "pyvenv.cfg").read_text()
    assert f"include-system-site-packages = {'true' if wanted and jetpack else 'false'}" in told


def test_a_python_without_wheels_is_named_with_those_that_have_some(box: Box) -> None:
    box.install()
    folder = box.root / "components" / "agent"
    (folder / f"requirements-{PYTHON}.txt").rename(folder / "requirements-3.99.txt")
    with pytest.raises(EnvironmentMakingError, match=r"for Python 3\.99, and .* is " + PYTHON):
        box.home.make()


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense"])
def test_a_damaged_component_is_refused(box: Box, text: str) -> None:
    box.install()
    (box.root / "components" / "agent" / "component.json").write_text(text)
    with pytest.raises(EnvironmentMakingError, match="install the package again"):
        box.home.make()


def test_going_back_where_there_is_nothing_before_is_refused(box: Box) -> None:
    with pytest.raises(EnvironmentMakingError, match="found none"):
        box.home.back()


def test_settings_of_pip_and_python_do_not_reach_it(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_TARGET", str(box.root / "elsewhere"))
    monkeypatch.setenv("PYTHONPATH", str(box.root / "lib"))
    box.install()
    box.home.make()
    assert box.says() == "edgetally 1.0"


@pytest.mark.parametrize("calls", [1, 2, 3])
def test_killed_while_it_is_made_the_one_before_runs_on_and_the_next_run_makes_it(box: Box, calls: int) -> None:
    box.install()
    box.home.make()
    box.install(version="1.1")
    # The process kills itself when it starts its n-th child: venv, pip, the trial.
    killing = (
        "import os, runpy, signal, subprocess, sys\n"
        "real, left = subprocess.run, [int(sys.argv.pop(1))]\n"
        "def run(*args, **more):\n"
        "    left[0] -= 1\n"
        "    if not left[0]: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return real(*args, **more)\n"
        "subprocess.run = run\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    command = [
        sys.executable,
        "-c",
        killing,
        str(calls),
        box.script,
        "make",
        "--home",
        str(box.root),
        "--main",
        "agent",
    ]
    assert subprocess.run(command, capture_output=True, check=False).returncode == -signal.SIGKILL
    assert box.says() == "edgetally 1.0"
    done = subprocess.run([sys.executable, *command[4:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert box.says() == "edgetally 1.1"
    assert len(box.environments()) == 2


def test_its_command_says_in_one_line_what_is_wrong(box: Box) -> None:
    command = [sys.executable, box.script, "make", "--home", str(box.root), "--main", "agent"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"error: expected {box.root}/components/agent; install the package again\n"


def test_it_needs_nothing_but_the_standard_library() -> None:
    tree = ast.parse(Path(environment.__file__).read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= set(sys.stdlib_module_names)
    assert os.fspath(environment.JETPACK) == "/etc/nv_tegra_release"
