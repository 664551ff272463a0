"""What boards are, and which targets' artifacts fit on them: theirs, and no other board's.

The trees are in ``boards``, whose README says where they come from. On each board every runtime of ours is taken to be
installed, so that what keeps a target away is the board.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from agent.facts import device_facts
from agent.soc_facts import _QNN_MODELS, _QUALCOMM_IDS, soc_facts
from contracts.facts import Facts, FactValue, Requirement, refusals
from runtime.hexagon import ARCHITECTURES
from targets.load import Target, all_targets
from tests.unit.agent.trees import BOARDS, tree

INSTALLED = {
    "onnxruntime": "1.31.1",
    "openvino": "2026.4.1",
    "onnxruntime-qnn": "2.7.0",
    "ai-edge-litert": "2.3.0",
    "tensorrt_rtx": "1.7.1.116",
}
ARM = {"arm64-onnxruntime", "arm64-tflite"}
X86 = {"x86-onnxruntime", "x86-tflite", "x86-openvino"}
EXPECTED: dict[str, tuple[dict[str, FactValue], set[str]]] = {
    "jetson-nano": (
        {"runtime.tensorrt": "8.2.1", "gpu.sm": 53, "jetpack": "4.6.1", "cpu.count": 4, "memory_mb": 3963},
        {"jetson-nano-jp4", *ARM},
    ),
    "jetson-xavier-nx": (
        {"runtime.tensorrt": "8.5.2", "gpu.sm": 72, "jetpack": "5.1.2", "power_mode": "MODE_15W_6CORE"},
        {"jetson-xavier-jp5", *ARM},
    ),
    "jetson-orin-nano": (
        {"runtime.tensorrt": "10.3.0.30", "gpu.sm": 87, "jetpack": "6.2", "cuda": "12.6.11", "swap_mb": 3810},
        {"jetson-orin-jp6", *ARM},
    ),
    "jetson-thor": (
        {"runtime.tensorrt": "10.13.3.9", "gpu.sm": 110, "jetpack": "7", "cpu.count": 14},
        {"jetson-thor-jp7", *ARM},
    ),
    "raspberry-pi-5": ({"soc": "BCM2712", "board": "Raspberry Pi 5 Model B Rev 1.0", "memory_mb": 8052}, ARM),
    "qcs6490-rb3gen2": (
        {"soc": "QCS6490", "qnn.soc_model": 35, "qnn.htp_arch": 68, "cpu.count": 8},
        {"qualcomm-qnn-v68", *ARM},
    ),
    "qcs8550-aim300": (
        {"soc": "QCS8550", "qnn.soc_model": 43, "qnn.htp_arch": 73},
        {"qualcomm-qnn-v73", *ARM},
    ),
    # The target of its own asks for TI's runtime, which a program of the user's has: `test_ti` below.
    "sk-tda4vm": ({"soc": "TDA4VM", "board": "Texas Instruments J721E SK", "cpu.count": 2}, ARM),
    "intel-nuc-core-ultra": (
        {"intel.gpu": 1, "intel.npu": 1, "cpu.model": "Intel(R) Core(TM) Ultra 7 155H", "cpu.count": 22},
        {"x86-openvino-gpu", "x86-openvino-npu", *X86},
    ),
}


def facts_of(root: Path, board: str) -> dict[str, FactValue]:
    return device_facts(tree(root, board), package=INSTALLED.get, ask_driver=lambda: "")


def needed(target: Target) -> Iterable[Requirement]:
    """What a target's artifacts require, and what the engines of TensorRT for RTX require beside it (their family)."""
    yield from target.requires
    if "compute" in target.options:
        yield Requirement(fact="gpu.sm", any_of=tuple(target.options["compute"].split(",")))


def fitting(facts: Facts) -> set[str]:
    return {target.name for target in all_targets() if not refusals(needed(target), facts)}


def test_every_tree_is_expected_and_every_expected_one_is_there() -> None:
    assert {path.name for path in BOARDS.iterdir() if path.is_dir()} == EXPECTED.keys()


