"""What is well formed and can still never run on a box; nothing is opened to find it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from agent.cameras.table import check_source
from agent.counting.counter import open_counter
from contracts.config import AgentConfig, CameraConfig
from contracts.desired import WrongField
from contracts.documents import without_credentials
from contracts.errors import EdgetallyError
from contracts.model_spec import ModelSpec


@dataclass(frozen=True)
class RunCheck:
    """Finds what cannot run: sources of kinds that are not known, and lines and labels that a model cannot count.

    Args:
        specs: tells those of the box's models by name; cameras of others are not compared with theirs.
    """

    specs: Callable[[], Mapping[str, ModelSpec]] = dict

    def __call__(self, config: AgentConfig) -> Sequence[WrongField]:
        """What cannot run, by its path in agent.toml."""
        return [wrong for camera in config.camera for wrong in self._of(camera)]

    def _of(self, camera: CameraConfig) -> Iterator[WrongField]:
        yield from _refusal(f"camera.{camera.id}.source", lambda: check_source(camera.source))
        spec = self.specs().get(camera.model)
        if spec is not None:
            yield from _refusal(f"camera.{camera.id}", lambda: open_counter(camera, spec))


def _refusal(path: str, attempt: Callable[[], object]) -> Iterator[WrongField]:
    try:
        attempt()
    except EdgetallyError as error:
        yield WrongField(path=path, problem=without_credentials(str(error)))
