"""Qualcomm's .dlc converter is driven as its pages say; a fake one, a shell script, stands in and makes no figure."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from contracts.errors import DocumentError, ModelFileError, ToolchainMissingError
from contracts.facts import Requirement
from converters.families import snpe
from converters.families.base import Job, Recipe
from converters.snpe.job import SnpeJob, write_job
from converters.snpe.tools import VARIABLES, find_sdk, run_tools
from targets.load import load_target
from tests.unit.converters.networks import SIDE
from tests.unit.converters.test_qnn import qnn_job

WRITES = """#!/bin/sh
echo "$(basename "$0") $*" >> commands.txt
while [ $# -gt 1 ]; do case "$1" in --output_path|--output_dlc) out="$2";; esac; shift; done
printf 'PK\\003\\004dlc' > "$out"
"""


@pytest.fixture(autouse=True)
def _no_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def snpe_job(folder: Path) -> Job:
    job = qnn_job(folder)
    return Job(job.spec, job.source, job.folded, job.origin, job.scratch, job.calibration)


def fake_sdk(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str = WRITES,
    tools: tuple[str, ...] = ("qairt-converter", "qairt-quantizer"),
) -> Path:
    root = folder / "2.39.0.250926"
    programs = root / "bin" / "x86_64-linux-clang"
    programs.mkdir(parents=True)
    for name in tools:
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("SNPE_ROOT", str(root))
    return root


class TestJob:
    def test_it_holds_all_that_a_person_needs_to_run_it(self, tmp_path: Path) -> None:
        (tmp_path / "job").mkdir()
        written = write_job(snpe_job(tmp_path), Recipe("int8", "minmax"), tmp_path / "job")
        assert SnpeJob.model_validate_json((tmp_path / "job" / "job.json").read_text()) == written
        model = onnx.load(tmp_path / "job" / written.model)
        (frame,) = model.graph.input
        assert frame.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        assert [size.dim_value for size in frame.type.tensor_type.shape.dim] == [1, SIDE, SIDE, 3]
        lines = (tmp_path / "job" / "input_list.txt").read_text().split()
        assert len(lines) == written.pictures == 8
        raw = np.fromfile(tmp_path / "job" / lines[0], np.float32)
        assert raw.size == SIDE * SIDE * 3
        assert 100 < raw.max() <= 255

    @pytest.mark.parametrize(("precision", "bits"), [("int8", "8"), ("int8-a16", "16")])
    def test_quantising_asks_for_the_bits(self, precision: str, bits: str, tmp_path: Path) -> None:
        _, quantise = write_job(snpe_job(tmp_path), Recipe(precision, "minmax"), tmp_path).commands
        assert quantise[quantise.index("--act_bitwidth") + 1] == bits
        assert quantise[quantise.index("--weights_bitwidth") + 1] == "8"
        assert quantise[-1] == "--use_per_channel_quantization"

    def test_fp32_is_converted_only(self, tmp_path: Path) -> None:
        written = write_job(snpe_job(tmp_path), Recipe("fp32"), tmp_path)
        assert [command[0] for command in written.commands] == ["qairt-converter"]
        assert written.pictures == 0

    def test_older_tools_get_their_own_commands(self, tmp_path: Path) -> None:
        written = write_job(snpe_job(tmp_path), Recipe("int8", "minmax"), tmp_path, "snpe")
        assert [command[0] for command in written.commands] == ["snpe-onnx-to-dlc", "snpe-dlc-quantize"]
        with pytest.raises(DocumentError, match="got 'entropy'"):
            write_job(snpe_job(tmp_path), Recipe("int8", "entropy"), tmp_path, "snpe")

    def test_without_calibration_pictures_it_is_refused(self, tmp_path: Path) -> None:
        job = snpe_job(tmp_path)
        bare = Job(job.spec, job.source, job.folded, job.origin, job.scratch)
        with pytest.raises(DocumentError, match="needs calibration pictures"):
            write_job(bare, Recipe("int8", "minmax"), tmp_path)


class TestTools:
    def test_without_an_sdk_the_variable_and_the_place_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(
            ToolchainMissingError, match=r"EDGETALLY_SNPE_ROOT.* none is; install the Qualcomm AI Runtime"
        ):
            snpe.emit(snpe_job(tmp_path), Recipe("int8", "minmax"), tmp_path)

    def test_a_folder_that_is_no_sdk_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("QNN_SDK_ROOT", str(tmp_path))
        with pytest.raises(ToolchainMissingError, match="should hold bin/x86_64-linux-clang with qairt-converter"):
            find_sdk()

    @pytest.mark.parametrize(
        "tools", [("qairt-converter", "qairt-quantizer"), ("snpe-onnx-to-dlc", "snpe-dlc-quantize")], ids=str
    )
    def test_either_generation_of_tools_is_run_in_order(
        self, tools: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake_sdk(tmp_path, monkeypatch, tools=tools)
        (tmp_path / "out").mkdir()
        emitted = snpe.emit(snpe_job(tmp_path), Recipe("int8", "minmax"), tmp_path / "out")
        assert emitted.entry.read_bytes().startswith(b"PK")
        assert emitted.toolchain == {"qairt": "2.39.0.250926"}
        assert [file.name for file in (tmp_path / "out").iterdir()] == ["model.dlc"]
        assert emitted.inputs[0].dtype == "float32"
        assert snpe.executed(emitted, "native") is None
        sdk, folder = find_sdk(), tmp_path / "again"
        folder.mkdir()
        job = write_job(snpe_job(tmp_path), Recipe("int8", "minmax"), folder, sdk.tools)
        run_tools(sdk, job.commands, folder)
        assert [line.split()[0] for line in (folder / "commands.txt").read_text().splitlines()] == list(tools)

    @pytest.mark.parametrize(
        ("script", "reason"),
        [
            ("#!/bin/sh\necho 'ERROR: op Foo is unknown' >&2\nexit 3\n", "qairt-converter ended with 3: ERROR: op Foo"),
            ("#!/bin/sh\nexit 0\n", "wrote no model.dlc"),
            (WRITES.replace("PK", "XX"), "that is no .dlc"),
        ],
    )
    def test_a_converter_that_fails_is_quoted(
        self, script: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake_sdk(tmp_path, monkeypatch, script)
        (tmp_path / "out").mkdir()
        with pytest.raises(ModelFileError, match=reason):
            snpe.emit(snpe_job(tmp_path), Recipe("int8", "minmax"), tmp_path / "out")

    def test_a_converter_that_takes_too_long_is_ended(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fake_sdk(tmp_path, monkeypatch, "#!/bin/sh\nexec sleep 60\n")
        with pytest.raises(ModelFileError, match=r"took more than 0\.05 s"):
            run_tools(find_sdk(), [["qairt-converter"]], tmp_path, time_limit_s=0.05)

    def test_a_job_with_another_program_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fake_sdk(tmp_path, monkeypatch)
        with pytest.raises(ModelFileError, match="got '/bin/sh'"):
            run_tools(find_sdk(), [["/bin/sh", "-c", "true"]], tmp_path)


def test_layers_kept_out_and_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="keeps no layers out by name"):
        snpe.emit(snpe_job(tmp_path), Recipe("int8", "minmax", ("x",)), tmp_path)
    with pytest.raises(DocumentError, match="expected none, got 'htp_arch'"):
        snpe.precisions(qnn_job(tmp_path), ("int8",))
    assert snpe.precisions(snpe_job(tmp_path), ("int8", "fp16", "fp32")) == ("int8", "fp32")


def test_no_agent_takes_it() -> None:
    target = load_target("qualcomm-snpe")
    assert (target.evidence, target.checking_backend) == ("built", None)
    assert Requirement(fact="snpe", at_least="2.39") in target.requires
    assert json.loads(target.model_dump_json())["family"] == "snpe"
