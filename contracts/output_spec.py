"""The ``[output]`` table of model.toml: which decoder reads a network's outputs, and what it has to know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator
from typing_extensions import Self

from contracts.documents import WrittenModel

Score = Annotated[float, Field(gt=0, lt=1)]
Label = Annotated[str, StringConstraints(pattern=r"^[^\s/+#][^/+#]{0,63}$")]
Strides = Annotated[tuple[Annotated[int, Field(ge=1, le=1024)], ...], Field(min_length=1, max_length=8)]
OutputName = Annotated[str, StringConstraints(min_length=1, max_length=256)]
ScoreKind = Literal["probabilities", "logits"]
Unit = Literal["pixels", "share"]


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


class YoloOutput(WrittenModel):
    """YOLO heads with boxes decoded in the network.

    ``anchors`` (v5, v7): ``(1, n, 5 + labels)``: x, y, width, height, objectness, classes. ``anchor-free`` (v8, v9,
    v11): ``(1, 4 + labels, n)`` or transposed, without objectness. ``end-to-end`` (v10, YOLO26): ``(1, n, 6)``: x1,
    y1, x2, y2, score, label, suppression already done.
    """

    decoder: Literal["yolo"]
    layout: Literal["anchors", "anchor-free", "end-to-end"]
    score: Score = 0.3
    scores: ScoreKind = Field("probabilities", description="logits where the network ends before its sigmoid")
    unit: Unit = Field("pixels", description="of the boxes: pixels of the input, or share: 0 to 1 of it")
    nms: NmsOptions = NmsOptions()

    @model_validator(mode="after")
    def _nothing_for_naught(self) -> Self:
        if self.layout != "end-to-end":
            return self
        if self.scores != "probabilities":
            raise ValueError("'scores' should be 'probabilities' where 'layout' is 'end-to-end', got 'logits'")
        if self.nms != NmsOptions():
            raise ValueError("'nms' should be left out where 'layout' is 'end-to-end': suppression is in the network")
        return self


class YoloxOutput(WrittenModel):
    """YOLOX head ``(1, n, 5 + labels)``: offsets on the grids of its strides, objectness, classes (sigmoid applied)."""

    decoder: Literal["yolox"]
    score: Score = 0.3
    strides: Strides = (8, 16, 32)
    nms: NmsOptions = NmsOptions()


class NanodetOutput(WrittenModel):
    """NanoDet: ``(1, n, labels + 4 x bins)``, or classes and distances of each stride on their own."""

    decoder: Literal["nanodet"]
    score: Score = 0.4
    scores: ScoreKind = Field("probabilities", description="logits where the network ends before its sigmoid")
    strides: Strides = (8, 16, 32, 64)
    bins: int = Field(8, ge=2, le=64, description="of each distance: reg_max + 1 of the training's configuration")
    origin: Literal["corner", "centre"] = Field(
        "corner", description="distances begin there in a cell: corner in NanoDet-Plus, centre in NanoDet of 2020"
    )
    nms: NmsOptions = NmsOptions(iou=0.6)


class SsdOutput(WrittenModel):
    """``detection_out`` ``(1, 1, n, 7)``: picture, label, score, x1, y1, x2, y2 in 0 to 1, suppression already done."""

    decoder: Literal["ssd"]
    score: Score = 0.5
    first_label: int = Field(0, ge=0, description="the label number that means labels[0]")


SsdRole = Literal["boxes", "classes", "scores", "count"]


class SsdNames(WrittenModel):
    """Which of the network's outputs is which; those left out are found by their names and shapes."""

    boxes: OutputName | None = None
    classes: OutputName | None = None
    scores: OutputName | None = None
    count: OutputName | None = None


class SsdTfliteOutput(WrittenModel):
    """The four outputs of ``TFLite_Detection_PostProcess``: boxes, classes, scores and how many of them are meant."""

    decoder: Literal["ssd-tflite"]
    score: Score = 0.5
    first_label: int = Field(0, ge=0, description="the label number that means labels[0]")
    names: SsdNames = SsdNames()
    order: tuple[SsdRole, SsdRole, SsdRole, SsdRole] = Field(
        ("boxes", "classes", "scores", "count"), description="of the outputs whose names and shapes do not tell"
    )

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.order)) != len(self.order):
            raise ValueError(f"'order' should name boxes, classes, scores and count once each, got {list(self.order)}")
        return self


class DetrNames(WrittenModel):
    """Which of the network's outputs is which; those left out are found by their names and shapes."""

    logits: OutputName | None = None
    boxes: OutputName | None = None


