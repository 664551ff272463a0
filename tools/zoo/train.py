"""The training loop: seeded, resumable after a kill at any moment, one progress line."""

from __future__ import annotations

import copy
import ctypes
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn

from tools.zoo.augment import Painter, network_input
from tools.zoo.data import Pictures, Sample, Split
from tools.zoo.losses import density_loss
from tools.zoo.models import build
from tools.zoo.pictures import load_pictures
from tools.zoo.recipes import Recipe
from tools.zoo.road import synthetic_pictures
from tools.zoo.targets import Floats

CHECKPOINT_EVERY = 100
REPORT_EVERY = 200
WARM_UP = 60


@dataclass
class Progressed:
    """How far a run has come.

    Args:
        model: the network being trained.
        average: its averaged weights, the ones worth exporting.
        optimiser: with its momenta.
        step: steps done.
        seconds: spent on them.
    """

    model: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0

    def save(self, path: Path) -> None:
        """Writes a checkpoint that a kill cannot leave half written."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Goes on where a checkpoint was written."""
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds = int(state["step"]), float(state["seconds"])


def keep_memory() -> None:
    """Tells glibc to keep freed memory: handing each step's tensors back and faulting them in again took 30 % of it."""
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:  # another C library, which has its own ways
        return
    mmap_threshold, trim_threshold = -3, -1
    libc.mallopt(mmap_threshold, 1 << 30)
    libc.mallopt(trim_threshold, (1 << 31) - 1)


def train(recipe: Recipe, split: Split, data: Path, folder: Path, threads: int = 2) -> nn.Module:
    """Trains a recipe on a split, or goes on with it.

    Args:
        recipe: what and how.
        split: pictures to learn from, and to report the error on.
        data: folder of the data set.
        folder: where this run's checkpoint is kept.
        threads: of torch.

    Returns:
        The network with averaged weights, ready to run.
    """
    keep_memory()
    torch.set_num_threads(threads)
    progressed = _begin(recipe)
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.is_file():
        progressed.load(checkpoint)
    if progressed.step < recipe.steps:
        _run(recipe, split, data, checkpoint, progressed)
    print(f"{recipe.name}: {progressed.step} steps in {progressed.seconds:.0f} s, checkpoint {checkpoint}")
    return progressed.average.eval()


def _begin(recipe: Recipe) -> Progressed:
    model = build(recipe)
    trunk = getattr(model, "trunk", nn.Module())
    inherited = {id(p) for p in trunk.parameters()}
    groups = [
        {"params": [p for p in model.parameters() if id(p) not in inherited], "lr": recipe.rate},
        {"params": [p for p in trunk.parameters() if p.requires_grad], "lr": recipe.backbone_rate},
    ]
    optimiser = torch.optim.AdamW([g for g in groups if g["params"]], weight_decay=recipe.decay)
    for group in optimiser.param_groups:
        group["peak"] = group["lr"]
    return Progressed(model, copy.deepcopy(model).requires_grad_(requires_grad=False), optimiser)


def _run(recipe: Recipe, split: Split, data: Path, checkpoint: Path, progressed: Progressed) -> None:
    painter = Painter(recipe, split.train, load_pictures(data, split.train), synthetic_pictures(recipe))
    shown = split.held_out or tuple(s for s in split.train if s.complete)[::4]
    word = "held-out" if split.held_out else "fit"
    pictures = load_pictures(data, shown)
    began = time.monotonic() - progressed.seconds
    losses: list[float] = []
    for step in _counted(progressed.step, recipe):
        losses.append(_step(recipe, painter, progressed, step))
        progressed.step, progressed.seconds = step + 1, time.monotonic() - began
        last = progressed.step == recipe.steps
        if progressed.step % CHECKPOINT_EVERY == 0 or last:
            progressed.save(checkpoint)
        if progressed.step % REPORT_EVERY == 0 or last:
            error = fit_error(progressed.average, recipe, shown, pictures)
            print(
                f"step {progressed.step} loss {np.mean(losses):.3f} {word} MAE {error:.3f} {progressed.seconds:.0f} s",
                flush=True,
            )
            losses.clear()


def _counted(first: int, recipe: Recipe) -> Iterator[int]:
    """Step numbers behind a progress bar."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as bar:
        task = bar.add_task(recipe.name, total=recipe.steps, completed=first)
        for step in range(first, recipe.steps):
            yield step
            bar.advance(task)


def _step(recipe: Recipe, painter: Painter, progressed: Progressed, step: int) -> float:
    """One optimiser step; returns its loss."""
    images, maps = (torch.from_numpy(array) for array in painter.batch(step))
    for group in progressed.optimiser.param_groups:
        group["lr"] = group["peak"] * rate_factor(step, recipe.steps)
    progressed.model.train()
    loss = density_loss(progressed.model(images.contiguous(memory_format=torch.channels_last)), maps)
    progressed.optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(progressed.model.parameters(), 5.0)
    progressed.optimiser.step()
    _average(progressed, recipe, step)
    return float(loss.detach())


def rate_factor(step: int, steps: int) -> float:
    """Learning rate as a share of its peak: a short ramp up, then half a cosine down."""
    if step < WARM_UP:
        return (step + 1) / WARM_UP
    return 0.5 * (1 + float(np.cos(np.pi * (step - WARM_UP) / max(1, steps - WARM_UP)))) + 0.002


@torch.no_grad()
def _average(progressed: Progressed, recipe: Recipe, step: int) -> None:
    """Moves the averaged weights towards the current ones, faster at the beginning."""
    keep = min(recipe.average, (step + 1) / (step + 10))
    current = progressed.model.state_dict()
    for name, value in progressed.average.state_dict().items():
        if value.dtype.is_floating_point:
            value.lerp_(current[name], 1 - keep)
        else:
            value.copy_(current[name])


@torch.no_grad()
def predict(model: nn.Module, recipe: Recipe, pictures: Pictures) -> Floats:
    """Counts of whole pictures, float32 ``(n,)``."""
    model.eval()
    counts: list[Tensor] = [model(torch.from_numpy(network_input(p, recipe))).sum() for p in pictures]
    return np.array([float(c) for c in counts], np.float32)


def fit_error(model: nn.Module, recipe: Recipe, samples: Sequence[Sample], pictures: Pictures) -> float:
    """Mean absolute count error on some pictures, vehicles."""
    truth = np.array([sample.count for sample in samples], np.float32)
    return float(np.abs(predict(model, recipe, pictures) - truth).mean())
