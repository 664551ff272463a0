"""Running a toolchain: a JSON job in, a JSON result out, in a process whose end is always noticed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import IO, TypeVar

from pydantic import BaseModel, ValidationError

from contracts.errors import ModelFileError
from converters.processes import SHOWN, last_line, signal_name
from converters.toolchains.environment import Environment, ensure, installing_allowed

TIME_LIMIT_S = 1800.0
_LARGEST_RESULT = 1 << 26  # bytes
_TAIL = 1 << 14  # bytes of what it wrote to stderr that are read
# All that a worker gets of its caller's variables: a converter has no need of anybody's credentials.
_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")

Result = TypeVar("Result", bound=BaseModel)


def run(name: str, job: BaseModel, result: type[Result], *, time_limit_s: float = TIME_LIMIT_S) -> Result:
    """Run a toolchain's worker once.

    Args:
        name: of the toolchain.
        job: what its worker is told.
        result: what it answers with.
        time_limit_s: seconds that it may take.

    Raises:
        UnknownNameError: there is no such toolchain.
        ToolchainMissingError: it is not installed here.
        ModelFileError: it refuses the model, crashed, took too long, or answered with something else.
    """
    return run_in(ensure(name, allow_install=installing_allowed()), job, result, time_limit_s=time_limit_s)


def run_in(environment: Environment, job: BaseModel, result: type[Result], *, time_limit_s: float) -> Result:
    """Run the worker of an environment; see `run`."""
    name = environment.toolchain.name
    with tempfile.TemporaryDirectory(prefix=f"edgetally-{name}-") as folder:
        question, answer = Path(folder, "job.json"), Path(folder, "result.json")
        question.write_text(job.model_dump_json(), encoding="utf-8")
        program = str(environment.toolchain.program)
        command = [str(environment.python), "-I", "-B", program, str(question), str(answer)]
        problem = _execute(command, Path(folder), time_limit_s)
        return _read(name, answer, result, problem)


def _execute(command: list[str], folder: Path, time_limit_s: float) -> str:
    """How it ended, with the last that it said, should there be no result; never raises for a tool's failure."""
    surroundings = {key: os.environ[key] for key in _KEPT if key in os.environ}
    surroundings["HOME"] = str(folder)
    with tempfile.TemporaryFile() as errors:
        # A session of its own, so that whatever it starts ends with it.
        process = subprocess.Popen(  # noqa: S603 - a table's interpreter and worker
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            cwd=folder,
            env=surroundings,
            start_new_session=True,
        )
        try:
            code = process.wait(time_limit_s)
        except subprocess.TimeoutExpired:
            return f"took more than {time_limit_s:g} s"
        finally:
            _end(process)
        return f"{_ending(code)} {_last_line(errors)}".rstrip()


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):  # all of it has ended already
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _ending(code: int) -> str:
    return f"ended with {code} and no result:" if code >= 0 else f"was ended by {signal_name(-code)}:"


def _last_line(errors: IO[bytes]) -> str:
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - _TAIL))
    return last_line(errors.read()) or "it said nothing"


def _read(name: str, answer: Path, result: type[Result], problem: str) -> Result:
    """The result, which counts only where the worker wrote it whole."""
    if not answer.is_file():
        raise ModelFileError(f"toolchain {name} {problem}; choose another target or export the model again")
    if answer.stat().st_size > _LARGEST_RESULT:
        raise ModelFileError(f"toolchain {name} answered with more than {_LARGEST_RESULT} bytes; install it again")
    try:
        document = json.loads(answer.read_bytes())
        if isinstance(document, dict) and isinstance(document.get("error"), str):
            reason = document["error"][:SHOWN]
            raise ModelFileError(
                f"toolchain {name} refuses the model ({reason}); choose another target or export the model again"
            )
        return result.model_validate(document)
    except (ValueError, ValidationError, RecursionError) as error:
        raise ModelFileError(
            f"toolchain {name} answered with something that is no result of it; "
            f"run: edgetally-convert tools remove {name}, then install it again"
        ) from error
