"""Faces: UltraFace's two layouts are told apart, YuNet's landmarks come with their face."""

from __future__ import annotations

import numpy as np
import pytest

from contracts.documents import read_document
from contracts.errors import ArtifactError, DocumentError, ModelFileError
from contracts.model_spec import ModelSpec
from runtime.decoders.table import open_decoder
from runtime.prepare import place
from tests.unit.runtime.decoders.models import FAMILIES, THINGS_TWO, Thing, decode

FACES = tuple(thing._replace(label=0) for thing in THINGS_TWO)


def test_corners_given_for_offsets_are_refused() -> None:
    priors = FAMILIES["ultraface-priors"]
    outputs = priors.encode(FACES)
    outputs["boxes"][..., 2:] = outputs["boxes"][..., :2] + 0.1
    with pytest.raises(ArtifactError, match="say layout = 'ultraface' in"):
        decode(priors.model(), outputs)


def test_offsets_given_for_corners_are_refused_even_where_no_face_is() -> None:
    outputs = FAMILIES["ultraface-priors"].encode([])
    with pytest.raises(ArtifactError, match="say layout = 'ultraface-priors'"):
        decode(FAMILIES["ultraface"].model(), outputs)


def test_another_number_of_priors_is_refused() -> None:
    outputs = {name: value[:, 1:] for name, value in FAMILIES["ultraface-priors"].encode(FACES).items()}
    with pytest.raises(ArtifactError, match="scores as 1x708x2"):
        decode(FAMILIES["ultraface-priors"].model(), outputs)


def test_landmarks_lie_in_the_picture_as_their_face_does() -> None:
    family = FAMILIES["yunet"]
    model = family.model(resize="letterbox")
    where = place(model.input, 64, 96)
    found = decode(model, family.encode([Thing(40, 20, 80, 60, 0.9, 0)]), where)
    assert found.landmarks is not None
    assert found.landmarks.shape == (1, 5, 2)
    np.testing.assert_allclose(found.landmarks[0], [[(60 - 32) / 64, 40 / 96]] * 5, atol=1e-5)
    np.testing.assert_allclose(found.boxes[0, :2] + found.boxes[0, 2:], 2 * found.landmarks[0, 0], atol=1e-5)


def test_landmarks_stay_with_their_face_through_suppression() -> None:
    family = FAMILIES["yunet"]
    faces = [Thing(10, 10, 40, 40, 0.8, 0), Thing(11, 11, 41, 41, 0.9, 0), Thing(70, 50, 110, 90, 0.85, 0)]
    found = decode(family.model(), family.encode(faces))
    assert found.landmarks is not None
    np.testing.assert_allclose(found.landmarks[:, 0] * [128, 96], [[26, 26], [90, 70]], atol=1e-3)


def test_yunet_refuses_a_size_that_its_strides_do_not_divide() -> None:
    with pytest.raises(ModelFileError, match="yunet needs a size"):
        open_decoder(FAMILIES["yunet"].model(width=100))


def test_a_face_model_has_one_label() -> None:
    document = FAMILIES["yunet"].model().model_dump(mode="json") | {"labels": ["face", "mask"]}
    with pytest.raises(DocumentError, match="one label, for a face, got 2"):
        read_document(ModelSpec, document, "model.toml")
