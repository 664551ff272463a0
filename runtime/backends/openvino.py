"""OpenVINO on the CPU plugin; the execution precision is set and read back, never left to the plugin.

Without that the CPU plugin runs bf16 on processors with AMX and says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from contracts.errors import ArtifactError, DeviceError, ModelFileError
from runtime.backends.base import Lane, check_options
from runtime.backends.quiet_openvino import hints, ov, props
from runtime.results import Array, Tensors

_PROCESSOR = "CPU"
_PRECISIONS = {"f32": ov.Type.f32, "bf16": ov.Type.bf16, "f16": ov.Type.f16}


class OpenVinoLane:
    """One infer request; its outputs are views of the request's own memory."""

    def __init__(self, compiled: ov.CompiledModel) -> None:
        self._request = compiled.create_infer_request()
        self._inputs = {
            port.any_name: (port, tuple(port.shape), port.element_type.to_dtype()) for port in compiled.inputs
        }
        self._outputs: dict[str, Array] = {
            port.any_name: self._request.get_tensor(port).data for port in compiled.outputs
        }

    def infer(self, tensors: Tensors) -> Tensors:
        """Run the network once; see `runtime.backends.base.Lane`."""
        for name, (port, shape, dtype) in self._inputs.items():
            value = tensors.get(name)
            if value is None or value.shape != shape or value.dtype != dtype:
                came = "nothing" if value is None else f"{value.dtype} {value.shape}"
                raise ArtifactError(f"input {name!r} should be {dtype} {shape}, got {came}; check the declared size")
            self._request.set_tensor(port, ov.Tensor(value, shared_memory=True))
        try:
            self._request.infer()
        except RuntimeError as error:
            raise ArtifactError(f"OpenVINO failed: {error}; choose another artifact") from error
        return self._outputs

    def close(self) -> None:
        """The request goes with this object."""


def open_lanes(
    model_file: Path, *, execution_precision: str, lanes: int, threads: int, options: Mapping[str, str]
) -> list[Lane]:
    """See `runtime.backends.base.Backend`; option ``device`` names a plugin (``CPU``, ``GPU``, ``NPU``)."""
    check_options("openvino", options, {"device"})
    precision = _PRECISIONS.get(execution_precision)
    if precision is None:
        raise DeviceError(
            f"OpenVINO's execution precision should be one of {', '.join(_PRECISIONS)}, got {execution_precision!r}"
        )
    if not model_file.is_file():
        raise ModelFileError(f"{model_file}: expected an OpenVINO IR (.xml), there is none; check the path")
    device = options.get("device", _PROCESSOR)
    compiled = _compile(model_file, device, _settings(device, precision, lanes, threads))
    came = compiled.get_property(hints.inference_precision())
    if came != precision:
        raise DeviceError(
            f"expected execution precision {execution_precision}, OpenVINO took {came.to_string()}; "
            "this processor lacks it: choose another precision"
        )
    return [OpenVinoLane(compiled) for _ in range(lanes)]


def _settings(device: str, precision: ov.Type, lanes: int, threads: int) -> dict[str, object]:
    # Streams rather than one wide request: two one-thread streams gave 70 fps where one two-thread caller gave 20-26.
    settings: dict[str, object] = {hints.inference_precision(): precision, props.num_streams(): lanes}
    if device == _PROCESSOR:
        settings[props.inference_num_threads()] = lanes * threads
        settings[hints.enable_cpu_pinning()] = False  # pinned streams would fight the decoder for the same core
    return settings


def _compile(model_file: Path, device: str, settings: dict[str, object]) -> ov.CompiledModel:
    core = ov.Core()
    # Not asked for the processor, which is always there: the answer loads the plugins of graphics and NPU, 20 MB.
    if device != _PROCESSOR and device not in {name.partition(".")[0] for name in core.available_devices}:
        came = ", ".join(core.available_devices)
        raise DeviceError(f"expected OpenVINO's device {device}, this box has {came}; install its driver")
    try:
        return core.compile_model(str(model_file), device, settings)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ModelFileError(f"{model_file}: OpenVINO does not load it: {reason}; convert the model again") from error
