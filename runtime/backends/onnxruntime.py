"""ONNX Runtime on the CPU provider; any other provider is refused rather than fallen back from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort

from contracts.errors import ArtifactError, DeviceError, ModelFileError
from runtime.backends.base import Lane, check_options
from runtime.results import Array, Tensors

_PROVIDER = "CPUExecutionProvider"


class OnnxRuntimeLane:
    """One caller of a session; the session itself may be shared, its run is thread-safe."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session
        self._outputs = [output.name for output in session.get_outputs()]

    def infer(self, tensors: Tensors) -> Tensors:
        """Run the network once; see `runtime.backends.base.Lane`."""
        try:
            values = self._session.run(self._outputs, dict(tensors))
        except Exception as error:  # its exceptions share no base class
            raise ArtifactError(f"ONNX Runtime refuses the input: {error}; check the model's declared size") from error
        return dict(zip(self._outputs, (_as_array(value) for value in values), strict=True))

    def close(self) -> None:
        """The session goes with the last lane that holds it."""


def open_lanes(
    model_file: Path, *, execution_precision: str, lanes: int, threads: int, options: Mapping[str, str]
) -> list[Lane]:
    """See `runtime.backends.base.Backend`."""
    check_options("onnxruntime", options)
    if execution_precision != "f32":
        raise DeviceError(
            f"ONNX Runtime on a CPU computes in the types that stand in the graph; expected execution precision f32, "
            f"got {execution_precision!r}; leave it out or choose another artifact"
        )
    if not model_file.is_file():
        raise ModelFileError(f"{model_file}: expected an ONNX file, there is none; check the path")
    # One session a lane: sessions share nothing, so that lanes do not wait for one another's arena or thread pool.
    return [OnnxRuntimeLane(_session(model_file, threads)) for _ in range(lanes)]


def _session(model_file: Path, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning threads of one lane would take the core from the other lanes and from decoding.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = ort.InferenceSession(str(model_file), options, providers=[_PROVIDER])
    except Exception as error:  # its exceptions share no base class
        raise ModelFileError(f"{model_file}: ONNX Runtime does not load it: {error}; convert it again") from error
    if session.get_providers() != [_PROVIDER]:
        raise DeviceError(f"expected {_PROVIDER} alone, ONNX Runtime took {session.get_providers()}")
    return session


def _as_array(value: object) -> Array:
    if not isinstance(value, np.ndarray):
        raise ArtifactError(f"expected a tensor as output, got {type(value).__name__}; export the model without it")
    return value
