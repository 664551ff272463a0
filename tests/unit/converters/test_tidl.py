"""TIDL's job, its log, and the control flow around a fake of its tools, which makes no figure."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import DocumentError, ModelFileError, ToolchainMissingError
from contracts.facts import Requirement
from contracts.manifest import TensorInfo
from converters.families import tflite, tidl
from converters.families.base import Emitted, Job, Recipe
from converters.tflite.flatbuffer import Graph, Operator, Tensor
from converters.tflite.graph import renamed
from converters.tidl.job import TidlJob, read_options, wide_tensors, write_job
from converters.tidl.log import Offload, read_log
from converters.tidl.tools import PYTHON, TOOLS, find_tidl
from targets.load import load_target
from tests.unit.converters.networks import density_net
from tests.unit.converters.test_qnn import qnn_job

OPTIONS = dict(load_target("ti-tda4vm-tidl").options)
NODES = 3


@pytest.fixture(autouse=True)
def _no_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOOLS, raising=False)
    monkeypatch.delenv(PYTHON, raising=False)


def tidl_job(folder: Path, **changes: str) -> Job:
    return qnn_job(folder, {**OPTIONS, **changes})


@pytest.fixture
def float_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """What onnx2tf would give: the conversion has its own tests, and its toolchain may not be here."""

    def emit(job: Job, recipe: Recipe, folder: Path) -> Emitted:
        assert recipe == Recipe("fp32")
        assert not job.options
        entry = folder / "model.tflite"
        entry.write_bytes(b"float")
        info = TensorInfo(name="image", dtype="uint8", shape=(1, 64, 64, 3))
        return Emitted("fp32", entry, (info,), (info,), rounded=False, floors=(), toolchain={"onnx2tf": "2.6.9"})

    graph = Graph(tuple(Operator("CONV_2D", 1, (), ()) for _ in range(NODES)), (), ())
    monkeypatch.setattr(tflite, "emit", emit)
    monkeypatch.setattr("converters.families.tidl.read_graph", lambda _: graph)
    monkeypatch.setattr("converters.tidl.job.read_graph", lambda _: graph)


def fake_tools(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    (folder / "tools").mkdir()
    (folder / "tools" / "tidl_model_import_tflite.so").touch()
    python = folder / "python"
    python.write_text("#!/bin/sh\n" + script)
    python.chmod(0o755)
    monkeypatch.setenv(TOOLS, str(folder / "tools"))
    monkeypatch.setenv(PYTHON, str(python))


def compiles(log: str) -> str:
    return f"echo '{log}'; touch artifacts/1_tidl_net.bin"


class TestLog:
    @pytest.mark.parametrize(
        ("log", "found"),
        [
            ("Number of subgraphs:1 , 11 nodes delegated out of 12 nodes", Offload(1, 11, 12)),
            ("Final number of subgraphs:1 , 34 nodes delegated to accelerator", Offload(1, 34, None)),
            (
                "Final number of subgraphs created are : 1, - Offloaded Nodes - 25, Total Nodes - 25",
                Offload(1, 25, 25),
            ),
            (
                "Number of subgraphs:9 , 9 nodes delegated out of 12 nodes\n{LAST}".replace(
                    "{LAST}", "Final number of subgraphs:2 , 10 nodes delegated out of 12 nodes"
                ),
                Offload(2, 10, 12),
            ),
            ("Number of subgraphs:1 , 13 nodes delegated out of 12 nodes", None),
            ("nothing of the kind", None),
        ],
    )
    def test_the_last_statement_counts_where_it_is_possible(self, log: str, found: Offload | None) -> None:
        assert read_log(log) == found

    def test_the_total_is_the_networks_own_where_the_log_has_none(self) -> None:
        found = read_log("Final number of subgraphs:1 , 34 nodes delegated to accelerator", 36)
        assert found is not None
        assert (found.total, found.elsewhere) == (36, 2)

    @given(st.text(), st.integers(0, 300), st.integers(0, 300), st.integers(0, 300), st.text())
    def test_a_statement_is_found_whatever_stands_around_it(
        self, before: str, subgraphs: int, offloaded: int, total: int, after: str
    ) -> None:
        statement = f"\nNumber of subgraphs:{subgraphs} , {offloaded} nodes delegated out of {total} nodes\n"
        found = read_log(before + statement + after)
        possible = subgraphs <= offloaded <= total
        assert found == (Offload(subgraphs, offloaded, total) if possible else None)

    @given(st.text(st.sampled_from("Number of subgraphs created are:,- OfladTtNdes0123456789\n"), max_size=400))
    def test_text_that_is_nearly_one_is_never_impossible(self, text: str) -> None:
        found = read_log(text)
        assert found is None or (found.subgraphs <= found.offloaded <= (found.total or found.offloaded))

    def test_a_long_hostile_log_is_read_in_no_time(self) -> None:
        assert read_log("number of subgraphs:" * 20000 + " " * 100000 + "9" * 100000) is None


class TestJob:
    def test_options_are_tidls_own(self, tmp_path: Path) -> None:
        options = read_options(tidl_job(tmp_path))
        assert (options.platform, options.tensor_bits, options.accuracy_level) == ("J7", 8, 1)

    @pytest.mark.parametrize(
        "changes",
        [
            {"tensor_bits": "4"},
            {"platform": "J722S"},
            {"deny_types": "a;rm -rf"},
            {"allow_host_fallback": "maybe"},
            {"htp_arch": "73"},
            {"calibration_frames": "1e9"},
        ],
        ids=str,
    )
    def test_an_option_that_it_has_not_is_refused(self, changes: dict[str, str], tmp_path: Path) -> None:
        with pytest.raises(DocumentError, match=next(iter(changes))):
            tidl.precisions(tidl_job(tmp_path, **changes), ("int8",))

    @pytest.mark.usefixtures("float_file")
    def test_it_holds_all_that_a_person_needs_to_run_it(self, tmp_path: Path) -> None:
        (tmp_path / "job").mkdir()
        (tmp_path / "float.tflite").write_bytes(b"float")
        written = write_job(tidl_job(tmp_path), (), tmp_path / "float.tflite", tmp_path / "job")
        assert TidlJob.model_validate_json((tmp_path / "job" / "job.json").read_text()) == written
        assert written.options["tensor_bits"] == 8
        assert written.options["advanced_options:calibration_frames"] == 8  # as many as there are
        assert np.load(tmp_path / "job" / "calibration.npy").shape[0] == 8
        assert {file.name for file in (tmp_path / "job").iterdir()} == {
            *("model.tflite", "job.json", "calibration.npy", "worker.py", "artifacts"),
        }

    def test_layers_kept_out_get_sixteen_bits_by_their_tflite_names(self, tmp_path: Path) -> None:
        model = density_net()
        model.graph.node[0].name = "first"
        job = qnn_job(tmp_path, OPTIONS, model)
        assert job.folded is not None
        nodes = renamed(onnx.load(job.folded)).nodes
        name, node = next((name, node) for name, node in nodes.items() if node.kind == "Conv")
        tensor = Tensor(node.outputs[0], "float32", (1,), constant=False)
        graph = Graph((Operator("CONV_2D", 1, (), (tensor,)),), (), ())
        assert wide_tensors(job, (name,), graph) == (node.outputs[0],)
        with pytest.raises(ModelFileError, match="'nowhere' should get 16 bits and is not to be found"):
            wide_tensors(job, ("nowhere",), graph)


@pytest.mark.usefixtures("float_file")
class TestFamily:
    def test_without_tools_it_is_the_float_file_and_the_job(self, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        emitted = tidl.emit(tidl_job(tmp_path), Recipe("int8"), tmp_path / "out")
        assert emitted.stand_in == emitted.entry
        assert (tmp_path / "out" / "job.json").is_file()
        assert "TIDL was not run: TIDL_TOOLS_PATH is not set" in emitted.warnings[0]
        assert emitted.floors == (Requirement(fact="tidl.version", equals="11.0"),)
        assert tidl.executed(emitted, "f32") is None

    def test_with_tools_their_files_and_the_share_are_kept(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake_tools(tmp_path, monkeypatch, compiles("Final number of subgraphs:1 , 3 nodes delegated to accelerator"))
        (tmp_path / "out").mkdir()
        emitted = tidl.emit(tidl_job(tmp_path), Recipe("int8"), tmp_path / "out")
        assert {file.name for file in (tmp_path / "out").iterdir()} == {"model.tflite", "artifacts", "offload.json"}
        assert tidl.executed(emitted, "f32") == {"int8": 3, "elsewhere": 0}
        assert emitted.toolchain["tidl"] == "11.0"

    def test_nodes_left_to_the_processor_are_refused_unless_allowed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake_tools(tmp_path, monkeypatch, compiles("Number of subgraphs:2 , 2 nodes delegated out of 3 nodes"))
        for name in ("refused", "allowed"):
            (tmp_path / name).mkdir()
        with pytest.raises(ModelFileError, match="leaves 1 of 3 nodes to the Arm cores, in 2 subgraphs"):
            tidl.emit(tidl_job(tmp_path), Recipe("int8"), tmp_path / "refused")
        emitted = tidl.emit(tidl_job(tmp_path, allow_host_fallback="true"), Recipe("int8"), tmp_path / "allowed")
        assert tidl.executed(emitted, "f32") == {"int8": 2, "elsewhere": 1}

    @pytest.mark.parametrize(
        ("script", "reason"),
        [
            ("echo trouble; exit 3", "TIDL ended with 3: trouble"),
            (compiles("all is well"), "did not say that the accelerator takes any of it"),
            ("echo 'Number of subgraphs:1 , 3 nodes delegated out of 3 nodes'", "TIDL wrote no files"),
        ],
    )
    def test_tools_that_fail_are_quoted(
        self, script: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake_tools(tmp_path, monkeypatch, script)
        (tmp_path / "out").mkdir()
        with pytest.raises(ModelFileError, match=reason):
            tidl.emit(tidl_job(tmp_path), Recipe("int8"), tmp_path / "out")

    def test_only_integers_are_made(self, tmp_path: Path) -> None:
        assert tidl.precisions(tidl_job(tmp_path), ("int8", "fp16", "fp32")) == ("int8",)
        with pytest.raises(ModelFileError, match="got 'fp32'"):
            tidl.emit(tidl_job(tmp_path), Recipe("fp32"), tmp_path)


def test_one_variable_without_the_other_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_tidl() is None
    monkeypatch.setenv(PYTHON, "/usr/bin/true")
    with pytest.raises(ToolchainMissingError, match="TIDL_TOOLS_PATH should name a folder"):
        find_tidl()
    (tmp_path / "tidl_model_import_tflite.so").touch()
    monkeypatch.setenv(TOOLS, str(tmp_path))
    monkeypatch.setenv(PYTHON, str(tmp_path))
    with pytest.raises(ToolchainMissingError, match="EDGETALLY_TIDL_PYTHON should name a Python interpreter"):
        find_tidl()


def test_no_agent_takes_it() -> None:
    target = load_target("ti-tda4vm-tidl")
    assert (target.evidence, target.checked_with) == ("built", "tflite")
    assert {requirement.fact for requirement in target.requires} == {"soc", "tidl"}
    assert json.loads(target.model_dump_json())["family"] == "tidl"
