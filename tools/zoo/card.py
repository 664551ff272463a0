"""The model card, written from the measured JSON so that no figure in it was ever typed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Json = Mapping[str, Any]

TEMPLATE = Path(__file__).with_name("card_template.md")
"""The prose; names in braces are filled in."""


def write_card(folder: Path) -> None:
    """Writes ``README.md`` of a model directory.

    Raises:
        FileNotFoundError: the model was not measured yet.
    """
    for name, command in (("training.json", "train"), ("evaluation.json", "evaluate")):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"expected {folder / name}; run: python -m tools.zoo {command}")
    evaluation = json.loads((folder / "evaluation.json").read_text())
    training = json.loads((folder / "training.json").read_text())
    (folder / "README.md").write_text(render(evaluation, training, (folder / "model.onnx").stat().st_size))


def render(evaluation: Json, training: Json, size: int) -> str:
    """The card's text.

    Args:
        evaluation: what `evaluate` measured.
        training: what `train` noted.
        size: of the ONNX file, bytes.
    """
    name, recipe = evaluation["model"], training["recipe"]
    latency, rows = evaluation["latency"], evaluation["clips"]
    return TEMPLATE.read_text().format(
        name=name,
        side=recipe["side"],
        cells=recipe["side"] // recipe["stride"],
        backbone=recipe["backbone"],
        parameters=training["parameters"],
        megabytes=round(size / 1e6, 2),
        difference=training["onnx_torch_largest_difference"],
        f32_ms=latency["f32_cpu_ms"],
        bf16_ms=latency["bf16_cpu_ms"],
        runtime=latency["runtime"],
        test_clips=_listed(evaluation["test_clips"]),
        test_clip_count=len(rows),
        pictures=evaluation["methods"][name]["pictures"],
        methods=_methods(evaluation["methods"]),
        advantages=_advantages(evaluation["advantage"]),
        clips=_clips(rows),
        cross_validation=_cross_validation(evaluation["cross_validation"], recipe),
        synthetic_share=recipe["synthetic"],
        synthetic=_methods(evaluation["synthetic"]),
        train_pictures=training["train_pictures"],
        train_clips=_listed(training["train_clips"]),
        steps=recipe["steps"],
        seed=recipe["seed"],
        all_clip_count=len({*evaluation["test_clips"], *training["train_clips"]}),
    )


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _listed(values: Sequence[int]) -> str:
    return ", ".join(str(value) for value in values)


def _methods(methods: Json) -> str:
    headings = ("", "pictures", "mean true", "MAE", "95 % interval", "RMSE", "bias")
    return table(
        headings,
        [
            (
                name,
                str(of["pictures"]),
                f"{of['mean_true']:.2f}",
                f"{of['mae']:.2f}",
                f"{of['mae_low']:.2f} to {of['mae_high']:.2f}",
                f"{of['rmse']:.2f}",
                f"{of['bias']:+.2f}",
            )
            for name, of in methods.items()
        ],
    )


def _advantages(advantage: Json) -> str:
    return table(
        ("than that of", "by", "95 % interval"),
        [(name, f"{of['mean']:+.2f}", f"{of['low']:+.2f} to {of['high']:+.2f}") for name, of in advantage.items()],
    )


def _clips(rows: Sequence[Json]) -> str:
    names = list(rows[0]["methods"])
    lines = []
    for row in rows:
        figures = [f"{row['methods'][n]['mae']:.2f} ({row['methods'][n]['bias']:+.2f})" for n in names]
        lines.append([str(row["clip"]), str(row["pictures"]), f"{row['mean_true']:.2f}", *figures])
    return table(("clip", "pictures", "mean true", *names), lines)


def _cross_validation(result: Json | None, recipe: Json) -> str:
    """The section on the other clips, or nothing where it was not measured."""
    if result is None:
        return ""
    every = result["all"]
    words = (
        "\n## Cross-validation over the other clips\n\n"
        "Each clip was counted by a network that trained on neither it, its fold, nor the test clips, for\n"
        f"{result['steps']} steps of {result['batch']} crops "
        f"({recipe['steps']} of {recipe['batch']} for the shipped model).\n\n"
    )
    total = _methods({"all": every})
    mean = f"Mean of the clips' MAE: {result['mean_over_clips']:.2f}."
    return f"{words}{_clips(result['clips'])}\n\n{total}\n\n{mean}\n"
