"""Which system-on-chip a board has, as facts; read from files below one root. A chip that is not known here is absent.

``soc`` is the chip's name as its maker writes it; ``qnn.soc_model`` and ``qnn.htp_arch`` are what artifacts for a
Qualcomm Hexagon processor are compiled for. TI's ``tidl`` is no fact of ours: no documented file tells its version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from agent.tree import read_text
from contracts.facts import FactValue
from runtime.hexagon import ARCHITECTURES

_QUALCOMM_IDS: Mapping[int, str] = MappingProxyType(
    {
        439: "SM8350",
        457: "SM8450",
        475: "SM7325",
        480: "SM8450",
        482: "SM8450",
        497: "QCM6490",
        498: "QCS6490",
        519: "SM8550",
        530: "SM8475",
        531: "SM8475",
        540: "SM8475",
        557: "SM8650",
        603: "QCS8550",
        604: "QCM8550",
        618: "SM8750",
        660: "SM8850",
        667: "QCS9100",
        676: "QCS9075",
    }
)
"""The number in /sys/devices/soc0/soc_id to the chip's name: Linux, include/dt-bindings/arm/qcom,ids.h (``QCOM_ID_*``;
SM8450_2 and _3, SM8475P and _2 are variants of the same chip)."""

_QNN_MODELS: Mapping[str, str] = MappingProxyType(
    {
        "SM8350": "30",
        "SM7325": "35",
        "QCM6490": "35",
        "QCS6490": "35",
        "SM8450": "36",
        "SM8475": "42",
        "SM8550": "43",
        "QCS8550": "43",
        "QCM8550": "43",
        "SM8650": "57",
        "SM8750": "69",
        "QCS9100": "77",
        "QCS9075": "77",
        "SM8850": "87",
    }
)
"""The chip's name to the SoC model that artifacts for it are compiled for, a key of `runtime.hexagon.ARCHITECTURES`,
where the numbers' source stands. QCM and QCS chips are taken as the mobile chip of the same silicon, as Qualcomm does
in LiteRT's soc_table.cc (QCM6490 is 35, QCS9075 is QCS9100) and as their device trees' ``compatible`` says (qcs8550 has
sm8550). QCS6490 boards are said to report 93 of themselves (google-ai-edge/LiteRT, pull request 8345): no table that we
know has that number, and what is compiled for 35 was not run on such a board.
"""

_CHIPS: Mapping[str, str] = MappingProxyType(
    {
        "brcm,bcm2711": "BCM2711",  # Raspberry Pi 4
        "brcm,bcm2712": "BCM2712",  # Raspberry Pi 5
        "fsl,imx8mm": "i.MX8MM",
        "fsl,imx8mn": "i.MX8MN",
        "fsl,imx8mp": "i.MX8MP",
        "fsl,imx8mq": "i.MX8MQ",
        "fsl,imx93": "i.MX93",
        "fsl,imx95": "i.MX95",
        "rockchip,rk3566": "RK3566",
        "rockchip,rk3568": "RK3568",
        "rockchip,rk3576": "RK3576",
        "rockchip,rk3588": "RK3588",
        "rockchip,rk3588s": "RK3588S",
        "ti,am62a7": "AM62A",
        "ti,j721e": "TDA4VM",
        "ti,j721s2": "TDA4AL",
        "ti,j722s": "TDA4AEN",
        "ti,j784s4": "TDA4VH",
    }
)
"""A name in the device tree's ``compatible`` to the chip: Linux, Documentation/devicetree/bindings/arm
(bcm/bcm2835.yaml, fsl.yaml, rockchip.yaml, ti/k3.yaml); TI's names of its chips from its datasheets."""

_TREES = ("proc/device-tree/compatible", "sys/firmware/devicetree/base/compatible")


def soc_facts(root: Path) -> dict[str, FactValue]:
    """``soc``, ``qnn.soc_model`` and ``qnn.htp_arch``, each absent where it is not known.

    Args:
        root: the file system's root; tests give the tree of another board.
    """
    compatible = _compatible(root)
    qualcomm = _qualcomm(root, compatible)
    if qualcomm is None:
        chip = next((_CHIPS[name] for name in compatible if name in _CHIPS), None)
        return {"soc": chip} if chip else {}
    model = _QNN_MODELS.get(qualcomm)
    if model is None:
        return {"soc": qualcomm}
    return {"soc": qualcomm, "qnn.soc_model": int(model), "qnn.htp_arch": int(ARCHITECTURES[model])}


def _qualcomm(root: Path, compatible: list[str]) -> str | None:
    """The chip by its number, which tells variants apart; else by the device tree, most special name first."""
    soc0 = root / "sys/devices/soc0"
    names = [name.removeprefix("qcom,").upper() for name in compatible if name.startswith("qcom,")]
    if not names and read_text(soc0 / "family").strip() != "Snapdragon":  # drivers/soc/qcom/socinfo.c
        return None
    number = read_text(soc0 / "soc_id").strip()
    if re.fullmatch(r"[0-9]{1,9}", number) and int(number) in _QUALCOMM_IDS:
        return _QUALCOMM_IDS[int(number)]
    return next((name for name in names if name in _QNN_MODELS), None)


def _compatible(root: Path) -> list[str]:
    """The board's and the chip's names, most special first; they end with a zero byte each."""
    text = next((text for path in _TREES if (text := read_text(root / path))), "")
    return [name.strip() for name in text.split("\0") if name.strip()]
