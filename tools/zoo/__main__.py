"""The command line: ``python -m tools.zoo train | evaluate | cross-validate | card``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.zoo.data import DEFAULT_DATA, FOLDS, TEST_CLIPS, Split, load_samples, split_by_clip
from tools.zoo.recipes import RECIPES, Recipe, recipe_for

BUILD = Path("build/zoo")
MODELS = Path("models")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the process's exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (FileNotFoundError, KeyError, ValueError) as error:
        print(f"tools.zoo: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.zoo", description="Train, measure and export default models."
    )
    commands = parser.add_subparsers(required=True)
    _command(
        commands, "train", "train a model, export it; the prototype goes under build/ unless --out says else", _train
    )
    _command(commands, "cross-validate", "train once per fold of clips and measure on the fold", _cross_validate)
    _command(commands, "evaluate", "measure the exported model and the baselines on the held-out clips", _evaluate)
    _command(commands, "card", "write README.md beside the model from its evaluation.json", _card)
    return parser


def _command(commands: argparse._SubParsersAction, name: str, words: str, run: object) -> None:  # type: ignore[type-arg]
    parser = commands.add_parser(name, help=words, description=words)
    parser.set_defaults(run=run)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with images/, labels/, counts.csv")
    parser.add_argument("--model", default="vehicle-density", choices=sorted(RECIPES), help="which recipe")
    parser.add_argument("--out", type=Path, help="the model directory, models/<model> by default")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    parser.add_argument(
        "--folds", type=int, nargs="+", default=list(range(1, len(FOLDS))), help="cross-validate these folds"
    )
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=JSON", help="change values of the recipe")


def _recipe(options: argparse.Namespace) -> Recipe:
    """The recipe asked for, with the changes asked for."""
    changes = {key: json.loads(value) for key, _, value in (item.partition("=") for item in options.set)}
    return recipe_for(options.model).with_changes(changes)


def _out(options: argparse.Namespace) -> Path:
    if options.out is not None:
        return Path(options.out)
    return MODELS / options.model if options.model == "vehicle-density" else BUILD / options.model


def run_folder(recipe: Recipe, held_out: Sequence[int]) -> Path:
    """Where a run keeps its checkpoint: another recipe or split never continues it."""
    clips = "-".join(str(clip) for clip in held_out) or "none"
    return BUILD / "runs" / f"{recipe.name}-{recipe.digest}-without-{clips}"


def _train(options: argparse.Namespace) -> None:
    from tools.zoo.export import export
    from tools.zoo.train import train

    recipe = _recipe(options)
    samples = load_samples(options.data)
    split = Split(split_by_clip(samples, ()).train, ())
    model = train(recipe, split, options.data, run_folder(recipe, TEST_CLIPS), options.threads)
    export(model, recipe, _out(options), options.data, split)


def _cross_validate(options: argparse.Namespace) -> None:
    from tools.zoo.crossval import cross_validate, print_folds

    recipe = _recipe(options)
    result = cross_validate(recipe, options.data, BUILD, options.folds, options.threads)
    print(json.dumps(result, indent=1)) if options.json else print_folds(result)


def _evaluate(options: argparse.Namespace) -> None:
    from tools.zoo.evaluate import evaluate, print_table

    result = evaluate(_recipe(options), _out(options), options.data, BUILD)
    print(json.dumps(result, indent=1)) if options.json else print_table(result)


def _card(options: argparse.Namespace) -> None:
    from tools.zoo.card import write_card

    write_card(_out(options))


if __name__ == "__main__":
    sys.exit(main())
