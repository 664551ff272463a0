"""A build under ``kill -9``: finished targets are taken again if whole and of the same model, and no bundle is half."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from converters.build import build
from converters.request import Request
from runtime.bundle import Bundle
from tests.unit.converters.networks import density_net, write_model_dir

ROOT = Path(__file__).parents[2]
FIRST, SECOND = "x86-openvino", "x86-onnxruntime"
EPOCH = "1700000000"
KEPT = "kept from before the interrupt"


def request(model: Path, out: Path) -> Request:
    return Request(model, out, (FIRST, SECOND), precisions=("fp32",), measuring="none", pictures=8)


def build_until(step: str, model: str, out: str) -> None:
    """What the killed process does: build until a step begins, say so, and wait for its end."""

    def progress(what: str, _done: int, _total: int) -> None:
        if what == step:
            sys.stdout.write("now\n")
            sys.stdout.flush()
            sys.stdin.read()

    build(request(Path(model), Path(out)), progress)


def killed_at(step: str, model: Path, out: Path) -> Path:
    """Kill a build when a step begins; where it left its finished targets."""
    program = "import sys; from tests.integration.test_convert_resume import build_until; build_until(*sys.argv[1:])"
    command = [sys.executable, "-c", program, step, str(model), str(out)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "now\n", f"it should come to {step!r}"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not out.exists(), "never half a bundle"
    (left,) = out.parent.glob(f".{out.name}.finished-*")
    return left


def build_again(model: Path, out: Path) -> tuple[Bundle, list[str]]:
    """The same command once more; the targets that it kept."""
    told: list[str] = []
    bundle = build(request(model, out), lambda what, _done, _total: told.append(what))
    bundle.check()
    assert not list(out.parent.glob(f".{out.name}.finished-*")), "what was finished is in the bundle now"
    return bundle, [what.partition(":")[0] for what in told if what.endswith(KEPT)]


@pytest.fixture(autouse=True)
def _same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model_dir(tmp_path / "model")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "a.bundle"


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("uninterrupted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", EPOCH)
        return build(request(write_model_dir(folder / "model"), folder / "b.bundle"))


@pytest.mark.parametrize(
    ("step", "finished"),
    [(f"making {SECOND}", [FIRST]), ("measuring", [FIRST, SECOND]), ("testing the bundle", [FIRST, SECOND])],
)
def test_the_same_command_goes_on_where_it_was_killed_and_ends_in_the_same_bundle(
    step: str, finished: list[str], model: Path, out: Path, uninterrupted: Bundle
) -> None:
    left = killed_at(step, model, out)
    files = {target: left / target / "artifacts" / target / "fp32" for target in finished}
    inodes = {target: {file.name: file.stat().st_ino for file in folder.iterdir()} for target, folder in files.items()}
    bundle, kept = build_again(model, out)
    assert kept == finished
    assert bundle.manifest == uninterrupted.manifest
    for target, known in inodes.items():
        folder = bundle.path / "artifacts" / target / "fp32"
        assert {file.name: file.stat().st_ino for file in folder.iterdir()} == known, "the very files, not made anew"


def other_weights(model: Path) -> None:
    onnx.save(density_net(seed=1), model / "model.onnx")


def other_budget(model: Path) -> None:
    with (model / "model.toml").open("a") as file:
        file.write("[budget]\nmax_loss = 0.02\n")


@pytest.mark.parametrize("change", [other_weights, other_budget])
def test_of_a_changed_model_nothing_is_taken_again(
    change: Callable[[Path], None], model: Path, out: Path, uninterrupted: Bundle
) -> None:
    killed_at(f"making {SECOND}", model, out)
    change(model)
    told: list[str] = []
    bundle = build(request(model, out), lambda what, _done, _total: told.append(what))
    bundle.check()
    assert not [what for what in told if what.endswith(KEPT)]
    assert bundle.manifest != uninterrupted.manifest


def test_a_finished_target_that_was_tampered_with_is_made_anew(model: Path, out: Path, uninterrupted: Bundle) -> None:
    left = killed_at("measuring", model, out)
    (weights,) = (left / FIRST).rglob("*.bin")
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    bundle, kept = build_again(model, out)
    assert kept == [SECOND]
    assert bundle.manifest == uninterrupted.manifest
