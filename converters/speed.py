"""Comparing speeds within one run: against FP32, and against what the runtime would take by itself. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from contracts.facts import Facts
from converters.report.rows import Row


@dataclass(frozen=True)
class Speed:
    """How many times as fast as the same target's FP32 file, with the same lanes and threads.

    It is the ratio of `contracts.measurement.Benchmark.fps`: whole frames, sustained. None where the other side was
    not measured.

    Args:
        against_fp32: computed in f32.
        against_default: computed in what the runtime takes where nobody says otherwise: the speed that a user of the
            bare runtime compares with.
    """

    against_fp32: float | None
    against_default: float | None


def default_precision(backend: str, options: Mapping[str, str], facts: Facts) -> str:
    """What a runtime computes with where nobody says otherwise.

    OpenVINO's CPU plugin takes bf16 on x86-64 with AVX512_BF16 or AMX, and f16 on Arm with its arithmetic (OpenVINO's
    guide, "CPU Device"); its GPU plugin takes f16. The other runtimes compute in the types of the file.

    Args:
        backend: a name of `runtime.backends.table`.
        options: the artifact's.
        facts: of the box.
    """
    if backend != "openvino":
        return "f32"
    if options.get("device", "CPU") != "CPU":
        return "f16"
    isa = facts.get("cpu.isa")
    sets = set(isa) if isinstance(isa, tuple) else set()
    if sets & {"avx512_bf16", "amx_bf16"}:
        return "bf16"
    return "f16" if "asimdhp" in sets else "f32"


def speed_of(row: Row, rows: Iterable[Row]) -> Speed:
    """The row's speed against its peers in the same run."""
    peers = [other for other in rows if other.precision == "fp32" and _same_setting(row, other)]
    return Speed(_ratio(row, peers, "f32"), _ratio(row, peers, row.default_precision))


def ranked(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The rows as they came, those that may run here ranked by their frames a second; the first is the chosen one.

    Those of which the pictures are too few to say come last; out of the ranking are what is not kept, what was not
    measured, and what the accuracy gate has failed.
    """
    keys = {
        number: (row.accuracy is not None and row.accuracy.verdict == "undecided", -row.benchmark.fps)
        for number, row in enumerate(rows)
        if row.status == "kept" and row.benchmark and not (row.accuracy and row.accuracy.verdict == "failed")
    }
    ranks = {number: rank for rank, number in enumerate(sorted(keys, key=lambda number: keys[number]), start=1)}
    return tuple(
        row.model_copy(update={"rank": ranks.get(number), "chosen": ranks.get(number) == 1})
        for number, row in enumerate(rows)
    )


def _same_setting(row: Row, other: Row) -> bool:
    if row.benchmark is None or other.benchmark is None or row.target != other.target:
        return False
    return (row.benchmark.lanes, row.benchmark.threads) == (other.benchmark.lanes, other.benchmark.threads)


def _ratio(row: Row, peers: Sequence[Row], execution_precision: str | None) -> float | None:
    for peer in peers:
        if peer.execution_precision == execution_precision and row.benchmark and peer.benchmark and peer.benchmark.fps:
            return row.benchmark.fps / peer.benchmark.fps
    return None
