"""Where environments lie, which count, and what a person reads where one is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from contracts.errors import StorageError, ToolchainMissingError
from converters.toolchains import environment
from converters.toolchains.environment import cache_folder, ensure, installed, installing_allowed
from converters.toolchains.pythons import find_python
from converters.toolchains.table import TOOLCHAINS
from tests.fakes.toolchain import LocalToolchain, make_toolchain

OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalToolchain:
    monkeypatch.setenv("EDGETALLY_CACHE", str(tmp_path / "cache"))
    made = make_toolchain(tmp_path)
    monkeypatch.setitem(TOOLCHAINS, made.name, made)
    return made


def put(folder: Path) -> None:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)


def test_the_cache_is_where_it_is_said_to_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EDGETALLY_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_folder() == Path("/home/somebody/.cache/edgetally")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache")
    assert cache_folder() == Path("/var/cache/edgetally")
    monkeypatch.setenv("EDGETALLY_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path


def test_an_environment_belongs_to_one_lock_and_one_python(tool: LocalToolchain) -> None:
    first = environment._folder(tool, "3.12")
    assert first.name.startswith("tiny-")
    assert first.name.endswith("-py3.12")
    assert environment._folder(tool, "3.11") != first
    tool.lock.write_text("# another\n")
    assert environment._folder(tool, "3.12") != first


def test_an_environment_of_an_older_lock_does_not_count(tool: LocalToolchain) -> None:
    put(environment._folder(tool, OWN))
    assert installed(tool) is not None
    tool.lock.write_text("# another\n")
    assert installed(tool) is None


def test_half_an_environment_does_not_count(tool: LocalToolchain) -> None:
    folder = environment._folder(tool, OWN)
    put(folder.with_name(f".{folder.name}.xyz") / "environment")
    assert installed(tool) is None


def test_what_is_missing_is_not_installed_unasked(tool: LocalToolchain) -> None:
    with pytest.raises(ToolchainMissingError, match="run: edgetally-convert tools install tiny"):
        ensure("tiny", allow_install=False)
    assert not cache_folder().exists()


@pytest.mark.parametrize(("value", "allowed"), [(None, False), ("", False), ("0", False), ("1", True)])
def test_a_variable_lets_a_build_install(value: str | None, allowed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGETALLY_INSTALL_TOOLS", raising=False)
    if value is not None:
        monkeypatch.setenv("EDGETALLY_INSTALL_TOOLS", value)
    assert installing_allowed() is allowed


def test_a_missing_python_is_named_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGETALLY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(TOOLCHAINS, "tiny", make_toolchain(tmp_path, pythons=("3.99",)))
    with pytest.raises(
        ToolchainMissingError,
        match=r"needs Python 3\.99.*apt install python3\.99-venv.*set EDGETALLY_PYTHON_3_99 to it",
    ):
        ensure("tiny", allow_install=True)


def test_a_cache_that_cannot_be_written_is_named(tool: LocalToolchain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGETALLY_CACHE", "/dev/null/cache")
    with pytest.raises(StorageError, match=r"cannot write /dev/null/cache"):
        ensure("tiny", allow_install=True)


class TestFindPython:
    def test_this_process_own_comes_first(self) -> None:
        found = find_python(("3.99", OWN))
        assert found is not None
        assert (found.path, found.version) == (Path(sys.executable), OWN)

    def test_the_variable_alone_counts_where_it_is_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("EDGETALLY_PYTHON_" + OWN.replace(".", "_"), "/nowhere/python")
        assert find_python((OWN,)) is None

    def test_pyenvs_versions_are_tried_and_shims_that_do_not_run_are_passed_over(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shims, versions = tmp_path / "shims", tmp_path / "versions" / "3.98.1" / "bin"
        for folder, text in ((shims, "#!/bin/sh\nexit 127\n"), (versions, "#!/bin/sh\necho 3.98\n")):
            folder.mkdir(parents=True)
            file = folder / ("python3.98" if folder == shims else "python")
            file.write_text(text)
            file.chmod(0o755)
        monkeypatch.setenv("PATH", str(shims), prepend=":")
        monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
        found = find_python(("3.98",))
        assert found is not None
        assert found.path == versions / "python"
