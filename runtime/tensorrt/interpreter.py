"""Which Python runs TensorRT: this one, or another one that has NVIDIA's bindings.

JetPack 5 ships TensorRT's bindings for Python 3.8 only, and edgetally needs 3.10. There the engine is built and run by
``/usr/bin/python3.8`` in a process of its own. Another one is named by the artifact's option ``python`` or by the
variable ``EDGETALLY_TENSORRT_PYTHON``; what was named is taken, or refused where it is not there.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path

from contracts.errors import DeviceError

PYTHON_OPTION = "python"
PYTHON_VARIABLE = "EDGETALLY_TENSORRT_PYTHON"

_JETPACK_5 = "usr/bin/python3.8"
_JETPACK_5_BINDINGS = "usr/lib/python3.8/dist-packages/tensorrt"


def other_python(
    option: str | None, environment: Mapping[str, str] = os.environ, root: Path = Path("/")
) -> Path | None:
    """The interpreter to start, or None where this one is to be used.

    Args:
        option: the artifact's or the box's option, which goes before the variable.
        environment: where the variable is looked up.
        root: the file system's root; tests give another.

    Raises:
        DeviceError: the interpreter that was named is not there.
    """
    named = option or environment.get(PYTHON_VARIABLE)
    if named:
        python = Path(named)
        if not (python.is_file() and os.access(python, os.X_OK)):
            raise DeviceError(
                f"expected a Python with TensorRT at {named}, there is none; correct the option {PYTHON_OPTION!r} or "
                f"the variable {PYTHON_VARIABLE}"
            )
        return python
    if importlib.util.find_spec("tensorrt") is None and (root / _JETPACK_5_BINDINGS).is_dir():
        python = root / _JETPACK_5
        return python if python.is_file() else None
    return None
