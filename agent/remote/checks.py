"""What is well formed and can still never run on a box; nothing is opened to find it."""

from __future__ import annotations

from agent.cameras.table import check_source
from contracts.config import AgentConfig
from contracts.desired import WrongField
from contracts.documents import without_credentials
from contracts.errors import WrittenError


def check_sources(config: AgentConfig) -> list[WrongField]:
    """Sources of kinds that are not known, or with settings that they do not have."""
    found = []
    for camera in config.camera:
        try:
            check_source(camera.source)
        except WrittenError as error:  # noqa: PERF203 - every camera is to be named
            problem = without_credentials(str(error))
            found.append(WrongField(path=f"camera.{camera.id}.source", problem=problem))
    return found
