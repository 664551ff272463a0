"""model.toml: how a network wants its pictures and what its outputs mean."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator
from typing_extensions import Self

from contracts.documents import Id, WrittenModel

Resize = Literal["stretch", "letterbox", "letterbox-topleft"]
Color = Literal["rgb", "bgr", "gray"]
Score = Annotated[float, Field(gt=0, lt=1)]
Label = Annotated[str, StringConstraints(pattern=r"^[^\s/+#][^/+#]{0,63}$")]
Version = Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+([-+][0-9A-Za-z.-]+)?$")]


class InputSpec(WrittenModel):
    """What the network wants; frames arrive as uint8 BGR and ``(x - mean) / std`` is folded into the artifact."""

    width: int = Field(ge=8, le=8192, description="pixels")
    height: int = Field(ge=8, le=8192, description="pixels")
    color: Color = "bgr"
    mean: tuple[float, ...] = Field((0.0,), description="one value, or one a channel, in 0 to 255")
    std: tuple[float, ...] = Field((1.0,), description="one value, or one a channel, in 0 to 255")
    resize: Resize = "stretch"
    pad_value: int = Field(114, ge=0, le=255, description="grey level around a letterboxed picture")

    @property
    def channels(self) -> int:
        """Channels the network takes: 3, or 1 for gray."""
        return 1 if self.color == "gray" else 3

    @model_validator(mode="after")
    def _one_or_a_channel(self) -> Self:
        for name in ("mean", "std"):
            values: tuple[float, ...] = getattr(self, name)
            if len(values) not in {1, self.channels}:
                raise ValueError(f"'{name}' should have 1 value or {self.channels} (one a channel), got {len(values)}")
        if min(self.std) <= 0:
            raise ValueError(f"'std' should be above 0, got {list(self.std)}")
        return self


class DensityOutput(WrittenModel):
    """A density map ``(1, 1, h, w)``, not negative, whose sum is the count."""

    decoder: Literal["density"]
    scale: float = Field(1.0, gt=0, description="count = sum of the map x scale")


class NmsOptions(WrittenModel):
    """Non-maximum suppression: which of two overlapping boxes is one thing."""

    iou: float = Field(0.45, gt=0, le=1, description="boxes that overlap more than this are one")
    groups: tuple[tuple[Label, ...], ...] = Field(
        (), description="labels that compete with each other; all others only with their own"
    )
    most: int = Field(300, ge=1, le=10_000, description="boxes kept a frame")


class YoloxOutput(WrittenModel):
    """YOLOX head ``(1, n, 5 + labels)``: offsets on the grids of its strides, objectness, classes (sigmoid applied)."""

    decoder: Literal["yolox"]
    score: Score = 0.3
    strides: tuple[int, ...] = (8, 16, 32)
    nms: NmsOptions = NmsOptions()


class SsdOutput(WrittenModel):
    """``detection_out`` ``(1, 1, n, 7)``: picture, label, score, x1, y1, x2, y2 in 0 to 1, suppression already done."""

    decoder: Literal["ssd"]
    score: Score = 0.5
    first_label: int = Field(0, ge=0, description="the label number that means labels[0]")


OutputSpec = Annotated[DensityOutput | YoloxOutput | SsdOutput, Field(discriminator="decoder")]


class Budget(WrittenModel):
    """What a converted artifact may lose."""

    max_loss: float = Field(0.01, gt=0, lt=1, description="of the mean true count: bias, and rise of the error")
    labels: tuple[Label, ...] = Field((), description="what is counted for it; all labels where empty")


class ModelSpec(WrittenModel):
    """The whole of model.toml."""

    name: Id
    version: Version
    labels: tuple[Label, ...] = Field(min_length=1)
    input: InputSpec
    output: OutputSpec
    budget: Budget = Budget()

    @model_validator(mode="after")
    def _labels_agree(self) -> Self:
        doubled = {label for label in self.labels if self.labels.count(label) > 1}
        if doubled:
            raise ValueError(f"'labels' should differ, {min(doubled)!r} stands more than once")
        strange = set(self.budget.labels) - set(self.labels)
        if strange:
            raise ValueError(f"'budget.labels' names {min(strange)!r}, which 'labels' lacks")
        if isinstance(self.output, YoloxOutput):
            strange = {label for group in self.output.nms.groups for label in group} - set(self.labels)
            if strange:
                raise ValueError(f"'output.nms.groups' names {min(strange)!r}, which 'labels' lacks")
        return self
