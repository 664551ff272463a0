"""Real clips that were counted by hand, counted at lower and lower rates with a real detector."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import EdgetallyError

_DATA = Path(os.environ.get("EDGETALLY_DATA", "../shared/data"))


@dataclass(frozen=True)
class Clip:
    """A clip and what is known of it.

    Args:
        file: in the data's ``videos``.
        rate: its frames a second.
        flags: how it is counted.
        kind: what of the answer is compared: ``lines`` (in plus out of ``mid``) or ``zones`` (visits of ``room``).
        true: as counted by hand.
    """

    file: str
    rate: float
    flags: tuple[str, ...]
    kind: str
    true: int


_VEHICLES = ("--label", "car", "--label", "truck", "--label", "bus")
CLIPS = (
    Clip("intel_car-detection.mp4", 12.5, ("--line", "mid:0,0.5,1,0.5", *_VEHICLES), "lines", 4),
    Clip("ahmetozlu_vehicle_survaillance.mp4", 24.0, ("--line", "mid:0,0.55,1,0.55", *_VEHICLES), "lines", 4),
    Clip(
        "intel_one-by-one-person-detection.mp4",
        10.0,
        ("--zone", "room:0,0,1,0,1,1,0,1", "--label", "person"),
        "zones",
        6,
    ),
)


@dataclass(frozen=True)
class ClipCounted:
    """One clip at one rate."""

    file: str
    fps: float
    true: int
    counted: int


def clips_here() -> list[Clip]:
    """Those that are at hand."""
    return [clip for clip in CLIPS if (_DATA / "videos" / clip.file).is_file()]


def count_clip(clip: Clip, bundle: Path, part: int) -> ClipCounted:
    """Count every ``part``-th frame of a clip with the agent's own command.

    Raises:
        EdgetallyError: it could not be counted.
    """
    fps = clip.rate / part
    command = [sys.executable, "-m", "agent.cli", "count", str(_DATA / "videos" / clip.file), "--bundle", str(bundle)]
    run = subprocess.run(
        [*command, "--json", "--fps", f"{fps:g}", *clip.flags], capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise EdgetallyError(f"{clip.file} could not be counted: {run.stderr.strip()[-300:]}")
    found = json.loads(run.stdout)[clip.kind]
    counted = found["mid"]["in"] + found["mid"]["out"] if clip.kind == "lines" else found["room"]["visits"]
    return ClipCounted(clip.file, fps, clip.true, int(counted))
