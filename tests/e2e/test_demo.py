"""The demo shows the whole product, ends by itself or on Ctrl-C with a summary, and leaves nothing running."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.agents import PATIENCE, ROOT


def demo(*flags: object) -> list[str]:
    return [sys.executable, "-m", "tools.demo", *map(str, flags)]


def running_with(text: str) -> list[str]:
    """Command lines of processes that name a text."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it ended meanwhile
            continue
        if text in line:
            lines.append(line)
    return lines


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


def test_it_ends_with_the_source_and_sums_up_beside_the_truth(work: Path) -> None:
    command = demo("--source", "synthetic:frames=90,width=640,height=360", "--work", work)
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=5 * PATIENCE)
    assert result.returncode == 0, result.stderr
    for words in (
        "broker listens on 127.0.0.1:",
        "took    x86-openvino/fp32",
        "refused x86-onnxruntime/fp32: x86-openvino/fp32 comes before it",
        "summary",
        "no gap",
        "against the truth",
    ):
        assert words in result.stdout, result.stdout
    assert "frames counted    " in result.stdout
    assert "no data" not in result.stdout.partition("summary")[2]
    assert not running_with(str(work))


def test_ctrl_c_ends_it_with_a_summary_and_nothing_left(work: Path) -> None:
    with subprocess.Popen(demo("--work", work), stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        said = ""
        while "took" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "summary" in rest
    assert not running_with(str(work))


def test_a_source_that_cannot_be_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    result = subprocess.run(
        demo("--source", "synthetic:sead=3", "--work", tmp_path / "w"),
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert result.returncode == 2
    assert "did you mean 'seed'?" in result.stderr
    assert not (tmp_path / "w").exists()