@pytest.mark.parametrize("board", EXPECTED)
def test_a_board_is_known_by_its_files(tmp_path: Path, board: str) -> None:
    expected, _ = EXPECTED[board]
    facts = facts_of(tmp_path, board)
    assert {name: facts.get(name) for name in expected} == expected
    assert facts["arch"] == ("x86_64" if "intel" in board else "aarch64")


@pytest.mark.parametrize("board", EXPECTED)
def test_its_targets_fit_there_and_those_of_no_other_board(tmp_path: Path, board: str) -> None:
    _, expected = EXPECTED[board]
    assert fitting(facts_of(tmp_path, board)) == expected


@pytest.mark.parametrize("board", EXPECTED)
def test_a_board_without_our_runtimes_takes_none_of_their_artifacts(tmp_path: Path, board: str) -> None:
    facts = device_facts(tree(tmp_path, board), package=lambda _: None, ask_driver=lambda: "")
    assert all(name.startswith("jetson-") for name in fitting(facts))


def test_ti_s_own_target_is_kept_away_by_its_runtime_alone(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, "sk-tda4vm")
    target = next(target for target in all_targets() if target.name == "ti-tda4vm-tidl")
    assert refusals(target.requires, facts) == ["needs tidl at least 11.0, this device has no tidl"]


def test_a_qcm6490_takes_what_is_made_for_a_qcs6490(tmp_path: Path) -> None:
    root = tree(tmp_path, "qcs6490-rb3gen2")
    (root / "sys/devices/soc0/soc_id").write_text("497\n")
    assert soc_facts(root) == {"soc": "QCM6490", "qnn.soc_model": 35, "qnn.htp_arch": 68}


class TestQualcomm:
    """Which chip it is, told by its number or the device tree; what is not known is not guessed."""

    @pytest.mark.parametrize("soc_id", ["4711\n", "\n", "SM8550\n", "-1", "9" * 40])
    def test_a_number_that_is_not_known_leaves_it_to_the_device_tree(self, tmp_path: Path, soc_id: str) -> None:
        root = tree(tmp_path, "qcs8550-aim300")
        (root / "sys/devices/soc0/soc_id").write_text(soc_id)
        assert soc_facts(root) == {"soc": "QCS8550", "qnn.soc_model": 43, "qnn.htp_arch": 73}

    def test_a_chip_that_is_in_no_table_is_absent(self, tmp_path: Path) -> None:
        root = tree(tmp_path, "qcs8550-aim300")
        (root / "sys/devices/soc0/soc_id").write_text("321\n")
        (root / "proc/device-tree/compatible").write_bytes(b"thundercomm,db845c\0qcom,sdm845\0")
        assert soc_facts(root) == {}

    def test_another_maker_s_number_is_none_of_qualcomm_s(self, tmp_path: Path) -> None:
        root = tree(tmp_path, "raspberry-pi-5")
        (root / "sys/devices/soc0").mkdir(parents=True)
        (root / "sys/devices/soc0/soc_id").write_text("519\n")
        assert soc_facts(root) == {"soc": "BCM2712"}

    def test_every_chip_in_the_tables_has_an_architecture(self) -> None:
        assert set(_QNN_MODELS.values()) <= ARCHITECTURES.keys()
        assert set(_QUALCOMM_IDS.values()) <= _QNN_MODELS.keys()


@pytest.mark.parametrize(
    ("compatible", "soc"),
    [
        ("radxa,rock-5b\0rockchip,rk3588\0", "RK3588"),
        ("radxa,rock-5a\0rockchip,rk3588s\0", "RK3588S"),
        ("fsl,imx8mp-evk\0fsl,imx8mp\0", "i.MX8MP"),
        ("raspberrypi,4-model-b\0brcm,bcm2711\0", "BCM2711"),
        ("ti,j784s4-evm\0ti,j784s4\0", "TDA4VH"),
        ("acme,board\0acme,chip\0", None),
        ("\0\xff\0", None),
        ("", None),
    ],
)
def test_a_chip_is_named_by_the_device_tree(tmp_path: Path, compatible: str, soc: str | None) -> None:
    path = tmp_path / "sys/firmware/devicetree/base/compatible"
    path.parent.mkdir(parents=True)
    path.write_bytes(compatible.encode("latin-1"))
    assert soc_facts(tmp_path).get("soc") == soc
