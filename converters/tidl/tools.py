"""Finding TI's tools, and running the worker in TI's own environment."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import ModelFileError, ToolchainMissingError
from converters.tidl.job import JOB, WORKER

TOOLS = "TIDL_TOOLS_PATH"
"""TI's own variable: the folder with ``tidl_model_import_tflite.so``."""
PYTHON = "EDGETALLY_TIDL_PYTHON"
"""The ``python`` of the environment that TI's ``setup.sh`` made (Python 3.10, its own tflite_runtime)."""
TIME_LIMIT_S = 3600.0

_IMPORTER = "tidl_model_import_tflite.so"
_LONGEST_LOG = 1 << 24
_SHOWN = 300


@dataclass(frozen=True)
class Tidl:
    """Tools that are here.

    Args:
        tools: their folder.
        python: the interpreter that runs them.
    """

    tools: Path
    python: Path


def find_tidl() -> Tidl | None:
    """The tools that the variables name; None where neither is set.

    Raises:
        ToolchainMissingError: only one is set, or it names something else.
    """
    tools, python = os.environ.get(TOOLS, ""), os.environ.get(PYTHON, "")
    if not tools and not python:
        return None
    cure = f"run setup.sh of TI's edgeai-tidl-tools (SOC=am68pa is TDA4VM) and set {TOOLS} and {PYTHON}, or neither"
    if not (Path(tools) / _IMPORTER).is_file():
        raise ToolchainMissingError("tidl", f"{TOOLS} should name a folder with {_IMPORTER}, it is {tools!r}", cure)
    if not os.access(python, os.X_OK) or not Path(python).is_file():
        raise ToolchainMissingError("tidl", f"{PYTHON} should name a Python interpreter, it is {python!r}", cure)
    return Tidl(Path(tools), Path(python))


def run_worker(tidl: Tidl, folder: Path, time_limit_s: float = TIME_LIMIT_S) -> str:
    """Run a written job and give back all that TIDL said.

    Raises:
        ModelFileError: it failed or took too long; the last line of what it said is given.
    """
    try:
        done = subprocess.run(  # noqa: S603 - the interpreter that the user named, our worker
            [str(tidl.python), WORKER.name, JOB],
            cwd=folder,
            env={
                "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
                "LD_LIBRARY_PATH": str(tidl.tools),
                "HOME": os.environ.get("HOME", "/"),
                "LANG": "C.UTF-8",
                TOOLS: str(tidl.tools),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=time_limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ModelFileError(f"TIDL took more than {time_limit_s:g} s; choose another target") from None
    except OSError as error:
        raise ModelFileError(f"TIDL's Python cannot be run: {error.strerror}; check {PYTHON}") from error
    said = done.stdout[-_LONGEST_LOG:].decode(errors="replace")
    if done.returncode != 0:
        last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "it said nothing")
        raise ModelFileError(f"TIDL ended with {done.returncode}: {last[:_SHOWN]}; choose another target")
    return said