class DetrOutput(WrittenModel):
    """DETR and its kin: logits ``(1, q, labels)`` or ``(1, q, labels + 1)``, boxes ``(1, q, 4)``: cx, cy, w, h."""

    decoder: Literal["detr"]
    activation: Literal["softmax", "sigmoid"] = Field(
        description="softmax over labels and 'no object', which stands last (DETR); sigmoid over labels (RT-DETR)"
    )
    score: Score = 0.5
    names: DetrNames = DetrNames()


class MaskRcnnNames(WrittenModel):
    """Which of the network's outputs is which; those left out are found by their names and shapes."""

    boxes: OutputName | None = None
    labels: OutputName | None = None
    scores: OutputName | None = None
    masks: OutputName | None = None


class MaskRcnnOutput(WrittenModel):
    """Mask R-CNN: boxes ``(n, 4)`` in pixels of the input, labels and scores ``(n,)``, masks ``(n, 1, 28, 28)``."""

    decoder: Literal["mask-rcnn"]
    score: Score = 0.5
    first_label: int = Field(1, ge=0, description="the label number that means labels[0]; lower ones are background")
    names: MaskRcnnNames = MaskRcnnNames()


class FacesOutput(WrittenModel):
    """Face detectors; the model has one label.

    ``ultraface``: scores ``(1, n, 2)``, boxes ``(1, n, 4)`` as corners in 0 to 1. ``ultraface-priors``: the same, boxes
    as offsets from its priors. ``yunet``: cls, obj, bbox and kps of each stride, with five landmarks a face.
    """

    decoder: Literal["faces"]
    layout: Literal["ultraface", "ultraface-priors", "yunet"]
    score: Score = 0.7
    nms: NmsOptions = NmsOptions(iou=0.3)


class LandmarksOutput(WrittenModel):
    """Points of one thing, one for each label.

    ``points``: ``(1, 2k)``, ``(1, k, 2)`` or, with a score a point, ``(1, k, 3)``. ``heat-maps``: ``(1, k, h, w)``.
    """

    decoder: Literal["landmarks"]
    layout: Literal["points", "heat-maps"]
    score: Score = Field(0.3, description="points below are not visible; of no effect where the network scores none")
    unit: Unit = Field("share", description="of points: pixels of the input, or share: 0 to 1 of it")
    axes: Literal["xy", "yx"] = Field("xy", description="which of a point's numbers comes first")
    origin: Literal["corner", "centre"] = Field("centre", description="what of a heat map's cell is the point")


class HeadSpec(WrittenModel):
    """One of several questions that a classifier answers."""

    output: OutputName = Field(description="name of the network's output")
    labels: tuple[Label, ...] = Field(min_length=2, description="its answers in their order")


class ClassesOutput(WrittenModel):
    """A classifier: ``(1, labels)`` or ``(1, labels, 1, 1)``; several heads have an output each."""

    decoder: Literal["classes"]
    scores: ScoreKind = Field("probabilities", description="logits where the network ends before its softmax")
    score: Score = Field(0.01, description="a best label below is no answer")
    head: tuple[HeadSpec, ...] = Field((), description="none where one output answers with all labels")


OutputSpec = Annotated[
    DensityOutput
    | YoloOutput
    | YoloxOutput
    | NanodetOutput
    | SsdOutput
    | SsdTfliteOutput
    | DetrOutput
    | MaskRcnnOutput
    | FacesOutput
    | LandmarksOutput
    | ClassesOutput,
    Field(discriminator="decoder"),
]


def label_problems(output: OutputSpec, labels: tuple[str, ...]) -> Iterator[str]:
    """One sentence for each way in which the output's labels are not those of the model."""
    if isinstance(output, YoloOutput | YoloxOutput | NanodetOutput | FacesOutput):
        strange = {label for group in output.nms.groups for label in group} - set(labels)
        if strange:
            yield f"'output.nms.groups' names {min(strange)!r}, which 'labels' lacks"
    if isinstance(output, FacesOutput) and len(labels) != 1:
        yield f"'labels' should hold one label, for a face, got {len(labels)}"
    if isinstance(output, ClassesOutput) and output.head:
        answers = [label for head in output.head for label in head.labels]
        if sorted(answers) != sorted(labels):
            yield f"'output.head.labels' should hold each of 'labels' once, got {answers} for {list(labels)}"
    if isinstance(output, ClassesOutput) and len(labels) < 2:  # noqa: PLR2004 - yes and no
        yield f"'labels' should hold at least two labels to choose from, got {len(labels)}"
