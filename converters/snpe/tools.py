"""Finding Qualcomm's SDK, and running its tools in an environment of their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import ModelFileError, ToolchainMissingError
from converters.snpe.job import Tools

VARIABLES = ("EDGETALLY_SNPE_ROOT", "QAIRT_SDK_ROOT", "SNPE_ROOT", "QNN_SDK_ROOT")
"""Where the SDK is: the first that is set counts. The last three are what its ``bin/envsetup.sh`` and guides use."""
PYTHON = "EDGETALLY_SNPE_PYTHON"
"""Folder of the ``python3`` that the tools need (3.10), with the packages that the SDK asks for."""
TIME_LIMIT_S = 1800.0

_TRIPLE = "x86_64-linux-clang"
_NEEDED: dict[Tools, tuple[str, str]] = {
    "qairt": ("qairt-converter", "qairt-quantizer"),
    "snpe": ("snpe-onnx-to-dlc", "snpe-dlc-quantize"),
}
_SHOWN = 300


@dataclass(frozen=True)
class Sdk:
    """An SDK that is here.

    Args:
        root: its folder, named after its version as Qualcomm packs it.
        tools: which of the two generations of tools it has.
    """

    root: Path
    tools: Tools

    @property
    def bin(self) -> Path:
        """Its programs for this host."""
        return self.root / "bin" / _TRIPLE


def find_sdk() -> Sdk:
    """The SDK that the variables name.

    Raises:
        ToolchainMissingError: none is named, or the folder is no SDK.
    """
    found = next(((name, os.environ[name]) for name in VARIABLES if os.environ.get(name)), None)
    cure = (
        "install the Qualcomm AI Runtime SDK from Qualcomm's Software Center (free, with an account) and set "
        f"{VARIABLES[0]} to its folder, or write the job with converters.snpe.job.write_job and run it by hand"
    )
    if found is None:
        raise ToolchainMissingError("snpe", f"expected one of {', '.join(VARIABLES)} to be set, none is", cure)
    name, folder = found
    for tools, programs in _NEEDED.items():
        if all((Path(folder) / "bin" / _TRIPLE / program).is_file() for program in programs):
            return Sdk(Path(folder), tools)
    wanted = " or ".join(" and ".join(programs) for programs in _NEEDED.values())
    raise ToolchainMissingError("snpe", f"{name}={folder} should hold bin/{_TRIPLE} with {wanted}, it does not", cure)


def run_tools(sdk: Sdk, commands: Sequence[Sequence[str]], folder: Path, time_limit_s: float = TIME_LIMIT_S) -> None:
    """Run the commands of a job in its folder.

    Raises:
        ModelFileError: one failed or took too long; the last line of what it said is given.
    """
    for command in commands:
        program = command[0]
        if program not in _NEEDED[sdk.tools]:
            raise ModelFileError(
                f"job: expected one of {', '.join(_NEEDED[sdk.tools])}, got {program!r}; write it again"
            )
        try:
            done = subprocess.run(  # noqa: S603 - the program is one of four, in the folder that the user named
                [str(sdk.bin / program), *command[1:]],
                cwd=folder,
                env=_environment(sdk),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=time_limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ModelFileError(f"{program} took more than {time_limit_s:g} s; choose another target") from None
        except OSError as error:
            raise ModelFileError(f"{program} cannot be run: {error.strerror}; install the SDK again") from error
        if done.returncode != 0:
            said = _last_line(done.stderr) or _last_line(done.stdout) or "it said nothing"
            raise ModelFileError(f"{program} ended with {done.returncode}: {said}; choose another target")


def _environment(sdk: Sdk) -> dict[str, str]:
    """What envsetup.sh sets, and nothing of the caller's own Python."""
    folders = [os.environ.get(PYTHON, ""), str(sdk.bin), os.environ.get("PATH", "/usr/bin:/bin")]
    return {
        "PATH": os.pathsep.join(folder for folder in folders if folder),
        "PYTHONPATH": str(sdk.root / "lib" / "python"),
        "LD_LIBRARY_PATH": str(sdk.root / "lib" / _TRIPLE),
        "QAIRT_SDK_ROOT": str(sdk.root),
        "QNN_SDK_ROOT": str(sdk.root),
        "SNPE_ROOT": str(sdk.root),
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
    }


def _last_line(said: bytes) -> str:
    lines = [line.strip() for line in said[-(1 << 16) :].decode(errors="replace").splitlines() if line.strip()]
    return lines[-1][:_SHOWN] if lines else ""
