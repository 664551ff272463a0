"""The decoders that exist, by the name that model.toml gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast

from contracts.model_spec import ModelSpec
from runtime.decoders.density import DensityDecoder
from runtime.decoders.ssd import SsdDecoder
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
            ArtifactError: the outputs are not what this decoder reads.
        """


DECODERS: dict[str, type[DensityDecoder | YoloxDecoder | SsdDecoder]] = {
    "density": DensityDecoder,
    "yolox": YoloxDecoder,
    "ssd": SsdDecoder,
}


def open_decoder(spec: ModelSpec, *, score: float | None = None) -> Decoder:
    """The decoder of a model.

    Args:
        spec: the model; its ``output.decoder`` was checked when it was read.
        score: instead of the model's own threshold, where it has one.
    """
    make = cast("Callable[[ModelSpec, float | None], Decoder]", DECODERS[spec.output.decoder])
    return make(spec, score)
