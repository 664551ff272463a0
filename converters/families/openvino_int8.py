"""Quantising an OpenVINO model to INT8 with NNCF, after training."""

from __future__ import annotations

import io
import logging
from collections.abc import Collection
from contextlib import redirect_stdout
from pathlib import Path

from contracts.errors import ModelFileError, RuntimeMissingError
from converters.fold import PREFIX
from converters.quantize.reader import MOST, calibration_frames
from converters.read import first_line
from runtime.backends.quiet_openvino import ov

WHOLE_RANGE, _FULL = "whole-range", "full-bias-correction"
METHODS = ("mixed", WHOLE_RANGE, _FULL)
"""Symmetric weights of seven bits and asymmetric activations, with a fast correction of biases; then weights of all
eight bits, which overflow on processors without VNNI (yolox-nano: the counts of 186 pictures scattered by 0.76 about
those of FP32 instead of by 0.90); then, of seven bits again, also histograms for the ranges and a correction layer by
layer, which took MobileNetV3-small from -15.8 to -1.2 points (NNCF's own reference data)."""


def quantised(
    model: ov.Model, source: Path, input_name: str, calibration: Path, method: str, kept_out: Collection[str]
) -> ov.Model:
    """A copy of the model with fake quantisation in it.

    Args:
        model: as converted from ONNX.
        source: the file that a person knows.
        input_name: of its one input.
        calibration: .npy of uint8 ``(n, height, width, 3)``.
        method: one of `METHODS`.
        kept_out: names of ONNX nodes that stay in floating point.

    Raises:
        RuntimeMissingError: NNCF is not installed here.
        ModelFileError: it does not quantise the model, or a layer kept out is not in it.
    """
    try:
        import nncf
    except ModuleNotFoundError as error:
        raise RuntimeMissingError("quantising for OpenVINO", "nncf", "convert") from error
    # Its own set_log_level also silences every handler that somebody else attached to its logger.
    logging.getLogger("nncf").setLevel(logging.ERROR)
    scope = nncf.IgnoredScope(names=_layers(model, source, kept_out))
    frames = nncf.Dataset([{input_name: frame} for frame in calibration_frames(calibration)])
    # Older processors add products of bytes in 16 bits, which overflows: half the range, so that one artifact serves
    # them and those that do not need it.
    overflow = nncf.OverflowFix.DISABLE if method == WHOLE_RANGE else nncf.OverflowFix.ENABLE
    advanced = nncf.AdvancedQuantizationParameters(overflow_fix=overflow)
    if method == _FULL:
        advanced.activations_range_estimator_params = (
            nncf.quantization.range_estimator.RangeEstimatorParametersSet.HISTOGRAM
        )
    try:
        with redirect_stdout(io.StringIO()):  # it draws bars there, where a caller may expect JSON
            done = nncf.quantize(
                model.clone(),
                frames,
                preset=nncf.QuantizationPreset.MIXED,
                target_device=nncf.TargetDevice.ANY,
                subset_size=MOST,
                fast_bias_correction=method != _FULL,
                ignored_scope=scope,
                advanced_parameters=advanced,
            )
    except Exception as error:  # its exceptions share no base class
        raise ModelFileError(
            f"{source}: NNCF does not quantise it ({first_line(error)}); choose another precision"
        ) from error
    return done


def _layers(model: ov.Model, source: Path, kept_out: Collection[str]) -> list[str]:
    """OpenVINO's layers that came of ONNX nodes: it splits a bias off and calls the rest ``<name>/WithoutBiases``."""
    layers = [node.get_friendly_name() for node in model.get_ops()]
    named = {name: [layer for layer in layers if layer == name or layer.startswith(f"{name}/")] for name in kept_out}
    missing = [name for name, found in named.items() if not found]
    if missing:
        raise ModelFileError(f"{source}: OpenVINO has no layer {missing[0]!r} to keep out of INT8; keep out another")
    # The preparation is exact in float32 and costs next to nothing.
    prepared = [layer for layer in layers if layer.startswith(f"{PREFIX}/")]
    return sorted({layer for found in named.values() for layer in found} | set(prepared))
