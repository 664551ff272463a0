"""Qualcomm's Hexagon tensor processors (HTP): which chip family has which, and what names one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ARCHITECTURES: Mapping[str, str] = MappingProxyType(
    {
        "30": "68",
        "35": "68",
        "36": "69",
        "42": "69",
        "43": "73",
        "57": "75",
        "69": "79",
        "77": "73",
        "87": "81",
    }
)
"""SoC model (``QNN_SOC_MODEL_*`` of the QAIRT SDK's QnnTypes.h) to HTP architecture.

SM8350, SM7325 (QCS6490), SM8450, SM8475, SM8550 (QCS8550), SM8650, SM8750, QCS9100, SM8850: from the tables that
Qualcomm keeps in onnxruntime-qnn (``core/providers/qnn/soc_utility/soc_table.h``) and ExecuTorch
(``backends/qualcomm/serialization/qc_schema.py``), and from QnnTypes.h for SM7325.
"""

NO_FLOAT = frozenset({"68"})
"""Architectures without floating point."""

COMPILE_OPTIONS = ("htp_arch", "soc_model", "vtcm_mb")
DEVICE_OPTIONS = ("htp_arch", "soc_model")
METADATA = "edgetally.qnn."
"""Before the names of `DEVICE_OPTIONS` in an artifact's metadata: what it was compiled for."""

_MOST_VTCM_MB = 64  # none that is documented has more than 8


def htp_problems(options: Mapping[str, str]) -> list[str]:
    """What is wrong with options that name a processor, as sentences.

    The library has to be told the right thing: it takes any architecture whatever, silently, and goes by the SoC model.

    Args:
        options: ``htp_arch`` and ``soc_model``, both needed, and ``vtcm_mb``, the megabytes of vector memory to use.
    """
    problems = [f"expected the option {name}, there is none" for name in DEVICE_OPTIONS if name not in options]
    soc, arch = options.get("soc_model", ""), options.get("htp_arch", "")
    if "soc_model" in options and soc not in ARCHITECTURES:
        problems.append(f"soc_model should be one of {', '.join(ARCHITECTURES)}, got {soc!r}")
    if soc in ARCHITECTURES and "htp_arch" in options and ARCHITECTURES[soc] != arch:
        problems.append(f"soc_model {soc} has htp_arch {ARCHITECTURES[soc]}, got {arch!r}")
    vtcm = options.get("vtcm_mb")
    if vtcm is not None and not (vtcm.isascii() and vtcm.isdigit() and 1 <= int(vtcm) <= _MOST_VTCM_MB):
        problems.append(f"vtcm_mb should be a number from 1 to {_MOST_VTCM_MB}, got {vtcm!r}")
    return problems
