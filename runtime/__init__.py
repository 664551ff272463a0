"""Running a model, the same on host and device: prepare, backends, decoders, golden check, metrics.

Importing this package loads no inference runtime; a backend's own module does, when it is opened.
"""

import os

# ONNX Runtime (1.31, on Linux too) otherwise writes an id and a database below the home directory with the first
# session, and sends events to its maker; it reads this when it is loaded, here and in every process that comes of this
# one. Set here because its import has many places, and all of them are reached through this package (ADR 3).
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
