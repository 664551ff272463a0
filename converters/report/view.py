"""What the page shows, in words: the template only lays it out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from contracts.measurement import Accuracy, Benchmark, PictureSet
from converters.report.rows import Report, Row
from converters.report.scatter import Area, Point, Scatter, scatter
from converters.report.words import NONE, TIMES, count, number, share, signed, size, stages, times
from converters.speed import speed_of

_COLOURS = 8  # of the style sheet
_STAGES = ("preprocess", "infer", "postprocess", "total")


@dataclass(frozen=True)
class Tile:
    """A figure that stands out."""

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class Headline:
    """What somebody reads who reads nothing else."""

    title: str
    text: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Line:
    """A row of a table, its cells in words; ``notes`` are small print below the name."""

    row: Row
    form: str
    notes: tuple[str, ...]
    latency: tuple[str, str, str]
    runs: str
    fps: str
    against_fp32: str
    against_default: str
    memory: str
    peak: str
    size: str
    loss: str
    loss_notes: tuple[str, ...]
    colour: int
    stages: tuple[tuple[str, ...], ...]
    setting: str


@dataclass(frozen=True)
class Sections:
    """The rows, by whether they are in the bundle."""

    kept: tuple[Line, ...]
    others: tuple[Line, ...]


@dataclass(frozen=True)
class Mark:
    """How a point of the plot is drawn."""

    colour: int
    exact: bool
    kept: bool
    chosen: bool
    hint: str


@dataclass(frozen=True)
class Plot:
    """The plot and how its points are drawn, in the same order."""

    scatter: Scatter
    marks: tuple[Mark, ...]
    description: str
    budget: str
    legend: tuple[tuple[int, str], ...]
    area: Area


@dataclass(frozen=True)
class KeptOut:
    """What of an artifact was not quantised."""

    name: str
    method: str
    layers: tuple[str, ...]
    before: tuple[str, ...]


def headline(report: Report) -> Headline:
    """What was chosen for the converting host, and why."""
    row = report.chosen
    if row is None or row.benchmark is None:
        kept = sum(row.status == "kept" for row in report.rows)
        return Headline(
            "No artifact was chosen for this host",
            f"{count(kept, 'artifact')} went into the bundle, but none was measured on {report.device}. "
            "A device ranks those that fit it by itself.",
            (),
        )
    benchmark, speed = row.benchmark, speed_of(row, report.rows).against_fp32
    rivals = sum(other.rank is not None for other in report.rows)
    reasons = [f"It is the fastest of {rivals} within the budget on {report.device}" if rivals > 1 else "It runs here"]
    if speed is not None and not row.is_fp32:
        reasons.append(f"{times(speed)} the speed of FP32")
    text = ", ".join(reasons) + f". {_loss_sentence(row.accuracy)}"
    return Headline(f"{row.name} is the one for this host", text, tuple(_tiles(row, benchmark, speed)))


def facts(report: Report) -> tuple[tuple[str, str], ...]:
    """What the bundle was made from, and with."""
    model, source = report.model, report.source
    network = f"{model.input.width} {TIMES} {model.input.height} {model.input.color}, decoder {model.output.decoder}"
    return (
        ("Model", f"{model.name} {model.version}: {', '.join(model.labels)}"),
        ("Input", network),
        *((("Stages", stages(model)),) if model.stage else ()),
        ("Source", f"{source.file}, SHA-256 {source.sha256}" + (f", opset {source.opset}" if source.opset else "")),
        ("Calibration", _pictures(report.calibration)),
        ("Evaluation", _pictures(report.evaluation)),
        ("Budget", f"{share(model.budget.max_loss)} of the mean true count"),
        ("Converted", f"{report.created} by {report.converter}"),
        ("On", report.device),
    )


def sections(report: Report) -> Sections:
    """The rows in words."""
    colours = _colours(report)
    lines = [_line(row, report, colours[row.target]) for row in report.rows]
    kept = tuple(line for line in lines if line.row.status == "kept")
    return Sections(kept, tuple(line for line in lines if line.row.status != "kept"))


def plot(report: Report) -> Plot | None:
    """Speed against accuracy, of every row that has both; None where none has."""
    drawn = [(row, row.accuracy, row.benchmark) for row in report.rows]
    both = [(row, accuracy, benchmark) for row, accuracy, benchmark in drawn if accuracy and benchmark]
    if not both:
        return None
    colours = _colours(report)
    points = [Point(_label(row), _p50(benchmark), max(accuracy.loss, 0.0)) for row, accuracy, benchmark in both]
    marks = [
        Mark(
            colours[row.target],
            row.is_fp32,
            row.status == "kept",
            row.chosen,
            f"{row.name}: {number(point.latency_ms)} ms, loses {share(point.loss)}, {row.status}",
        )
        for (row, _, _), point in zip(both, points, strict=True)
    ]
    budget = both[0][1].max_loss
    targets = dict.fromkeys(row.target for row, _, _ in both)
    return Plot(
        scatter(points, budget),
        tuple(marks),
        ". ".join(mark.hint for mark in marks),
        f"budget {share(budget)}",
        tuple((colours[target], target) for target in targets),
        Area(),
    )


def kept_out(report: Report) -> tuple[KeptOut, ...]:
    """What stayed out of quantisation, an artifact at a time, and what was tried before it came to that."""
    found: dict[tuple[str, str], KeptOut] = {}
    for row in report.rows:
        if row.status == "kept" and row.kept_out:
            before = [
                f"{_attempt(other)}: {other.reason}"
                for other in report.rows
                if (other.target, other.precision, other.status) == (row.target, row.precision, "left out")
            ]
            key = (row.target, row.precision)
            name = f"{row.target} {row.precision}"
            found.setdefault(key, KeptOut(name, row.method, row.kept_out, tuple(dict.fromkeys(before))))
    return tuple(found.values())


def _tiles(row: Row, benchmark: Benchmark, speed: float | None) -> Iterable[Tile]:
    setting = f"{count(benchmark.lanes, 'lane')} {TIMES} {count(benchmark.threads, 'thread')}"
    yield Tile("frames a second", number(benchmark.fps), setting + (", quick" if benchmark.quick else ""))
    yield Tile("ms a frame, median", number(_p50(benchmark)), f"p99 {number(benchmark.stages['total'].p99)} ms")
    if speed is not None:
        yield Tile("against FP32", times(speed), "in frames a second")
    if row.accuracy:
        yield Tile("lost", share(row.accuracy.loss), f"allowed {share(row.accuracy.max_loss)}")
    yield Tile("size", size(row.bytes), f"{number(benchmark.peak_mb)} MB of memory at most")


def _loss_sentence(accuracy: Accuracy | None) -> str:
    if accuracy is None:
        return "What it loses was not measured."
    against = "labels" if accuracy.truth == "labels" else "the FP32 counts"
    what = f"{share(accuracy.loss)} of the mean count on {count(accuracy.n, 'picture')}, against {against}"
    return {
        "passed": f"It loses {what}; the interval is within the budget of {share(accuracy.max_loss)}.",
        "undecided": f"It seems to lose {what}; the pictures are too few to be sure that it keeps the budget of "
        f"{share(accuracy.max_loss)}.",
        "failed": f"It loses {what}, more than the budget of {share(accuracy.max_loss)}.",
    }[accuracy.verdict]


def _pictures(pictures: PictureSet | None) -> str:
    if pictures is None:
        return "none"
    labelled = "labelled" if pictures.labelled else "not labelled"
    clips = f", from {count(len(pictures.clips), 'clip')}" if pictures.clips else ""
    return f"{count(pictures.pictures, 'picture')} ({labelled}{clips}): {pictures.origin}"


def _line(row: Row, report: Report, colour: int) -> Line:
    benchmark, speed = row.benchmark, speed_of(row, report.rows)
    total = benchmark.stages["total"] if benchmark else None
    against_default = ""
    if row.default_precision not in {None, "f32"} and speed.against_default is not None:
        against_default = f"{times(speed.against_default)} of {row.default_precision}"
    return Line(
        row=row,
        form=_form(row),
        notes=tuple(_notes(row)),
        latency=(number(total.p50), number(total.p90), number(total.p99)) if total else (NONE, NONE, NONE),
        runs=f"n {total.n}{', quick' if benchmark and benchmark.quick else ''}" if total else "",
        fps=number(benchmark.fps) if benchmark else NONE,
        against_fp32=times(speed.against_fp32),
        against_default=against_default,
        memory=f"{number(benchmark.model_mb)} MB" if benchmark else NONE,
        peak=f"peak {number(benchmark.peak_mb)} MB" if benchmark else "",
        size=size(row.bytes),
        loss=share(row.accuracy.loss) if row.accuracy else NONE,
        loss_notes=tuple(_loss_notes(row.accuracy)),
        colour=colour,
        stages=tuple(_stages(benchmark)) if benchmark else (),
        setting=_setting(benchmark) if benchmark else "",
    )


def _form(row: Row) -> str:
    return f"{row.precision} in {row.execution_precision}" if row.execution_precision else row.precision


def _label(row: Row) -> str:
    return _form(row) if row.status == "kept" or not row.method else f"{row.precision} {row.method}"


def _attempt(row: Row) -> str:
    out = f" with {count(len(row.kept_out), 'layer')} kept out" if row.kept_out else ""
    return f"{row.method or row.precision}{out}"


def _notes(row: Row) -> Iterable[str]:
    if row.method:
        yield f"ranges: {row.method}"
    if row.kept_out:
        yield f"{count(len(row.kept_out), 'layer')} kept out"
    if row.max_error is not None:
        yield f"largest error {row.max_error:.2g} of an output's range"


def _loss_notes(accuracy: Accuracy | None) -> Iterable[str]:
    if accuracy:
        yield f"bias {signed(accuracy.bias_change)}"
        yield f"error {signed(accuracy.error_rise)}"
        yield f"n {accuracy.n}, {'labels' if accuracy.truth == 'labels' else 'against FP32'}"


def _stages(benchmark: Benchmark) -> Iterable[tuple[str, ...]]:
    for name in _STAGES:
        stage = benchmark.stages.get(name)
        if stage:
            figures = (stage.min, stage.p50, stage.p90, stage.p99, stage.mean)
            yield (name, *(number(figure) for figure in figures), str(stage.n))


def _setting(benchmark: Benchmark) -> str:
    box = benchmark.environment
    told = [
        f"{count(benchmark.lanes, 'lane')} {TIMES} {count(benchmark.threads, 'thread')}",
        f"load {number(benchmark.load_ms)} ms",
        f"first inference {number(benchmark.first_ms)} ms",
        f"warm-up {count(benchmark.warmup, 'run')}",
        box.runtime,
        f"Python {box.python}",
        box.device,
        f"governor {box.governor}" if box.governor else "",
        f"power mode {box.power_mode}" if box.power_mode else "",
        f"{number(box.temperature_c)} °C" if box.temperature_c is not None else "",
        f"load average before {number(box.load_average)}" if box.load_average is not None else "",
    ]
    return "; ".join(part for part in told if part)


def _p50(benchmark: Benchmark) -> float:
    return benchmark.stages["total"].p50


def _colours(report: Report) -> dict[str, int]:
    targets: Sequence[str] = list(dict.fromkeys(row.target for row in report.rows))
    return {target: number % _COLOURS for number, target in enumerate(targets)}
