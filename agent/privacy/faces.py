"""Faces in a picture, by a model of its own that is loaded once somebody looks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import av
import numpy as np

from agent.engines.supply import EngineSupply
from agent.model import LoadedModel, load_model
from agent.privacy.hiding import Box
from contracts.config import RuntimeConfig
from contracts.errors import ArtifactError, EdgetallyError
from contracts.facts import Facts
from contracts.output_spec import FacesOutput
from runtime.bundle import open_bundle
from runtime.decoders.table import Decoder, open_decoder
from runtime.pictures import Scaler
from runtime.prepare import Placement, Preparer, place
from runtime.results import Detections, Picture

_SCORE = 0.3  # a face too many is hidden sooner than one too few
_RETRY_SECONDS = 60.0  # after a model that did not load: who looks at a page asks for many pictures


class Faces(Protocol):
    """Finds faces; called by any thread."""

    def find(self, picture: Picture, aspect: float) -> list[Box]:
        """Every face of a picture.

        Args:
            picture: uint8 ``(height, width, 3)`` BGR; it may be stretched.
            aspect: width over height as the camera sees it.

        Raises:
            EdgetallyError: the model cannot be asked.
        """


class FaceModel:
    """A face detector on a lane of its own, opened with the first picture.

    Args:
        load: opens the model with one lane; where it fails it is asked again after a minute.
        bundle: where it is from, for errors.
        clock: seconds, monotonic.
    """

    def __init__(
        self, load: Callable[[], LoadedModel], bundle: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._load = load
        self._bundle = bundle
        self._mutex = threading.Lock()
        self._open: _Open | None = None
        self._failed: tuple[float, str] | None = None
        self._clock = clock
        self._closed = False

    def find(self, picture: Picture, aspect: float) -> list[Box]:
        """See `Faces`.

        Raises:
            EdgetallyError: it is no face detector, does not load or fails, or was closed.
        """
        with self._mutex:
            if self._closed:
                raise ArtifactError(f"{self._bundle}: the face detector was closed; the agent ends")
            if self._open is None:
                self._open = self._opened()
            return self._open.find(picture, aspect)

    def _opened(self) -> _Open:
        if self._failed is not None and self._clock() - self._failed[0] < _RETRY_SECONDS:
            raise ArtifactError(self._failed[1])
        try:
            return _Open(self._load(), self._bundle)
        except EdgetallyError as error:
            self._failed = self._clock(), str(error)
            raise

    def close(self) -> None:
        """Let go of its memory; twice is harmless."""
        with self._mutex:
            self._closed = True
            if self._open is not None:
                self._open.model.close()
                self._open = None


class _Open:
    """The loaded detector; one caller at a time."""

    def __init__(self, model: LoadedModel, bundle: Path) -> None:
        if not isinstance(model.spec.output, FacesOutput):
            model.close()
            decoder = model.spec.output.decoder
            raise ArtifactError(
                f"{bundle}: expected a face detector, got decoder {decoder!r}; set 'privacy.faces' to one"
            )
        self.model = model
        self._preparer = Preparer(model.spec.input)
        self._decoder: Decoder = open_decoder(model.spec, score=min(_SCORE, model.spec.output.score))

    def find(self, picture: Picture, aspect: float) -> list[Box]:
        spec = self.model.spec.input

        def unstretched(_: int, height: int) -> Placement:
            return place(spec, max(1, round(height * aspect)), height)

        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")
        scaled, placement = Scaler(unstretched).scale(frame)
        tensor = self._preparer.prepare(scaled, placement)
        found = self._decoder.decode(self.model.lanes[0].infer({self.model.input_name: tensor}), placement)
        assert isinstance(found, Detections)
        return [(float(x1), float(y1), float(x2), float(y2)) for x1, y1, x2, y2 in found.boxes]


def open_faces(path: Path, facts: Facts, engines: EngineSupply) -> FaceModel:
    """The face detector of a bundle.

    Args:
        path: the bundle; looked at with the first picture.
        facts: this box's.
        engines: those of this box.
    """

    def load() -> LoadedModel:
        selection = load_model(open_bundle(path), facts, RuntimeConfig(lanes=1), engines)
        if selection.model is None:
            raise selection.nothing_fits()
        return selection.model

    return FaceModel(load, path)
