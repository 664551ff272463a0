"""What the soaking agent is asked for."""

from __future__ import annotations

from contracts.config import AgentConfig
from contracts.documents import MachineModel

DEVICE = "soak"
STEADY = "steady"
"""The camera that is never lost: its frames are all counted, and what crosses its line is known."""

LOOSE = "loose"
"""Begins the names of those that break."""


class Plan(MachineModel):
    """A soak.

    Attributes:
        bundle: of the squares' network.
        pictures: folder of the squares' road.
        state_dir: an empty folder.
        broker_port: on loopback.
        seconds: how long.
        window: seconds.
        loose: cameras that break.
        pictures_each: after so many pictures.
        rate: of theirs, a second.
        sample_every: seconds.
    """

    bundle: str
    pictures: str
    state_dir: str
    broker_port: int
    seconds: float
    window: float
    loose: int
    pictures_each: int = 200
    rate: float = 100.0
    sample_every: float

    def config(self) -> AgentConfig:
        """The agent's settings. Its window is shorter than a person may ask for."""
        line = {"name": "mid", "start": [0.0, 0.5], "end": [1.0, 0.5]}
        zone = {"name": "yard", "polygon": [[0, 0], [1, 0], [1, 0.5], [0, 0.5]]}
        counted = {"line": [line], "zone": [zone], "events": True}
        steady = {"id": STEADY, "source": self.pictures, "loop": True, "realtime": False, "fps": 30.0, **counted}
        # The address is that of no camera: its kind says that it is opened again after a fault.
        loose = [{"id": f"{LOOSE}-{n}", "source": f"rtsp://127.0.0.1/{n}", **counted} for n in range(self.loose)]
        config = AgentConfig.model_validate(
            {
                "device": DEVICE,
                "bundle": self.bundle,
                "state_dir": self.state_dir,
                "window_seconds": 1,
                "state_seconds": 0.2,
                "health_seconds": 1,
                "log_level": "error",
                "broker": {"host": "127.0.0.1", "port": self.broker_port, "protocol": "3.1.1"},
                "camera": [steady, *loose],
            }
        )
        return config.model_copy(update={"window_seconds": self.window})
