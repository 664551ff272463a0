"""Facts of NVIDIA boxes, from trees of files.

No tree was captured by us: each file is written down from where its comment says, and shortened. `doc` is NVIDIA's
documentation, `tree` the Linux kernel's device tree sources, `report` a board's owner who printed the file in public.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.gpu_facts import _sm_of, gpu_facts

Tree = dict[str, str]

NANO_JP46: Tree = {
    # tree: arch/arm64/boot/dts/nvidia/tegra210-p3450-0000.dts
    "proc/device-tree/compatible": "nvidia,p3450-0000\0nvidia,tegra210\0",
    # report: the form of R32, as in dusty-nv/jetson-inference's install script; 32.7.1 is JetPack 4.6.1 (doc: archive)
    "etc/nv_tegra_release": "# R32 (release), REVISION: 7.1, BOARD: t210ref, EABI: aarch64\n",
    # doc: L4T 32.7, CUDA 10.2
    "usr/local/cuda/version.txt": "CUDA Version 10.2.300\n",
    # doc: TensorRT 8.2.1 in JetPack 4.6.1; Debian versions of that time name no build
    "var/lib/dpkg/status": (
        "Package: libnvinfer-bin\nStatus: install ok installed\nVersion: 8.2.1-1+cuda10.2\n\n"
        "Package: libnvinfer8\nStatus: install ok installed\nVersion: 8.2.1-1+cuda10.2\n\n"
    ),
    # doc: NvInferVersion.h of TensorRT 8.2.1
    "usr/include/aarch64-linux-gnu/NvInferVersion.h": (
        "#define NV_TENSORRT_MAJOR 8 //!< TensorRT major version.\n#define NV_TENSORRT_MINOR 2 //!< minor\n"
        "#define NV_TENSORRT_PATCH 1 //!< patch\n#define NV_TENSORRT_BUILD 8 //!< build\n"
    ),
}
XAVIER_JP51: Tree = {
    # tree: tegra194-p2972-0000.dts
    "proc/device-tree/compatible": "nvidia,p2972-0000\0nvidia,p2888-0000\0nvidia,tegra194\0",
    # report: R35.4.1 as in jetson_stats' issues
    "etc/nv_tegra_release": "# R35 (release), REVISION: 4.1, BOARD: t186ref, EABI: aarch64\n",
    # doc: CUDA 11.4 has version.json
    "usr/local/cuda/version.json": '{"cuda": {"name": "CUDA SDK", "version": "11.4.19"}}',
    # doc: TensorRT 8.5.2
    "var/lib/dpkg/status": "Package: libnvinfer8\nStatus: install ok installed\nVersion: 8.5.2-1+cuda11.4\n\n",
    # doc: nvpmodel's table and state
    "var/lib/nvpmodel/status": "pmode:0002 fmode:quiet\n",
    "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=MAXN >\n< POWER_MODEL ID=2 NAME=MODE_15W_DESKTOP >\n",
}
ORIN_JP62: Tree = {
    # tree: tegra234-p3768-0000+p3767-0005.dts
    "sys/firmware/devicetree/base/compatible": "nvidia,p3768-0000+p3767-0005\0nvidia,p3767-0005\0nvidia,tegra234\0",
    # report: inference tests print this very line of an Orin with JetPack 6.2
    "etc/nv_tegra_release": (
        "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 01:49:37 UTC "
        "2025\n# KERNEL_VARIANT: oot\nTARGET_USERSPACE_LIB_DIR=nvidia\n"
    ),
    "usr/local/cuda/version.json": '{"cuda": {"name": "CUDA SDK", "version": "12.6.11"}}',  # report
    # report: dpkg -l of boards with JetPack 6.2
    "var/lib/dpkg/status": (
        "Package: libnvinfer10\nStatus: install ok installed\nArchitecture: arm64\nVersion: 10.3.0.30-1+cuda12.5\n\n"
        "Package: nvidia-jetpack\nStatus: install ok installed\nVersion: 6.2+b77\n\n"
        "Package: libnvinfer8\nStatus: deinstall ok config-files\nVersion: 8.6.2-1+cuda12.2\n\n"
    ),
    "proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  540.4.0  Release Build\n",
}
THOR_JP7: Tree = {
    # tree: tegra264-p4071-0000+p3834-0008.dts
    "proc/device-tree/compatible": "nvidia,p4071-0000+p3834-0008\0nvidia,p3834-0008\0nvidia,tegra264\0",
    # report: a Thor's owner
    "etc/nv_tegra_release": "# R38 (release), REVISION: 2.2, BOARD: generic, EABI: aarch64\n",
    "usr/local/cuda/version.json": '{"cuda": {"name": "CUDA SDK", "version": "13.0.0"}}',  # report
    "var/lib/dpkg/status": "Package: libnvinfer10\nStatus: install ok installed\nVersion: 10.13.3.9-1+cuda13.0\n\n",
    # doc: NvInferVersion.h from TensorRT 10 on
    "usr/include/aarch64-linux-gnu/NvInferVersion.h": (
        "#define TRT_MAJOR_ENTERPRISE 10\n#define TRT_MINOR_ENTERPRISE 13\n#define TRT_PATCH_ENTERPRISE 3\n"
        "#define TRT_BUILD_ENTERPRISE 9\n#define NV_TENSORRT_MAJOR TRT_MAJOR_ENTERPRISE //!< major\n"
    ),
}


def made(root: Path, tree: Tree) -> Path:
    for name, content in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def facts(root: Path, said: str = "", **packages: str) -> dict[str, object]:
    return dict(gpu_facts(root, package=packages.get, ask_driver=lambda: said))


@pytest.mark.parametrize(
    ("tree", "packages", "expected"),
    [
        (
            NANO_JP46,
            {},
            {"runtime.tensorrt": "8.2.1.8", "gpu.sm": 53, "cuda": "10.2.300", "l4t": "32.7.1", "jetpack": "4.6.1"},
        ),
        (
            XAVIER_JP51,
            {},
            {
                "runtime.tensorrt": "8.5.2",
                "gpu.sm": 72,
                "cuda": "11.4.19",
                "l4t": "35.4.1",
                "jetpack": "5.1.2",
                "power_mode": "MODE_15W_DESKTOP",
            },
        ),
        (
            ORIN_JP62,
            {"tensorrt": "10.3.0"},
            {
                "runtime.tensorrt": "10.3.0.30",
                "gpu.sm": 87,
                "gpu.driver": "540.4.0",
                "cuda": "12.6.11",
                "l4t": "36.4.3",
                "jetpack": "6.2",
            },
        ),
        (
            THOR_JP7,
            {},
            {"runtime.tensorrt": "10.13.3.9", "gpu.sm": 110, "cuda": "13.0.0", "l4t": "38.2.2", "jetpack": "7"},
        ),
    ],
    ids=["nano", "xavier", "orin", "thor"],
)
def test_a_board_is_known_by_its_files(
    tmp_path: Path, tree: Tree, packages: dict[str, str], expected: dict[str, object]
) -> None:
    assert facts(made(tmp_path, tree), **packages) == expected


def test_a_box_without_any_of_it_has_no_such_facts(tmp_path: Path) -> None:
    assert facts(tmp_path) == {}


def test_a_tensorrt_of_this_environment_goes_before_the_systems(tmp_path: Path) -> None:
    found = facts(made(tmp_path, ORIN_JP62), tensorrt="11.4.0.106", tensorrt_rtx="1.7.1.116")
    assert found["runtime.tensorrt"] == "11.4.0.106"
    assert found["runtime.tensorrt_rtx"] == "1.7.1.116"


def test_a_library_alone_names_its_version(tmp_path: Path) -> None:
    assert facts(made(tmp_path, {"usr/lib/aarch64-linux-gnu/libnvinfer.so.8.6.2": ""}))["runtime.tensorrt"] == "8.6.2"


DESKTOP: Tree = {
    # doc: the driver's README, "/proc/driver/nvidia/version"
    "proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 2024\n"
}


@pytest.mark.parametrize(
    ("said", "sm"), [("8.6\n", 86), ("12.0\n9.0\n", 120), ("", None), ("[N/A]\n", None), ("8.6.1\n", None)]
)
def test_a_discrete_gpu_says_its_capability_through_the_driver(tmp_path: Path, said: str, sm: int | None) -> None:
    found = facts(made(tmp_path, DESKTOP), said)
    assert found.get("gpu.sm") == sm
    assert found["gpu.driver"] == "535.183.01"


def test_the_driver_is_not_asked_where_there_is_none_or_a_file_says_it(tmp_path: Path) -> None:
    def never() -> str:
        raise AssertionError("asked")

    gpu_facts(tmp_path, ask_driver=never)
    gpu_facts(made(tmp_path, ORIN_JP62), ask_driver=never)


def test_a_power_mode_without_a_name_keeps_its_number(tmp_path: Path) -> None:
    assert facts(made(tmp_path, {"var/lib/nvpmodel/status": "pmode:0000"}))["power_mode"] == "0"


@pytest.mark.parametrize("l4t", ["36.4", "36.4.0"])
def test_a_release_is_found_with_and_without_its_trailing_zero(tmp_path: Path, l4t: str) -> None:
    major, _, revision = l4t.partition(".")
    tree = {"etc/nv_tegra_release": f"# R{major} (release), REVISION: {revision}, GCID: 1\n"}
    assert facts(made(tmp_path, tree))["jetpack"] == "6.1"


@given(st.text())
def test_nothing_that_the_driver_says_breaks_it(said: str) -> None:
    sm = _sm_of(said)
    assert sm is None or 0 <= sm < 1000


@pytest.mark.parametrize("name", [*NANO_JP46, *XAVIER_JP51])
def test_a_file_of_rubbish_costs_its_fact_alone(tmp_path: Path, name: str) -> None:
    root = made(tmp_path, {**NANO_JP46, **XAVIER_JP51})
    (root / name).write_bytes(b'\xff\0{"cuda": [1')
    assert "l4t" in facts(root) or name == "etc/nv_tegra_release"
