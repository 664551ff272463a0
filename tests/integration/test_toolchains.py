"""Isolated toolchains: an environment is made whole or not at all, and however a worker ends, it is noticed."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from contracts.errors import ModelFileError, ToolchainMissingError
from converters.toolchains.cli import app
from converters.toolchains.environment import Environment, cache_folder, ensure, installed, remove
from converters.toolchains.run import run, run_in
from converters.toolchains.table import TOOLCHAINS
from tests.fakes.toolchain import make_environment, make_toolchain

ANSWER = "import json, os, sys\njob = json.load(open(sys.argv[1]))\n"


class Job(BaseModel):
    number: int = 20


class Result(BaseModel):
    number: int


def work(folder: Path, program: str, time_limit_s: float = 60.0) -> Result:
    return run_in(make_environment(folder, ANSWER + program), Job(), Result, time_limit_s=time_limit_s)


class TestWorker:
    def test_a_job_goes_in_and_a_result_comes_out(self, tmp_path: Path) -> None:
        assert work(tmp_path, "json.dump({'number': job['number'] + 1}, open(sys.argv[2], 'w'))").number == 21

    def test_what_the_tool_refuses_is_said_in_its_words(self, tmp_path: Path) -> None:
        with pytest.raises(ModelFileError, match=r"toolchain tiny refuses the model \(no such operator\)"):
            work(tmp_path, "json.dump({'error': 'no such operator'}, open(sys.argv[2], 'w'))")

    def test_a_crash_is_named_with_the_last_that_was_said(self, tmp_path: Path) -> None:
        with pytest.raises(ModelFileError, match="toolchain tiny was ended by SIGSEGV: loading"):
            work(tmp_path, "print('begun\\nloading', file=sys.stderr, flush=True); os.kill(os.getpid(), 11)")

    def test_an_end_without_a_result_is_no_success(self, tmp_path: Path) -> None:
        with pytest.raises(ModelFileError, match="toolchain tiny ended with 0 and no result: it said nothing"):
            work(tmp_path, "")

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"number": "many"}', "[" * 100000, '{"error": 5}'])
    def test_a_garbled_result_is_refused(self, text: str, tmp_path: Path) -> None:
        (tmp_path / "text").write_text(text)
        with pytest.raises(ModelFileError, match="toolchain tiny answered with something that is no result of it"):
            work(tmp_path, f"open(sys.argv[2], 'w').write(open({str(tmp_path / 'text')!r}).read())")

    def test_one_that_hangs_is_ended_with_all_that_it_started(self, tmp_path: Path) -> None:
        started = tmp_path / "pid"
        program = (
            "import subprocess, time\n"
            "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
            f"open({str(started)!r}, 'w').write(str(child.pid)); time.sleep(600)"
        )
        with pytest.raises(ModelFileError, match="toolchain tiny took more than 2 s"):
            work(tmp_path, program, time_limit_s=2)
        try:
            child = os.pidfd_open(int(started.read_text()))
        except ProcessLookupError:
            return
        with os.fdopen(child, "rb"):
            assert select.select([child], [], [], 30)[0], "it still runs"

    def test_it_gets_none_of_the_callers_secrets(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BROKER_PASSWORD", "secret")
        monkeypatch.setenv("PYTHONPATH", "/somewhere")
        with pytest.raises(ModelFileError, match=r"refuses the model \(\[\]\)"):
            work(
                tmp_path,
                "names = {'BROKER_PASSWORD', 'PYTHONPATH'} & os.environ.keys()\n"
                "json.dump({'error': str(sorted(names))}, open(sys.argv[2], 'w'))",
            )


class TestEnvironment:
    @pytest.fixture(autouse=True)
    def _cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("EDGETALLY_CACHE", str(tmp_path / "cache"))
        monkeypatch.delenv("EDGETALLY_INSTALL_TOOLS", raising=False)
        program = ANSWER + "json.dump({'number': len(sys.prefix)}, open(sys.argv[2], 'w'))"
        monkeypatch.setitem(TOOLCHAINS, "tiny", make_toolchain(tmp_path, program))

    def test_two_at_once_make_one_that_runs_and_can_be_removed(self) -> None:
        made: list[Environment] = []
        told: list[str] = []

        def make() -> None:
            made.append(ensure("tiny", allow_install=True, progress=lambda what, _done, _total: told.append(what)))

        threads = [threading.Thread(target=make) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert made[0] == made[1] == installed(TOOLCHAINS["tiny"])
        assert len([what for what in told if what.startswith("making an environment")]) == 1
        assert run("tiny", Job(), Result).number == len(str(made[0].folder))
        packages = [str(made[0].python), "-I", "-m", "pip", "list", "--format", "freeze"]
        assert "pytest" not in subprocess.run(packages, capture_output=True, text=True, check=True).stdout
        assert remove("tiny") == 1
        assert not [path for path in (cache_folder() / "toolchains").iterdir() if path.is_dir()]

    def test_what_pip_refuses_leaves_nothing_behind(self) -> None:
        TOOLCHAINS["tiny"].lock.write_text("no-hash-given==1.0\n")
        with pytest.raises(ToolchainMissingError, match=r"tiny: it could not be installed \(ERROR: .*hash"):
            ensure("tiny", allow_install=True)
        assert installed(TOOLCHAINS["tiny"]) is None
        assert not [path for path in (cache_folder() / "toolchains").iterdir() if path.is_dir()]

    def test_the_command_line_lists_them(self) -> None:
        listed = CliRunner().invoke(app, ["list", "--json"])
        rows = {row["name"]: row for row in json.loads(listed.stdout)}
        assert rows.keys() == TOOLCHAINS.keys()
        assert rows["tiny"]["installed"] is None
        assert "for tests" in CliRunner().invoke(app, ["list"], env={"COLUMNS": "200"}).stdout


def test_the_workers_start_where_nothing_of_ours_can_be_imported(tmp_path: Path) -> None:
    """They are run by another Python: what they need of ours would be missing there."""
    for tool in TOOLCHAINS.values():
        (tmp_path / "job.json").write_text("{}")
        answer = tmp_path / f"{tool.name}.json"
        command = [sys.executable, "-I", str(tool.program), str(tmp_path / "job.json"), str(answer)]
        subprocess.run(command, cwd=tmp_path, env={"PATH": os.environ["PATH"]}, check=True)
        assert "error" in json.loads(answer.read_text())
