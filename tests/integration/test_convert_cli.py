"""edgetally-convert as a person runs it: exit codes, sentences, JSON, signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.converters.networks import write_model_dir

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-m", "converters.cli"]


PROCESSORS = ["-t", "x86-openvino", "-t", "x86-onnxruntime", "-t", "arm64-onnxruntime"]
QUICK = ["-p", "fp32", "-p", "fp16", "--pictures", "8", "--measure", "none"]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, check=False)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    out = folder / "tiny.bundle"
    done = run("build", write_model_dir(folder / "model"), "--out", out, *PROCESSORS, *QUICK)
    assert done.returncode == 0, done.stderr
    assert "x86-openvino/fp32" in done.stdout
    assert done.stderr == "", "no progress where stderr is no terminal"
    return out


def test_inspect_shows_every_artifact_and_where_it_came_from(bundle: Path) -> None:
    shown = run("inspect", bundle)
    assert shown.returncode == 0
    for word in ("tiny 1.0.0", "x86-openvino/fp16", "arm64-onnxruntime/fp32", "measured", "golden samples: 3", "road"):
        assert word in shown.stdout


def test_inspect_as_json_holds_the_manifest(bundle: Path) -> None:
    document = json.loads(run("inspect", bundle, "--json").stdout)
    assert document["manifest"]["model"]["name"] == "tiny"
    assert all(artifact["parity_passed"] for artifact in document["artifacts"])


def test_a_changed_bundle_is_refused(bundle: Path) -> None:
    file = next((bundle / "golden").glob("*.npz"))
    content = file.read_bytes()
    file.write_bytes(content + b"x")
    try:
        done = run("inspect", bundle)
    finally:
        file.write_bytes(content)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_build_as_json_is_quiet_and_replaces_an_older_bundle(tmp_path: Path) -> None:
    model, out = write_model_dir(tmp_path / "model"), tmp_path / "a.bundle"
    for _ in range(2):
        done = run("build", model, "-t", "x86-onnxruntime", "-o", out, "--json", *QUICK)
        assert (done.returncode, done.stderr) == (0, "")
        assert [artifact["id"] for artifact in json.loads(done.stdout)["artifacts"]] == ["x86-onnxruntime/fp32"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bundle", "model"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("build", "MODEL", "-o", "OUT", "-t", "x86-opnvino"), "did you mean 'x86-openvino'?"),
        (("build", "nowhere", "-o", "OUT"), "model.toml: expected a TOML file, there is none; check the path"),
        (("build", "MODEL", "-o", "MODEL"), "--out: expected a new path or an existing bundle"),
        (("build", "MODEL", "-o", "OUT", "--calibration", "nowhere"), "nowhere does not exist"),
        (("build", "MODEL", "-o", "OUT", "--evaluation", "nowhere"), "nowhere does not exist"),
        (("build", "MODEL", "-o", "OUT", "-p", "fp61"), "did you mean 'fp16'?"),
        (("build", "MODEL", "-o", "OUT", "-t", "x86-onnxruntime", "--allow-fallback", "x86-openvino"), "is not among"),
        (("inspect", "nowhere"), "expected a bundle (a folder with manifest.json), there is none; check the path"),
    ],
)
def test_a_mistake_is_one_sentence_on_stderr_and_exit_code_2(
    arguments: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    places = {"MODEL": str(write_model_dir(tmp_path / "model")), "OUT": str(tmp_path / "a.bundle")}
    done = run(*(places.get(argument, argument) for argument in arguments))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "a.bundle").exists()


def test_a_misspelt_command_gets_a_suggestion() -> None:
    done = run("biuld")
    assert done.returncode == 2
    assert "Did you mean 'build'?" in done.stderr


def test_targets_are_listed() -> None:
    assert "x86-openvino" in run("targets").stdout
    rows = json.loads(run("targets", "--json").stdout)
    assert {row["name"]: row["missing"] for row in rows}["x86-openvino"] is None


def test_help_gives_examples_and_imports_no_runtime() -> None:
    assert "Example: edgetally-convert build" in " ".join(run("build", "--help").stdout.split())
    program = (
        "import sys, converters.cli; "
        "print(sorted(set(sys.modules) & {'onnx', 'onnxruntime', 'openvino', 'numpy', 'av', 'rich.progress'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_ended_in_the_middle_there_is_no_bundle(number: signal.Signals, code: int, tmp_path: Path) -> None:
    model, out = write_model_dir(tmp_path / "model"), tmp_path / "a.bundle"
    with subprocess.Popen(
        [*PROGRAM, "build", model, "-o", out, *PROCESSORS, *QUICK], cwd=ROOT, stderr=subprocess.PIPE
    ) as process:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob(".a.bundle.building-*")):  # it has begun to pack
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(number)
        _, said = process.communicate(timeout=120)
        # A KeyboardInterrupt that went through code which a C extension evaluated makes CPython end itself by SIGINT
        # in the end (Py_RunMain, exit_sigint), whatever exit code was asked for; a shell shows 130 for both.
        assert process.returncode in {code, 128 - code if number == signal.SIGINT else code}, said.decode(
            "utf-8", "replace"
        )
    assert not out.exists()
    left = list(tmp_path.glob(".a.bundle.building-*"))
    if number != signal.SIGKILL:
        assert left == []
        return
    (abandoned,) = left
    os.utime(abandoned, (0, 0))
    assert run("build", model, "-o", out, "-t", "x86-onnxruntime", *QUICK).returncode == 0
    assert not abandoned.exists(), "the next build cleans up"
