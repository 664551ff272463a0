"""Rows and reports that tests change; their figures were measured by nobody and stand in no document."""

from __future__ import annotations

from typing import Any

from contracts.manifest import Source
from contracts.measurement import Accuracy, Benchmark, Environment, Interval, Latency, PictureSet
from contracts.model_spec import ModelSpec
from converters.report.rows import Report, Row

DEVICE = "Test processor, 2 CPUs"


def accuracy(loss: float = 0.003, **changes: Any) -> Accuracy:
    return Accuracy(
        **{
            "truth": "labels",
            "n": 120,
            "mean_true": 10.0,
            "reference_bias": 0.1,
            "bias": 0.1 + loss * 10,
            "reference_mae": 1.0,
            "mae": 1.0,
            "bias_change": Interval(estimate=loss, low=loss - 0.002, high=loss + 0.002),
            "error_rise": Interval(estimate=0.0, low=-0.001, high=0.001),
            "max_loss": 0.01,
            "verdict": "passed" if loss <= 0.01 else "failed",
        }
        | changes
    )


def latency(p50: float, n: int = 2000) -> Latency:
    return Latency(n=n, min=p50 * 0.9, mean=p50 * 1.05, p50=p50, p90=p50 * 1.2, p99=p50 * 1.5)


def benchmark(p50: float = 20.0, *, n: int = 2000, **changes: Any) -> Benchmark:
    environment = Environment(
        device=DEVICE, cpus=2, isa=("avx2",), governor="performance", python="3.11.7", runtime="openvino 1.2.3"
    )
    stages = {"preprocess": 1.0, "infer": p50 - 1.2, "postprocess": 0.2, "total": p50}
    return Benchmark(
        **{
            "execution_precision": "f32",
            "lanes": 2,
            "threads": 1,
            "load_ms": 200.0,
            "first_ms": p50 * 2,
            "warmup": 50,
            "stages": {name: latency(value, n) for name, value in stages.items()},
            "fps": 2000 / p50,
            "model_mb": 100.0,
            "peak_mb": 200.0,
            "quick": False,
            "environment": environment,
        }
        | changes
    )


def row(target: str = "x86-openvino", precision: str = "fp32", execution: str | None = "f32", **changes: Any) -> Row:
    return Row(
        **{
            "target": target,
            "precision": precision,
            "execution_precision": execution,
            "status": "kept",
            "artifact": f"{target}/{precision}",
            "bytes": 1_500_000,
            "evidence": "measured",
            "evidence_device": DEVICE,
        }
        | changes
    )


def measured(precision: str, execution: str, p50: float, loss: float, **changes: Any) -> Row:
    """A row with speed and loss."""
    return row(
        precision=precision,
        execution=execution,
        **{"benchmark": benchmark(p50, execution_precision=execution), "accuracy": accuracy(loss)} | changes,
    )


def pictures(sha256: str = "a" * 64, **changes: Any) -> PictureSet:
    return PictureSet(**{"origin": "a folder", "pictures": 80, "sha256": sha256, "labelled": True} | changes)


def report(*rows: Row, **changes: Any) -> Report:
    spec = {
        "name": "vehicles",
        "version": "1.0.0",
        "labels": ["vehicle"],
        "input": {"width": 64, "height": 64},
        "output": {"decoder": "density"},
    }
    return Report(
        **{
            "created": "2026-01-01T00:00:00+00:00",
            "converter": "edgetally-convert 0.1.0",
            "device": DEVICE,
            "model": ModelSpec.model_validate(spec),
            "source": Source(file="model.onnx", sha256="0" * 64, opset=17),
            "rows": rows,
            "calibration": pictures("b" * 64, clips=("a", "b")),
            "evaluation": pictures("c" * 64, clips=("c",), pictures=120),
        }
        | changes
    )
