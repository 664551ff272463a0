"""What a person should see to before a bundle goes to a fleet: ticked from facts, never from a setting. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from converters.gate import is_at_the_edge
from converters.report.rows import Report, Row

RUNS_FOR_P99 = 1000  # below, the 99th percentile rests on fewer than ten runs
_STEADY = frozenset({"performance"})  # cpufreq governors that keep the clock up


@dataclass(frozen=True)
class Check:
    """One line of the list.

    Args:
        done: whether it may be ticked.
        text: what was found, whichever way.
    """

    done: bool
    text: str


def checklist(report: Report) -> tuple[Check, ...]:
    """The list for a report; what does not concern it is left out."""
    kept = [row for row in report.rows if row.status == "kept"]
    found = [
        *_disjoint(report, kept),
        *_truth(kept),
        *_budget(kept),
        *_decided(kept),
        *_evidence(kept),
        *_runs(kept),
        *_governor(kept),
        *_complete(report),
    ]
    return tuple(found)


def _disjoint(report: Report, kept: list[Row]) -> Iterator[Check]:
    calibration, evaluation = report.calibration, report.evaluation
    if evaluation is None:
        yield Check(done=False, text="no evaluation pictures were given: what is lost was not measured on your cameras")
        return
    if calibration is None or not any(row.method for row in kept):
        return
    both = sorted(set(calibration.clips) & set(evaluation.clips))
    if both or calibration.sha256 == evaluation.sha256:
        same = f"clips in both: {', '.join(both)}" if both else "they are the same pictures"
        yield Check(done=False, text=f"evaluation pictures should be others than those of the calibration; {same}")
        return
    text = f"evaluation pictures ({evaluation.pictures}) disjoint from calibration ({calibration.pictures})"
    yield Check(done=True, text=text + (", by clip" if calibration.clips and evaluation.clips else ""))


def _truth(kept: list[Row]) -> Iterator[Check]:
    kinds = {row.accuracy.truth for row in kept if row.accuracy}
    if "reference" in kinds:
        yield Check(
            done=False, text="the FP32 counts stood in for labels: the loss is against the model, not against the road"
        )
    elif kinds:
        yield Check(done=True, text="the loss was measured against labels")


def _budget(kept: list[Row]) -> Iterator[Check]:
    if not kept:
        return
    unknown = _names(row for row in kept if row.accuracy is None)
    if unknown:
        yield Check(done=False, text=f"loss not measured here: {unknown}")
    over = _names(row for row in kept if row.accuracy and row.accuracy.verdict == "failed")
    if over:
        yield Check(done=False, text=f"kept although over the budget: {over}")
    elif any(row.accuracy for row in kept):
        yield Check(done=True, text="every artifact kept whose loss was measured is estimated within the budget")


def _decided(kept: list[Row]) -> Iterator[Check]:
    judged = [row for row in kept if row.accuracy]
    undecided = [row.accuracy for row in judged if row.accuracy and row.accuracy.verdict == "undecided"]
    if undecided:
        edge = [accuracy for accuracy in undecided if is_at_the_edge(accuracy)]
        needed = max((accuracy.needed or 0 for accuracy in undecided if accuracy not in edge), default=0)
        most = f"; about {needed} would decide" if needed else ""
        at_edge = f"; {len(edge)} at the budget's edge, which more will hardly decide" if edge else ""
        said = f"{undecided[0].n} were given{most}{at_edge}"
        yield Check(done=False, text=f"too few pictures to be sure of {len(undecided)} of {len(judged)}: {said}")
    elif judged:
        yield Check(done=True, text="the 95 % interval of every loss lies within the budget")


def _evidence(kept: list[Row]) -> Iterator[Check]:
    if not kept:
        return
    emulated = _names(row for row in kept if row.evidence == "emulated")
    built = _names(row for row in kept if row.evidence not in {"emulated", "measured"})
    if emulated:
        yield Check(done=False, text=f"run on the device itself: so far only emulated: {emulated}")
    if built:
        yield Check(done=False, text=f"run on the device itself: so far only built: {built}")
    if not emulated and not built:
        yield Check(done=True, text="every artifact was run on a box of its own kind")


def _runs(kept: list[Row]) -> Iterator[Check]:
    benchmarks = [row.benchmark for row in kept if row.benchmark]
    if not benchmarks:
        yield Check(done=False, text="no speed was measured")
        return
    if any(benchmark.quick for benchmark in benchmarks):
        yield Check(done=False, text="speeds by the full rule (200 runs and 10 s): they were measured quickly")
    least = min(benchmark.stages["total"].n for benchmark in benchmarks)
    done = least >= RUNS_FOR_P99
    yield Check(
        done=done, text=f"p99 from at least {RUNS_FOR_P99} runs" + ("" if done else f": the fewest were {least}")
    )


def _governor(kept: list[Row]) -> Iterator[Check]:
    governors = {row.benchmark.environment.governor for row in kept if row.benchmark} - {None}
    if governors:
        unsteady = sorted(governor for governor in governors if governor and governor not in _STEADY)
        text = f"the clock could change while measuring: governor {', '.join(unsteady)}"
        yield Check(done=not unsteady, text=text if unsteady else "the clock's governor was performance")


def _complete(report: Report) -> Iterator[Check]:
    failed = [row for row in report.rows if row.status == "failed"]
    if failed:
        yield Check(done=False, text=f"failed: {_names(failed)}; the table says why")


def _names(rows: Iterator[Row] | list[Row]) -> str:
    return ", ".join(dict.fromkeys(f"{row.target} {row.precision}" for row in rows))
