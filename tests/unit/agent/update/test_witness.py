"""What a box shows of itself, over the times that its cameras are opened."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.drift.counts import UsualHours
from agent.update.witness import Vitals, Witness
from contracts.config import CameraConfig
from contracts.health import CameraHealth
from contracts.messages import Quality


@dataclass
class Unit:
    counted: int = 0
    came: int = 0
    quality: Quality = "ok"
    id: str = "gate"
    camera: CameraConfig = field(default_factory=lambda: CameraConfig(id="gate", source="synthetic"))

    def health(self, now: float) -> CameraHealth:
        return CameraHealth(
            fps=0.0, latency_ms=None, frames_seen=self.came, frames_dropped={}, reconnects=0, quality=self.quality
        )

    def usual(self, wall: float) -> UsualHours | None:
        return None


class Rig:
    def __init__(self) -> None:
        self.now, self.asked, self.unit, self.acknowledged = 0.0, 0, Unit(), 0
        self.witness = Witness(self._vitals, lambda: 10.0, lambda: 0.0, lambda: self.now)

    def _vitals(self) -> Vitals:
        self.asked += 1
        return Vitals([self.unit], 100.0, None, self.acknowledged, connected=True)

    def run(self, seconds: int, fps: int) -> None:
        for _ in range(seconds):
            self.now += 1
            self.unit.came += fps
            self.unit.counted += fps
            self.witness.look()


def test_a_box_that_turns_over_often_is_looked_at_once_a_second() -> None:
    rig = Rig()
    for _ in range(100):
        rig.now += 0.05
        rig.witness.look()
    assert 5 <= rig.asked <= 6


def test_the_rate_before_and_the_frames_since_are_told() -> None:
    rig = Rig()
    rig.run(40, 30)
    before = rig.witness.before()
    assert round(before.cameras["gate"].fps) == 30
    rig.acknowledged = 3
    rig.run(5, 20)
    evidence = rig.witness.evidence()
    assert (evidence.cameras["gate"].counted, evidence.acknowledged) == (100, 3)


def test_a_camera_that_was_opened_anew_goes_on_from_where_it_was() -> None:
    rig = Rig()
    rig.run(10, 30)
    rig.witness.before()
    rig.run(5, 30)
    rig.unit = Unit()
    rig.run(5, 30)
    assert rig.witness.evidence().cameras["gate"].counted == 300
