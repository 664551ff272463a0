"""TFLite's interpreter through our lanes, LiteRT's or tflite-runtime's, whichever is installed.

``EDGETALLY_TFLITE_FILES`` names a folder that `tests.integration.tflite_files` filled, for an environment that cannot.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from contracts.errors import ArtifactError, DeviceError, ModelFileError
from runtime.backends.table import open_lane, open_lanes
from tests.integration.tflite_files import SHAPE, write_double

GIVEN = os.environ.get("EDGETALLY_TFLITE_FILES")
pytest.importorskip("tflite_runtime" if GIVEN else "ai_edge_litert", reason="no TFLite interpreter is installed here")


@pytest.fixture
def double(tmp_path: Path) -> Path:
    return Path(GIVEN) / "double.tflite" if GIVEN else write_double(tmp_path / "double.tflite")


def image(value: int) -> dict[str, np.ndarray]:
    return {"image": np.full(SHAPE, value, np.uint8)}


def test_a_lane_computes_under_the_signatures_names(double: Path) -> None:
    lane = open_lane("tflite", double)
    for value in (1, 2, 100):
        outputs = lane.infer(image(value))
        assert outputs.keys() == {"doubled"}
        np.testing.assert_array_equal(outputs["doubled"], np.full(SHAPE, 2.0 * value, np.float32))
    lane.close()
    lane.close()


def test_outputs_may_be_held_while_the_lane_runs_again(double: Path) -> None:
    lane = open_lane("tflite", double)
    first = lane.infer(image(3))["doubled"]
    lane.infer(image(4))
    assert first.max() == 6


def test_lanes_used_at_once_do_not_mix_their_frames(double: Path) -> None:
    wrong: list[int] = []

    def work(number: int) -> None:
        came = [lanes[number].infer(image(10 + number))["doubled"].max() for _ in range(200)]
        wrong.extend(number for value in came if value != 2 * (10 + number))

    lanes = open_lanes("tflite", double, lanes=3)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(
    ("tensors", "came"),
    [
        ({"image": np.zeros((1, 5, 4, 3), np.uint8)}, r"got uint8 \(1, 5, 4, 3\)"),
        ({"image": np.zeros(SHAPE, np.float32)}, "got float32"),
        ({"frame": np.zeros(SHAPE, np.uint8)}, "got nothing"),
    ],
)
def test_what_the_artifact_does_not_take_is_refused(double: Path, tensors: dict[str, np.ndarray], came: str) -> None:
    with pytest.raises(ArtifactError, match=rf"input 'image' should be uint8 \(1, 4, 4, 3\), {came}"):
        open_lane("tflite", double).infer(tensors)


def test_another_execution_precision_or_option_is_refused(double: Path) -> None:
    with pytest.raises(DeviceError, match="expected execution precision f32, got 'bf16'"):
        open_lane("tflite", double, execution_precision="bf16")
    with pytest.raises(DeviceError, match="knows the options none, the artifact asks for 'delegate'"):
        open_lane("tflite", double, options={"delegate": "gpu"})


def test_a_missing_or_broken_file_is_refused_with_its_path(double: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"none\.tflite: expected a TFLite file, there is none"):
        open_lane("tflite", tmp_path / "none.tflite")
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(double.read_bytes()[:40])
    with pytest.raises(ModelFileError, match=r"broken\.tflite: TFLite does not load it"):
        open_lane("tflite", broken)


def test_a_lane_says_whose_interpreter_it_is_and_what_xnnpack_left(double: Path) -> None:
    from runtime.backends.tflite import TfLiteLane

    lane = TfLiteLane(double, threads=1)
    assert lane.runtime == ("tflite-runtime" if GIVEN else "ai-edge-litert")
    assert (lane.outside, lane.slow) == ({"CAST": 1}, 0)
    assert lane.infer(image(3))["doubled"].max() == 6


@pytest.mark.parametrize(
    ("name", "plain"), [("serving_default_image:0", "image"), ("image", "image"), ("a:1", "a:1"), ("x:0", "x")]
)
def test_a_tensors_name_is_taken_without_what_tensorflow_adds(name: str, plain: str) -> None:
    from runtime.backends.tflite import plain_name

    assert plain_name(name) == plain


@pytest.mark.skipif(not GIVEN, reason="this compares tflite-runtime with LiteRT, on files that the latter wrote")
@pytest.mark.parametrize(("precision", "allowed"), [("fp32", 1e-4), ("fp16", 1e-4), ("int8", 0.1)])
def test_tflite_runtime_computes_what_litert_does(precision: str, allowed: float) -> None:
    folder = Path(str(GIVEN))
    entry = folder / precision / "model.tflite"
    if not entry.is_file():
        pytest.skip("the toolchains were not installed where the files were written")
    lane = open_lane("tflite", entry)
    came = np.stack([lane.infer({"image": frame[None]})["density"] for frame in np.load(folder / "frames.npy")])
    expected = np.load(folder / precision / "expected.npy")
    assert came.shape == expected.shape
    gap = np.sqrt(np.mean((came - expected) ** 2) / np.mean(expected**2))
    assert gap <= allowed, "root mean square, of the size of the output"


@pytest.mark.skipif(not GIVEN, reason="LiteRT's XNNPACK takes int8; here it is tflite-runtime's, which does not")
def test_what_xnnpack_left_to_slow_kernels_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    folder = Path(str(GIVEN))
    if not (folder / "int8").is_dir():
        pytest.skip("the toolchains were not installed where the files were written")
    for precision in ("fp32", "fp16"):
        open_lane("tflite", folder / precision / "model.tflite")
    assert not caplog.records
    open_lane("tflite", folder / "int8" / "model.tflite")
    assert "XNNPACK left 39 convolutions and products to tflite-runtime's slow kernels" in caplog.text
