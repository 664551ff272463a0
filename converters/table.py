"""The target families that exist, by the name that a target gives; asking imports none of them."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import cast

from contracts.errors import RuntimeMissingError, UnknownNameError
from converters.families.base import Family
from converters.toolchains.table import TOOLCHAINS

EXTRA = "convert"
_EXTRAS = {"onnxruntime_qnn": "qnn", "tensorrt_rtx": "tensorrt-rtx"}  # of packages that ``convert`` does not bring


@dataclass(frozen=True)
class Entry:
    """Where a family is.

    Args:
        module: imported when the family is opened.
        packages: import names that it needs, those of its backend included.
        settable: options that a person may set for a build, with their values; no values where the family alone can
            tell. What a target's facts follow from (a chip, a release) is none of them.
    """

    module: str
    packages: tuple[str, ...]
    settable: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_PLACEMENT = {"placement": ("edgetally", "modelopt")}
_TIDL = {
    "tensor_bits": ("8", "16"),
    "accuracy_level": ("0", "1"),
    "allow_host_fallback": ("true", "false"),
    "calibration_frames": (),
    "calibration_iterations": (),
    "deny_types": (),
}
FAMILIES = {
    "onnxruntime": Entry("converters.families.onnxruntime", ("onnx", "onnxruntime"), {"int8": ("u8s8", "u8u8")}),
    "openvino": Entry("converters.families.openvino", ("openvino",)),
    "qnn": Entry("converters.families.qnn", ("onnx", "onnxruntime", "onnxruntime_qnn")),
    "snpe": Entry("converters.families.snpe", ("onnx",)),
    "tidl": Entry("converters.families.tidl", ("onnx", "ai_edge_litert"), _TIDL),
    "tflite": Entry("converters.families.tflite", ("onnx", "ai_edge_litert")),
    "tensorrt": Entry("converters.families.tensorrt", ("onnx", "onnxruntime", "onnxconverter_common"), _PLACEMENT),
    "tensorrt_rtx": Entry(
        "converters.families.tensorrt_rtx",
        ("onnx", "onnxruntime", "onnxconverter_common", "tensorrt_rtx"),
        {"compute": ()},
    ),
    "deepstream": Entry("converters.families.deepstream", ("onnx", "onnxruntime", "onnxconverter_common"), _PLACEMENT),
}
_TOOLS = (
    *("onnx", "onnxslim", "onnxruntime", "onnxconverter-common", "numpy", "openvino", "nncf"),
    *("onnxruntime-qnn", "tensorrt-rtx", "ai-edge-litert"),
)
_FRONT_END = ("onnx", "onnxruntime", "onnxslim", "jinja2")  # reading to reporting, whatever the target


def open_family(name: str) -> Family:
    """The family of that name.

    Raises:
        UnknownNameError: there is none.
        RuntimeMissingError: a package that it needs is not installed here.
    """
    package = missing_package(name)
    if package:
        raise RuntimeMissingError(f"target family {name!r}", package, extra_of(package))
    return cast("Family", importlib.import_module(FAMILIES[name].module))


def extra_of(package: str) -> str:
    """The extra of edgetally that brings a package."""
    return _EXTRAS.get(package, EXTRA)


def missing_package(name: str) -> str | None:
    """The first package that a family needs and that is not installed here, or None.

    Raises:
        UnknownNameError: there is no such family.
    """
    if name not in FAMILIES:
        raise UnknownNameError("target family", name, FAMILIES)
    return _first_missing(FAMILIES[name].packages)


def check_front_end() -> None:
    """See that the packages which every conversion needs are here.

    Raises:
        RuntimeMissingError: one is not.
    """
    package = _first_missing(_FRONT_END)
    if package:
        raise RuntimeMissingError("converting a model", package, EXTRA)


def versions() -> dict[str, str | None]:
    """Versions of everything here that an artifact's bytes may follow from; None where a package is not installed."""
    toolchains = {tool.name: tool.lock_digest for tool in TOOLCHAINS.values()}
    return {package: _version(package) for package in _TOOLS} | toolchains


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _first_missing(packages: tuple[str, ...]) -> str | None:
    return next((package for package in packages if importlib.util.find_spec(package) is None), None)
