"""Qualcomm's HTP through ONNX Runtime's QNN provider, with nothing left for the CPU.

The artifact is an ONNX file of one EPContext node and the context binary beside it, compiled for one chip family. On
x86-64 the same library emulates the processor: the numbers are its own, the speed is not (seconds a picture).
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnxruntime_qnn  # first: by its name a missing extra is known

# isort: split
import onnxruntime as ort

from contracts.errors import ArtifactError, DeviceError, ModelFileError
from runtime.backends.base import Lane, check_options
from runtime.hexagon import DEVICE_OPTIONS, METADATA, htp_problems
from runtime.results import Array, Tensors

PROVIDER = "QNNExecutionProvider"

_registering = threading.Lock()
_opening = threading.Lock()
_STDOUT, _STDERR = 1, 2


class QnnLane:
    """One caller of a session of its own: contexts of HTP share nothing but the processor."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session: ort.InferenceSession | None = session
        self._outputs = [output.name for output in session.get_outputs()]

    def infer(self, tensors: Tensors) -> Tensors:
        """Run the network once; see `runtime.backends.base.Lane`."""
        if self._session is None:
            raise RuntimeError("this lane was closed")
        try:
            values = self._session.run(self._outputs, dict(tensors))
        except Exception as error:  # its exceptions share no base class
            raise ArtifactError(f"QNN refuses the input: {_said(error)}; check the model's declared size") from error
        return dict(zip(self._outputs, (_as_array(value) for value in values), strict=True))

    def close(self) -> None:
        """Let go of the context, which holds memory of the processor."""
        self._session = None


def open_lanes(
    model_file: Path, *, execution_precision: str, lanes: int, threads: int, options: Mapping[str, str]
) -> list[Lane]:
    """See `runtime.backends.base.Backend`; options ``htp_arch`` and ``soc_model`` name the processor."""
    check_options("qnn", options, DEVICE_OPTIONS)
    problems = htp_problems(options) if options else []
    if problems:
        raise DeviceError(f"backend 'qnn' cannot be told so: {'; '.join(problems)}; build the bundle again")
    if execution_precision != "native":
        raise DeviceError(
            "QNN computes in the types that stand in the artifact; expected execution precision native, "
            f"got {execution_precision!r}; leave it out or choose another artifact"
        )
    if not model_file.is_file():
        raise ModelFileError(f"{model_file}: expected an ONNX file, there is none; check the path")
    return [QnnLane(_session(model_file, threads, options)) for _ in range(lanes)]


def _session(model_file: Path, threads: int, options: Mapping[str, str]) -> ort.InferenceSession:
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 4  # what it has to say is in the exception
    settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    device = _device()
    try:
        settings.add_provider_for_devices(
            [device],
            {
                "backend_path": onnxruntime_qnn.get_qnn_htp_path(),
                # On the CPU otherwise, where fallback to it is refused; older providers cannot read such contexts.
                "offload_graph_io_quantization": "0",
                **options,
            },
        )
        with _said_to_stderr():
            session = ort.InferenceSession(str(model_file), settings, enable_fallback=0)
    except Exception as error:  # its exceptions share no base class
        raise ModelFileError(f"{model_file}: QNN does not load it: {_said(error)}; convert it again") from error
    _check(model_file, session, options)
    return session


def _check(model_file: Path, session: ort.InferenceSession, options: Mapping[str, str]) -> None:
    providers = session.get_providers()
    if PROVIDER not in providers:
        raise DeviceError(f"expected {PROVIDER}, ONNX Runtime took {providers}; install its driver")
    made_for = session.get_modelmeta().custom_metadata_map
    for name, value in options.items():
        came = made_for.get(METADATA + name, value)
        if came != value:
            raise ModelFileError(f"{model_file}: was compiled for {name} {came}, expected {value}; convert it again")


@contextlib.contextmanager
def _said_to_stderr() -> Iterator[None]:
    """The emulator greets on stdout, where a caller's JSON may go: for as long as it loads, that is stderr."""
    with _opening:
        kept = os.dup(_STDOUT)
        try:
            os.dup2(_STDERR, _STDOUT)
            yield
        finally:
            os.dup2(kept, _STDOUT)
            os.close(kept)


def _device() -> ort.OrtEpDevice:
    """The provider's device: the NPU where the system shows it, else the only one there is (Linux shows none)."""
    with _registering:
        if not _devices():
            try:
                ort.register_execution_provider_library(PROVIDER, onnxruntime_qnn.get_library_path())
            except Exception as error:  # its exceptions share no base class
                raise DeviceError(
                    f"QNN's library does not load: {_said(error)}; it needs glibc 2.35 and the chip's own driver"
                ) from error
    devices = _devices()
    if not devices:
        raise DeviceError("expected a device of QNN, there is none; install the chip's driver")
    return next((device for device in devices if device.device.type.name == "NPU"), devices[0])


def _devices() -> list[ort.OrtEpDevice]:
    return [device for device in ort.get_ep_devices() if device.ep_name == PROVIDER]


def _said(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[-1] if lines else type(error).__name__)[:300]


def _as_array(value: object) -> Array:
    if not isinstance(value, np.ndarray):
        raise ArtifactError(f"expected a tensor as output, got {type(value).__name__}; export the model without it")
    return value
