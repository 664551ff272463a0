"""What was measured of an artifact: how well it still counts, how fast it runs, and on what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from contracts.documents import MachineModel, Sha256

Verdict = Literal["passed", "failed", "undecided"]
"""``undecided``: the estimate is within the budget, but the pictures are too few for its 95 % interval to be."""


class PictureSet(MachineModel):
    """Pictures that a figure was taken on.

    Attributes:
        origin: where they came from, for a person.
        pictures: how many.
        sha256: over the sorted digests of the pictures: the same pictures give the same, in whatever order.
        clips: the clips that they come from, where these are named.
        labelled: whether the true counts are known.
    """

    origin: str
    pictures: int = Field(ge=0)
    sha256: Sha256
    clips: tuple[str, ...] = ()
    labelled: bool = False


class Interval(MachineModel):
    """An estimate and its 95 % interval by the paired bootstrap (percentile method; Efron and Tibshirani 1993, 13)."""

    estimate: float
    low: float
    high: float


class Accuracy(MachineModel):
    """What an artifact loses against the FP32 reference on the evaluation pictures.

    Attributes:
        truth: ``labels`` where the true counts are known; ``reference`` where the FP32 counts stand in for them.
        n: pictures.
        mean_true: mean true count.
        reference_bias: mean of the reference's counts minus the truth.
        bias: mean of the artifact's counts minus the truth.
        reference_mae: mean absolute error of the reference.
        mae: mean absolute error of the artifact.
        bias_change: ``(bias - reference_bias) / mean_true``.
        error_rise: ``(mae - reference_mae) / mean_true``.
        max_loss: the budget: what both may reach.
        verdict: whether both stay within it.
        needed: pictures that a decision would take, where it is undecided.
    """

    truth: Literal["labels", "reference"]
    n: int
    mean_true: float
    reference_bias: float
    bias: float
    reference_mae: float
    mae: float
    bias_change: Interval
    error_rise: Interval
    max_loss: float
    verdict: Verdict
    needed: int | None = None

    @property
    def loss(self) -> float:
        """The larger of the two shares, as estimated."""
        return max(abs(self.bias_change.estimate), self.error_rise.estimate)


class Latency(MachineModel):
    """Milliseconds of one stage over ``n`` runs; p99 says something from about 1000 on."""

    n: int
    min: float
    mean: float
    p50: float
    p90: float
    p99: float


class Environment(MachineModel):
    """What a benchmark ran on; what could not be read is None.

    ``load_average`` is of the minute before it: processes that ran or were ready to. Well above 0, others took part.
    """

    device: str
    cpus: int
    isa: tuple[str, ...] = ()
    governor: str | None = None
    power_mode: str | None = None
    temperature_c: float | None = None
    load_average: float | None = None
    python: str
    runtime: str


class Benchmark(MachineModel):
    """How fast an artifact runs with one execution precision.

    Attributes:
        lanes: inferences at once.
        threads: of each lane.
        load_ms: opening it.
        first_ms: the first inference, which warms up; ``warmup`` more are left out of the stages too.
        stages: ``preprocess``, ``infer``, ``postprocess`` and ``total``, of one lane, sustained.
        fps: of all lanes together, sustained.
        model_mb: what opening and the first inference added to the resident memory, MB of 10^6 bytes.
        peak_mb: peak resident memory of the process.
        quick: fewer runs than the rule asks for (200 runs and 10 s).
    """

    execution_precision: str
    lanes: int
    threads: int
    load_ms: float
    first_ms: float
    warmup: int
    stages: Mapping[str, Latency]
    fps: float
    model_mb: float
    peak_mb: float
    quick: bool
    environment: Environment
