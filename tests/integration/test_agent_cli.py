"""What a person gets wrong is one clear sentence on stderr and exit code 2, and nothing is half-written."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.fakes.bundles import artifact, make_bundle
from tests.integration.brokers import Mosquitto, mosquitto

__all__ = ["mosquitto"]

ROOT = Path(__file__).parents[2]
AGENT = """
device = "box-1"
bundle = "{bundle}"
state_dir = "{state}"
[broker]
host = "127.0.0.1"
port = {port}
[[camera]]
id = "gate"
source = "{source}"
"""


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    root = tmp_path / "bundle"
    return make_bundle(root, [artifact(root)])


def run(*arguments: object, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EDGETALLY_")}
    command = [sys.executable, "-m", "agent.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, input=stdin, check=False)


def said(result: subprocess.CompletedProcess[str]) -> str:
    """The one sentence, after checking that it is one, with exit code 2 and no traceback."""
    assert result.returncode == 2, result.stderr + result.stdout
    assert "Traceback" not in result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def config(tmp_path: Path, bundle: Path, *, extra: str = "", source: str = "synthetic", port: int = 1) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(AGENT.format(bundle=bundle, state=tmp_path / "state", source=source, port=port) + extra)
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("id =", "idd ="), ["unknown key 'camera[0].idd'", "did you mean 'id'?", "missing key 'camera[0].id'"]),
        (('"box-1"', '"Box 1"'), ["'device'", "1 to 64 of a-z, 0-9, _ and -", "got 'Box 1'"]),
        (('"gate"', '"a/b"'), ["'camera[0].id'", "1 to 64 of a-z, 0-9, _ and -"]),
        (("[broker]", "[broker"), ["expected TOML"]),
        (('host = "127.0.0.1"', ""), ["missing key 'broker.host'"]),
    ],
)
def test_a_wrong_configuration_is_named_by_its_path(
    tmp_path: Path, bundle: Path, change: tuple[str, str], words: Sequence[str]
) -> None:
    path = config(tmp_path, bundle)
    path.write_text(path.read_text().replace(*change))
    sentence = said(run("run", "--config", path))
    assert all(word in sentence for word in words), sentence
    assert not (tmp_path / "state").exists()


def test_a_polygon_outside_the_picture_is_refused(tmp_path: Path, bundle: Path) -> None:
    zone = '[[camera.zone]]\nname = "z"\npolygon = [[0, 0], [1.5, 0], [1, 1]]\n'
    sentence = said(run("run", "--config", config(tmp_path, bundle, extra=zone)))
    assert "'camera[0].zone[0].polygon[1][0]'" in sentence
    assert "less than or equal to 1, got 1.5" in sentence


def test_a_missing_configuration_is_said(tmp_path: Path) -> None:
    assert "there is none; check the path" in said(run("run", "--config", tmp_path / "none.toml"))


def test_a_line_on_a_density_model_is_refused_with_what_to_do(tmp_path: Path, bundle: Path) -> None:
    extra = '[[camera.line]]\nname = "mid"\nstart = [0, 0.5]\nend = [1, 0.5]\n'
    assert "choose a detector" in said(run("run", "--config", config(tmp_path, bundle, extra=extra)))


def test_a_bundle_with_a_changed_byte_is_refused_naming_the_file(tmp_path: Path, bundle: Path) -> None:
    (bundle / "artifacts/x86-onnxruntime/fp32/model.bin").write_bytes(b"x86-onnxruntime/fp33")
    sentence = said(run("count", "synthetic:frames=1", "--bundle", bundle))
    assert "expected SHA-256" in sentence
    assert "model.bin" in sentence


def test_no_bundle_is_said(tmp_path: Path) -> None:
    assert "expected a bundle" in said(run("count", "synthetic", "--bundle", tmp_path))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("/nowhere/clip.mp4", "check the path"),
        ("synthetic:sead=1", "did you mean 'seed'?"),
        ("ftp://127.0.0.1/x", "ftp"),
        ("rtsp://user:s3cret@127.0.0.1:1/stream", "127.0.0.1:1"),
    ],
)
def test_a_source_that_does_not_open_is_said_without_its_password(bundle: Path, source: str, words: str) -> None:
    sentence = said(run("count", source, "--bundle", bundle))
    assert words in sentence
    assert "s3cret" not in sentence


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--line", "gate:0,0.5,1"], "NAME:x1,y1,x2,y2 with 4 numbers, got 3"),
        (["--line", "gate"], "--line should be NAME:x1,y1,x2,y2"),
        (["--line", "gate:0,a,1,1"], "--line should be NAME:x1,y1,x2,y2"),
        (["--zone", "z:0,0,1,0,1"], "even count of numbers, got 5"),
        (["--zone", "z:0,0,1,0,2,2"], "less than or equal to 1, got 2.0"),
        (["--zone", "Z Z:0,0,1,0,1,1"], "1 to 64 of a-z"),
        (["--label", "vehicel"], "did you mean 'vehicle'?"),
        (["--artifact", "none/fp32"], "the configuration asks for none/fp32"),
    ],
)
def test_a_wrong_flag_says_its_form(bundle: Path, flags: list[str], words: str) -> None:
    assert words in said(run("count", "synthetic:frames=1", "--bundle", bundle, *flags))


def test_a_bundle_for_other_boxes_is_refused_with_the_fact_that_differs(tmp_path: Path) -> None:
    root = tmp_path / "bundle"
    other = artifact(root, requires=[{"fact": "arch", "equals": "riscv64"}])
    sentence = said(run("count", "synthetic:frames=1", "--bundle", make_bundle(root, [other])))
    assert "needs arch riscv64, this device has" in sentence


def test_a_second_agent_on_the_same_state_is_refused(tmp_path: Path, bundle: Path) -> None:
    from agent.store import Store

    store = Store.open(tmp_path / "state", max_reports=10)
    try:
        sentence = said(run("run", "--config", config(tmp_path, bundle)))
    finally:
        store.close()
    assert str(os.getpid()) in sentence


def test_a_camera_that_was_moved_is_learned_anew_while_the_agent_does_not_run(tmp_path: Path, bundle: Path) -> None:
    from agent.store import Store

    path = config(tmp_path, bundle)
    store = Store.open(tmp_path / "state")
    store.baselines({"gate": "d"})
    assert "is in use by another agent" in said(run("drift-reset", "gate", "--config", path))
    store.close()
    done = run("drift-reset", "gate", "--config", path)
    assert done.returncode == 0, done.stderr
    assert "camera gate: what is usual is learned anew since 2" in done.stdout
    assert "did you mean 'gate'?" in said(run("drift-reset", "gaet", "--config", path))


def test_a_state_directory_that_cannot_be_made_is_said(tmp_path: Path, bundle: Path) -> None:
    (tmp_path / "state").write_text("a file")
    assert "cannot write" in said(run("run", "--config", config(tmp_path, bundle)))


def test_check_tells_every_part_and_a_refusing_broker_with_its_reason_code(
    tmp_path: Path, bundle: Path, mosquitto: Mosquitto
) -> None:
    mosquitto.stop()
    closed = Mosquitto(tmp_path, lines=("allow_anonymous false",)).start()
    try:
        result = run("check", "--config", config(tmp_path, bundle, port=closed.port), "--json")
    finally:
        closed.stop()
    assert result.returncode == 2
    findings = {finding["what"]: finding for finding in json.loads(result.stdout)}
    assert findings["state_dir"]["passed"]
    assert findings["bundle"]["passed"]
    assert findings["camera gate"]["passed"]
    assert not findings["artifact"]["passed"]  # the bundle's model is no model
    assert "reason code 135" in findings[f"broker 127.0.0.1:{closed.port}"]["text"]


def test_facts_are_shown_and_unknown_commands_are_guessed() -> None:
    assert json.loads(run("facts", "--json").stdout)["arch"]
    wrong = run("cuont")
    assert wrong.returncode == 2
    assert "count" in wrong.stderr


def test_a_port_in_use_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "tools.demo", "--port", str(port)]
        result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert f"cannot listen on 127.0.0.1:{port}: the address is in use; choose another with --port" in said(result)
