"""OpenVINO without its telemetry, which otherwise begins with the import: the one place that imports it.

A box at the roadside calls nobody that its operator did not name, and leaves no id file in a home directory.
"""

from __future__ import annotations

import sys

# OpenVINO falls back to a stub of its own where the package cannot be imported; None is how Python says so.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino as ov  # noqa: E402 - only now
import openvino.properties as props  # noqa: E402
import openvino.properties.hint as hints  # noqa: E402

__all__ = ["hints", "ov", "props"]
