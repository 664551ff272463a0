"""What a report is made of: one row for every form of the model that was tried, whatever became of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from contracts.documents import MachineModel
from contracts.manifest import Evidence, Source
from contracts.measurement import Accuracy, Benchmark, PictureSet
from contracts.model_spec import ModelSpec

Status = Literal["kept", "left out", "failed", "not run"]
"""``kept``: it is in the bundle. ``left out``: it was made, and is not good enough. ``failed``: it could not be made or
run. ``not run``: this host is not one that could try."""


class Row(MachineModel):
    """One artifact, run with one execution precision.

    Attributes:
        target: the kind of box that it is for.
        precision: form of the file (``fp32``, ``int8``).
        execution_precision: what the runtime computes with (``f32``, ``bf16``); None where it was not run.
        status: what became of it.
        reason: why, in one sentence; empty where nothing is to be said.
        artifact: its id in the bundle; None where it is not there.
        bytes: of all its files.
        method: how the ranges for quantising were found; empty where nothing was quantised.
        kept_out: names of the layers that stayed out of quantisation.
        accuracy: what it loses on the evaluation pictures.
        benchmark: how fast it ran on the converting host, with one setting of lanes and threads.
        default_precision: what its runtime would compute with on the converting host if nobody said; None where it was
            not run.
        max_error: largest error of an output against the FP32 reference, as a share of the output's range.
        evidence: how far it was proven.
        evidence_device: on what.
        rank: its place among those that run on the converting host, 1 is the fastest within the budget; None elsewhere.
        chosen: whether it is the one that the converting host would take.
    """

    target: str
    precision: str
    execution_precision: str | None = None
    status: Status
    reason: str = ""
    artifact: str | None = None
    bytes: int | None = Field(None, ge=0)
    method: str = ""
    kept_out: tuple[str, ...] = ()
    accuracy: Accuracy | None = None
    benchmark: Benchmark | None = None
    default_precision: str | None = None
    max_error: float | None = None
    evidence: Evidence | None = None
    evidence_device: str | None = None
    rank: int | None = Field(None, ge=1)
    chosen: bool = False

    @property
    def name(self) -> str:
        """What a person calls it: ``x86-openvino int8 in bf16``."""
        form = f"{self.target} {self.precision}"
        return f"{form} in {self.execution_precision}" if self.execution_precision else form

    @property
    def is_fp32(self) -> bool:
        """Whether it is the exact form, computed exactly: what its target's others are held against."""
        return self.precision == "fp32" and self.execution_precision == "f32"


class Report(MachineModel):
    """The whole of report.json.

    Attributes:
        created: when, in ISO 8601, UTC.
        converter: its name and version.
        device: the converting host, which every speed was measured on.
        model: what was converted.
        source: the file that it was made from.
        rows: in the order in which they are shown.
        calibration: pictures that the ranges were found on.
        evaluation: pictures that the loss was measured on; proven to share none with ``calibration``.
        warnings: what the build had to say.
    """

    schema_version: Literal[1] = 1
    created: str
    converter: str
    device: str
    model: ModelSpec
    source: Source
    rows: tuple[Row, ...]
    calibration: PictureSet | None = None
    evaluation: PictureSet | None = None
    warnings: tuple[str, ...] = ()

    @property
    def chosen(self) -> Row | None:
        """The row that the converting host would take."""
        return next((row for row in self.rows if row.chosen), None)
