"""OpenVINO without its telemetry, which otherwise begins with the import, and fit for threads: the one import of it.

A box at the roadside calls nobody that its operator did not name, and leaves no id file in a home directory.
"""

from __future__ import annotations

import sys

# OpenVINO falls back to a stub of its own where the package cannot be imported; None is how Python says so.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino as ov  # noqa: E402 - only now
import openvino.properties as props  # noqa: E402
import openvino.properties.hint as hints  # noqa: E402

# Two threads that ask for a type's dtype before any other did wait for each other for ever, with the interpreter's lock
# (2026.4: one is in the initialisation of a static, lets the lock go there and wants it back; the other holds it and
# waits for the static). So it is asked here, while whoever else imports this waits.
ov.Type.f32.to_dtype()

__all__ = ["hints", "ov", "props"]
