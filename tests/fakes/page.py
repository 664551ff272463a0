"""An agent as the page sees it: our ports, on a road that does not exist."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from agent.page.ports import AgentState, CameraProposal, Look, Ports, ProposalOutcome, Redact, WatchedCamera, as_it_is
from contracts.config import LineConfig, ZoneConfig
from contracts.health import (
    Accelerator,
    BrokerHealth,
    CameraHealth,
    Health,
    ModelHealth,
    SheddingState,
    StageLatency,
    Telemetry,
    Temperature,
    Throttling,
)
from contracts.messages import CameraState, Considered, FactsMessage, Quality
from runtime.results import DensityMap, Detections
from runtime.synthetic_road import RoadSettings, SyntheticRoad

LABELS = ("car", "truck")
TELEMETRY = Telemetry(
    temperatures={
        "tj-thermal": Temperature(celsius=96.5, hot=94.0),
        "soc0-thermal": Temperature(celsius=71.0, hot=None),
    },
    hottest="tj-thermal",
    celsius=96.5,
    throttling=Throttling(now=True, reasons=("gpu-throttle-alert",), caps=("power_cap",), seconds=20.0, spells=3),
    watts={"VDD_IN": 14.25},
    cpu_load=0.5,
    memory_used_mb=3587.0,
    memory_mb=7990.2,
    accelerators={"gpu": Accelerator(load=0.98, mhz=624.75)},
)
LINE = LineConfig(name="gate", start=(0.1, 0.6), end=(0.9, 0.6), labels=("car",))
ZONE = ZoneConfig(name="junction", polygon=((0.3, 0.2), (0.7, 0.2), (0.8, 0.5), (0.2, 0.5)))


class FakeAgent:
    """Gives what a test sets; its numbers mean nothing.

    Attributes:
        state: what is read.
        broken: raised instead of giving a state, where set.
        problems: what is said against every proposal.
        proposals: those that came.
        looks: how many pictures were asked for.
        read_gate: cleared, a reading of the state hangs.
    """

    def __init__(self, cameras: Sequence[str] = ("north", "south")) -> None:
        self.state = state_of(cameras)
        self.broken: Exception | None = None
        self.problems: list[str] = []
        self.proposals: list[CameraProposal] = []
        self.looks = 0
        self.frame = 0
        self.read_gate = threading.Event()
        self.read_gate.set()
        self._road = SyntheticRoad(RoadSettings(width=416, height=234))

    def ports(self, redact: Redact = as_it_is) -> Ports:
        """The fake as the page takes it."""
        return Ports(state=self, snapshots=self, proposals=self, redact=redact)

    def read(self) -> AgentState:
        """See `State.read`."""
        self.read_gate.wait()
        if self.broken is not None:
            raise self.broken
        return self.state

    def picture(self, camera: str) -> Look | None:
        """See `Snapshots.picture`: boxes on the first camera, a density map on the others."""
        self.looks += 1
        if camera not in self.state.cameras:
            return None
        vehicles = self._road.vehicles(self.frame)
        image = self._road.frame(self.frame)
        if camera != self.state.watched[0].id:
            heat = np.zeros((30, 52), np.float32)
            for vehicle in vehicles:
                heat[min(29, int(vehicle.anchor[1] * 30)), min(51, int(vehicle.anchor[0] * 52))] += 1
            return Look(image, 16 / 9, self.frame, self.frame / 30, DensityMap(heat), LABELS, camera=camera)
        boxes = np.array([vehicle.box for vehicle in vehicles], np.float32).reshape(-1, 4)
        found = Detections(
            boxes,
            np.full(len(boxes), 0.9, np.float32),
            np.array([vehicle.label == "truck" for vehicle in vehicles], np.int64),
        )
        return Look(image, 16 / 9, self.frame, self.frame / 30, found, LABELS, score=0.5, camera=camera)

    def propose(self, proposal: CameraProposal) -> ProposalOutcome:
        """See `Proposals.propose`."""
        self.proposals.append(proposal)
        return ProposalOutcome(tuple(self.problems))

    def show(self, camera: str, count: float | None, quality: Quality = "ok", total_in: int = 0) -> None:
        """Let a camera show something else."""
        before = self.state.cameras[camera]
        zones = dict.fromkeys(before.zones, count)
        lines = {name: {"in": total_in, "out": 0} for name in before.lines}
        change = {"count": count, "zones": zones, "lines": lines, "quality": quality, "available": quality == "ok"}
        self.state = self.state.model_copy(
            update={"cameras": {**self.state.cameras, camera: before.model_copy(update=change)}}
        )


def state_of(cameras: Sequence[str]) -> AgentState:
    """A state in which every camera counts."""
    watched = tuple(
        WatchedCamera(
            id=camera, source="rtsp://192.0.2.7", labels=LABELS, gives="boxes", gap=2.0, line=(LINE,), zone=(ZONE,)
        )
        for camera in cameras
    )
    return AgentState(
        version="0.0.0",
        boot_id="b0",
        watched=watched,
        cameras={camera: _camera_state(camera) for camera in cameras},
        health=Health(
            device="box-1",
            at="2026-01-01T00:00:00Z",
            uptime=3700.0,
            rss_mb=210.5,
            outbox_waiting=2,
            outbox_dropped=0,
            requests_refused=7,
            broker=BrokerHealth(
                connected=False,
                problem="broker 192.0.2.1:1883: nothing listens there; start it",
                messages_refused={"not_text": 0, "unexpected": 3},
            ),
            cameras={camera: _camera_health() for camera in cameras},
            models={"main": ModelHealth(artifact="x86-openvino/fp32")},
            telemetry=TELEMETRY,
            shedding=SheddingState(share=0.5, why="tj-thermal is at 96.5 degrees, hot from 94.0 on", seconds=60.0),
        ),
        facts=FactsMessage(
            device="box-1",
            labels={"site": "harbour"},
            facts={"os": "linux", "cpu.cores": 4, "cpu.flags": ["avx2"]},
            artifacts=[
                Considered(artifact="orin/fp16", refused="needs TensorRT, which this box does not have"),
                Considered(artifact="x86-openvino/fp32", refused=None),
            ],
        ),
    )


def _camera_state(camera: str) -> CameraState:
    return CameraState(
        device="box-1",
        camera=camera,
        at="2026-01-01T00:00:00Z",
        available=True,
        quality="ok",
        frame=7,
        count=3.0,
        zones={ZONE.name: 1.0},
        lines={LINE.name: {"in": 5, "out": 4}},
    )


def _camera_health() -> CameraHealth:
    return CameraHealth(
        fps=29.8,
        latency_ms=StageLatency(n=300, p50=12.5, p90=18.0, p95=24.0, p99=31.0),
        frames_seen=1000,
        frames_dropped={"late": 12, "rate": 0},
        reconnects=1,
        quality="ok",
    )
