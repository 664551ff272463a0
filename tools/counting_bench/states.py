"""A classifier that watches a gate, with faults that are chosen: how often it was opened, and what was counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.counting.counter import make_counter
from contracts.config import CameraConfig
from runtime.results import Classes

_LABELS = ("closed", "open")
_SURE = 0.9  # probability of what the classifier says
_SHORTEST, _MORE = 3.0, 6.0  # seconds that a state lasts: at least, and on average beyond that
_BLINK_EVERY = 4.0  # seconds
_AFTER = 5.0  # seconds at the end in which nothing changes, so that what is under way is settled


@dataclass(frozen=True)
class StateScenario:
    """One thing that goes wrong, at one strength.

    Args:
        axis: what goes wrong.
        value: how badly, for a person.
        flicker: share of frames with the wrong answer, each by itself.
        doubt: share of frames without a certain one.
        blink: seconds in one run with the wrong answer, once every four.
        fps: frames a second.
        dropped: share of the frames that never come.
    """

    axis: str
    value: str
    flicker: float = 0.02
    doubt: float = 0.05
    blink: float = 0.0
    fps: float = 25.0
    dropped: float = 0.0


@dataclass(frozen=True)
class StateCounted:
    """One gate watched.

    Args:
        true: how often it was closed, and opened.
        counted: the same as it was counted.
        misheld: share of the time for which the state was another one than the true one, or unknown.
    """

    true: tuple[int, int]
    counted: tuple[int, int]
    misheld: float

    @property
    def wrong(self) -> int:
        """Entries too many or too few."""
        return int(np.abs(np.subtract(self.counted, self.true)).sum())


def state_scenarios() -> tuple[StateScenario, ...]:
    """All of them, by axis and then from harmless to hard."""
    return (
        StateScenario("nothing", "perfect answers", flicker=0.0, doubt=0.0),
        StateScenario("nothing", "usual answers"),
        *(StateScenario("flicker", f"{share:.0%} of answers wrong", flicker=share) for share in (0.1, 0.2, 0.3)),
        *(StateScenario("doubt", f"{share:.0%} not certain", doubt=share) for share in (0.2, 0.4)),
        *(StateScenario("blinks", f"{seconds:g} s wrong in four", blink=seconds) for seconds in (0.3, 0.6, 0.9, 1.2)),
        *(StateScenario("rate", f"{fps:g} fps", fps=fps) for fps in (10.0, 5.0, 2.0, 1.0)),
        *(StateScenario("dropped frames", f"{share:.0%} at random", dropped=share) for share in (0.3, 0.6)),
    )


def watch_gate(scenario: StateScenario, seed: int, seconds: float) -> StateCounted:
    """Watch one gate.

    Args:
        scenario: what goes wrong.
        seed: of the gate, and of the faults.
        seconds: how long.
    """
    random = np.random.default_rng(seed)
    times = np.arange(round(seconds * scenario.fps)) / scenario.fps
    truth = _truth(times, seconds, random)
    says_open = _answers(scenario, times, truth, random)
    comes = random.random(len(times)) >= scenario.dropped
    comes[0] = True
    counter = make_counter(CameraConfig(id="gate", source="synthetic"), _LABELS, "states")
    entries: list[str] = []
    right = 0
    for place in np.flatnonzero(comes):
        counts = counter.update(_result(says_open[place]), float(times[place]), 1.0)
        entries += [change.state for change in counts.changes if change.is_entry]
        right += counts.states["state"] == _LABELS[int(truth[place])]
    changes = np.diff(truth.astype(int))
    return StateCounted(
        true=(int((changes < 0).sum()), int((changes > 0).sum())),
        counted=(entries.count("closed"), entries.count("open")),
        misheld=1 - right / int(comes.sum()),
    )


def _truth(times: NDArray[np.float64], seconds: float, random: np.random.Generator) -> NDArray[np.bool_]:
    """Whether the gate is open at each time; closed first."""
    lasting = _SHORTEST + random.exponential(_MORE, int(seconds / _SHORTEST) + 1)
    return np.asarray(np.searchsorted(np.cumsum(lasting), np.minimum(times, seconds - _AFTER), side="right") % 2 == 1)


def _answers(
    scenario: StateScenario, times: NDArray[np.float64], truth: NDArray[np.bool_], random: np.random.Generator
) -> NDArray[np.float64]:
    """The probability that it is open, for each time."""
    phase = (times + random.uniform(0, _BLINK_EVERY)) % _BLINK_EVERY
    wrong = (random.random(len(times)) < scenario.flicker) | (phase < scenario.blink)
    said = np.where(truth != wrong, _SURE, 1 - _SURE)
    return np.where(random.random(len(times)) < scenario.doubt, 0.5, said)


def _result(says_open: float) -> Classes:
    probabilities = np.array([1 - says_open, says_open], np.float32)
    best = np.array([probabilities.argmax()])
    return Classes(best, probabilities[best], probabilities)
