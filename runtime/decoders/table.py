"""The decoders that exist, by the name that model.toml gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from contracts.model_spec import ModelSpec
from runtime.decoders.classes import ClassesDecoder
from runtime.decoders.density import DensityDecoder
from runtime.decoders.detr import DetrDecoder
from runtime.decoders.faces import FacesDecoder
from runtime.decoders.landmarks import LandmarksDecoder
from runtime.decoders.mask_rcnn import MaskRcnnDecoder
from runtime.decoders.nanodet import NanodetDecoder
from runtime.decoders.ssd import SsdDecoder
from runtime.decoders.ssd_tflite import SsdTfliteDecoder
from runtime.decoders.yolo import YoloDecoder
from runtime.decoders.yolox import YoloxDecoder
from runtime.prepare import Placement
from runtime.results import Result, Tensors


class Decoder(Protocol):
    """Raw outputs to results; has no state, any thread may call it."""

    def decode(self, outputs: Tensors, placement: Placement) -> Result:
        """What the network saw.

        Args:
            outputs: the lane's outputs by name.
            placement: where the picture lay in the input.

        Raises:
            ArtifactError: the outputs are not what this decoder reads, or hold a NaN.
        """


DECODERS: dict[str, Callable[[ModelSpec, float | None], Decoder]] = {
    "density": DensityDecoder,
    "yolo": YoloDecoder,
    "yolox": YoloxDecoder,
    "nanodet": NanodetDecoder,
    "ssd": SsdDecoder,
    "ssd-tflite": SsdTfliteDecoder,
    "detr": DetrDecoder,
    "mask-rcnn": MaskRcnnDecoder,
    "faces": FacesDecoder,
    "landmarks": LandmarksDecoder,
    "classes": ClassesDecoder,
}


def open_decoder(spec: ModelSpec, *, score: float | None = None) -> Decoder:
    """The decoder of a model.

    Args:
        spec: the model; its ``output.decoder`` was checked when it was read.
        score: instead of the model's own threshold, where it has one.
    """
    return DECODERS[spec.output.decoder](spec, score)
