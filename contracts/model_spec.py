"""model.toml: how a network wants its pictures and what its outputs mean."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator
from typing_extensions import Self

from contracts.documents import Id, WrittenModel
from contracts.output_spec import DensityOutput, Label, NmsOptions, OutputSpec, SsdOutput, YoloxOutput, label_problems

__all__ = [
    "Budget",
    "DensityOutput",
    "InputSpec",
    "Label",
    "ModelSpec",
    "NmsOptions",
    "OutputSpec",
    "SsdOutput",
    "YoloxOutput",
]

Resize = Literal["stretch", "letterbox", "letterbox-topleft"]
Color = Literal["rgb", "bgr", "gray"]
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

    @property
    def geometry(self) -> tuple[int, int, Resize, int]:
        """What decides which frames a source is asked for; the rest of it is folded into the artifact."""
        return self.width, self.height, self.resize, self.pad_value

    @model_validator(mode="after")
    def _one_or_a_channel(self) -> Self:
        for name in ("mean", "std"):
            values: tuple[float, ...] = getattr(self, name)
            if len(values) not in {1, self.channels}:
                raise ValueError(f"'{name}' should have 1 value or {self.channels} (one a channel), got {len(values)}")
        if min(self.std) <= 0:
            raise ValueError(f"'std' should be above 0, got {list(self.std)}")
        return self


class Budget(WrittenModel):
    """What a converted artifact may lose."""

    max_loss: float = Field(0.01, gt=0, lt=1, description="of the mean true count: bias, and rise of the error")
    labels: tuple[Label, ...] = Field((), description="what is counted for it; all labels where empty")


class StageSpec(WrittenModel):
    """A part of the network: the first runs on the target's accelerator, what follows on the host processor."""

    name: Id
    ends: tuple[str, ...] = Field((), description="names of the tensors at which it ends; the last stage has none")


class ModelSpec(WrittenModel):
    """The whole of model.toml."""

    name: Id
    version: Version
    labels: tuple[Label, ...] = Field(min_length=1)
    input: InputSpec
    output: OutputSpec
    budget: Budget = Budget()
    stage: tuple[StageSpec, ...] = Field((), description="two, or none where the network runs as a whole")

    @property
    def cut_at(self) -> tuple[str, ...]:
        """Names of the tensors at which the first stage ends; none where there is one stage."""
        return self.stage[0].ends if self.stage else ()

    @model_validator(mode="after")
    def _stages_follow(self) -> Self:
        if not self.stage:
            return self
        if len(self.stage) != 2:  # noqa: PLR2004 - the accelerator's and the host's
            raise ValueError(f"'stage' should stand twice (accelerator, host processor) or not, got {len(self.stage)}")
        first, last = self.stage
        if not first.ends or last.ends:
            raise ValueError("'stage.ends' should name tensors in the first stage and be left out of the last")
        if first.name == last.name:
            raise ValueError(f"'stage.name' should differ, {first.name!r} stands twice")
        if len(set(first.ends)) != len(first.ends):
            raise ValueError(f"'stage.ends' should name each tensor once, got {list(first.ends)}")
        return self

    @model_validator(mode="after")
    def _labels_agree(self) -> Self:
        doubled = {label for label in self.labels if self.labels.count(label) > 1}
        if doubled:
            raise ValueError(f"'labels' should differ, {min(doubled)!r} stands more than once")
        strange = set(self.budget.labels) - set(self.labels)
        if strange:
            raise ValueError(f"'budget.labels' names {min(strange)!r}, which 'labels' lacks")
        for problem in label_problems(self.output, self.labels):
            raise ValueError(problem)
        return self
