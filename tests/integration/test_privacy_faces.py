"""The face of a real person in a real clip: found by real networks, and nothing of it is left in what is shown."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest

from agent.engines.supply import EngineSupply
from agent.facts import device_facts
from agent.model import LoadedModel
from agent.page.ports import Look
from agent.privacy.faces import FaceModel, open_faces
from agent.privacy.hiding import LEAST_BLOCK
from agent.privacy.redact import Redactor
from contracts.config import CameraConfig, PrivacyConfig
from contracts.errors import ArtifactError, NoArtifactFitsError
from contracts.manifest import Artifact
from contracts.model_spec import ModelSpec
from converters.reference import prepared
from runtime.pictures import clip_frames
from runtime.results import DensityMap, Picture, Tensors
from tests.data import data_dir
from tests.e2e.agents import run_cli
from tests.fakes.bundles import artifact
from tests.integration.test_decoders import CLIP, PEOPLE, ULTRAFACE, YUNET, onnx

FILES = {
    "ultraface": (ULTRAFACE, "ultraface_RFB-320_without_postprocessing.onnx"),
    "yunet": (YUNET, "yunet_n_320_320.onnx"),
}


class NetworkLane:
    """A published network as a lane that takes what the agent gives."""

    def __init__(self, spec: ModelSpec, file: str) -> None:
        self._spec = spec
        self._network = onnx(file)
        self.closed = False

    def infer(self, tensors: Tensors) -> Tensors:
        (tensor,) = tensors.values()
        return self._network(prepared(tensor, self._spec.input))

    def close(self) -> None:
        self.closed = True


def model(folder: Path, spec: ModelSpec, file: str) -> LoadedModel:
    form = Artifact.model_validate(artifact(folder))
    return LoadedModel(spec, form, "f32", (NetworkLane(spec, file),))


@pytest.fixture(params=sorted(FILES))
def faces(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FaceModel]:
    finder = FaceModel(partial(model, tmp_path, *FILES[request.param]), tmp_path)
    yield finder
    finder.close()


@cache
def profile() -> Picture:
    """Somebody with glasses, from the side: the one frame of 60 in which a face can be seen."""
    return [picture for picture, _ in clip_frames(data_dir() / "videos" / CLIP, 60)][29]


def seen(picture: Picture) -> Look:
    nothing = DensityMap(np.zeros((4, 4), np.float32))
    return Look(picture, picture.shape[1] / picture.shape[0], 0, 0.0, nothing, ("vehicle",), camera="gate")


def redactor(faces: FaceModel) -> Redactor:
    camera = CameraConfig(id="gate", source="synthetic")
    return Redactor(PrivacyConfig(blur=("faces",), faces="b"), lambda: [camera], faces)


def test_of_the_face_that_a_network_finds_nothing_is_left_and_all_else_is(faces: FaceModel) -> None:
    picture = profile()
    height, width = picture.shape[:2]
    (found,) = faces.find(picture, width / height)
    x1, y1, x2, y2 = (round(share * side) for share, side in zip(found, (width, height) * 2, strict=True))
    shown = redactor(faces)(seen(picture))
    assert steepest(picture[y1:y2, x1:x2]) > 60, "glasses and an eye"
    assert steepest(shown[y1:y2, x1:x2]) < 255 / LEAST_BLOCK
    changed = (shown != picture).any(axis=2)
    assert changed.mean() < 0.03
    assert not changed[: max(0, y1 - (y2 - y1) // 2)].any()
    assert not changed[y2 + (y2 - y1) // 2 :].any()


def steepest(part: Picture) -> int:
    """The largest step between two neighbouring pixels."""
    return max(int(np.abs(np.diff(part.astype(int), axis=axis)).max()) for axis in (0, 1))


def test_neither_network_finds_the_face_again(tmp_path: Path) -> None:
    finders = [FaceModel(partial(model, tmp_path, *one), tmp_path) for one in FILES.values()]
    for finder in finders:
        shown = redactor(finder)(seen(profile()))
        assert [other.find(shown, 16 / 9) for other in finders] == [[], []]


def test_a_stretched_picture_has_the_same_faces(faces: FaceModel) -> None:
    picture = profile()
    aspect = picture.shape[1] / picture.shape[0]
    (straight,) = faces.find(picture, aspect)
    (stretched,) = faces.find(np.ascontiguousarray(picture[:, ::2]), aspect)
    np.testing.assert_allclose(stretched, straight, atol=0.02)


def test_a_detector_that_cannot_be_opened_hides_the_whole_picture(tmp_path: Path) -> None:
    def refuse() -> LoadedModel:
        raise NoArtifactFitsError("faces", {})

    picture = profile()
    whole = redactor(FaceModel(refuse, tmp_path))(seen(picture))
    assert (whole != picture).mean() > 0.9


def test_a_bundle_of_something_else_is_refused_and_closed(tmp_path: Path) -> None:
    opened: list[LoadedModel] = []

    def load() -> LoadedModel:
        opened.append(model(tmp_path, PEOPLE, "yunet_n_320_320.onnx"))
        return opened[-1]

    finder = FaceModel(load, tmp_path)
    with pytest.raises(ArtifactError, match="expected a face detector, got decoder 'ssd'"):
        finder.find(profile(), 16 / 9)
    (lane,) = opened[0].lanes
    assert isinstance(lane, NetworkLane)
    assert lane.closed


def test_what_did_not_load_is_tried_again_after_a_minute_and_not_with_every_picture(tmp_path: Path) -> None:
    now, tries = 0.0, 0

    def load() -> LoadedModel:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise NoArtifactFitsError("faces", {})
        return model(tmp_path, *FILES["yunet"])

    finder = FaceModel(load, tmp_path, lambda: now)
    for now in (0.0, 1.0, 59.0):  # noqa: B007 - the clock reads it
        with pytest.raises(ArtifactError, match="no artifact of bundle 'faces' fits"):
            finder.find(profile(), 16 / 9)
    assert tries == 1
    now = 60.0
    assert finder.find(profile(), 16 / 9)


def test_it_is_opened_with_the_first_picture_and_once(tmp_path: Path) -> None:
    loads: list[Callable[[], LoadedModel]] = []

    def load() -> LoadedModel:
        loads.append(load)
        return model(tmp_path, *FILES["yunet"])

    finder = FaceModel(load, tmp_path)
    assert not loads
    for _ in range(2):
        finder.find(profile(), 16 / 9)
    assert len(loads) == 1
    finder.close()
    finder.close()
    with pytest.raises(ArtifactError, match="closed"):
        finder.find(profile(), 16 / 9)


@pytest.mark.slow
def test_a_converted_detector_finds_the_face(tmp_path: Path) -> None:
    folder = tmp_path / "ultraface"
    folder.mkdir()
    shutil.copy(data_dir() / "models" / FILES["ultraface"][1], folder / "model.onnx")
    (folder / "model.toml").write_text(
        'name = "faces"\nversion = "1.0.0"\nlabels = ["face"]\n'
        '[input]\nwidth = 320\nheight = 240\ncolor = "rgb"\nmean = [127.0]\nstd = [128.0]\n'
        '[output]\ndecoder = "faces"\nlayout = "ultraface-priors"\nscore = 0.6\n'
    )
    bundle = tmp_path / "faces.bundle"
    clip = data_dir() / "videos" / CLIP
    options = ["--target", "x86-onnxruntime", "--precision", "fp32", "--pictures", "8", "--measure", "none"]
    run = run_cli("converters.cli", "build", folder, "--out", bundle, "--calibration", clip, *options)
    assert run.returncode == 0, run.stderr
    facts = device_facts()
    finder = open_faces(bundle, facts, EngineSupply(tmp_path / "engines", facts))
    try:
        (found,) = finder.find(profile(), 16 / 9)
    finally:
        finder.close()
    np.testing.assert_allclose(found, (0.71, 0.06, 0.76, 0.19), atol=0.01)
