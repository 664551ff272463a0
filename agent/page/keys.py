"""A drawn change as the keys that the local page's layer of the configuration holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.page.ports import CameraProposal
from contracts.config import CameraConfig

Keys = Mapping[str, object]


def page_keys(before: Keys, proposal: CameraProposal, local: CameraConfig | None) -> dict[str, object]:
    """The page's whole layer after a change; what was drawn for other cameras stays.

    Args:
        before: the layer as it is, nested as in agent.toml.
        proposal: lines and zones of one camera, all of them.
        local: the camera as the file has it, whose lines and zones that were deleted must be switched off; None where
            it stands only in the remote document.
    """
    cameras = before.get("camera", ())
    others = [row for row in _rows(cameras) if row.get("id") != proposal.camera]
    mine: dict[str, object] = {"id": proposal.camera}
    mine.update(next((row for row in _rows(cameras) if row.get("id") == proposal.camera), {}))
    drawn = proposal.model_dump(mode="json")
    for name in ("line", "zone"):
        below = [] if local is None else [row.name for row in (local.line if name == "line" else local.zone)]
        kept = {row["name"] for row in drawn[name]}
        mine[name] = [*drawn[name], *({"name": gone, "enabled": False} for gone in below if gone not in kept)]
    return {**before, "camera": [*others, mine]}


def _rows(value: object) -> list[Mapping[str, object]]:
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, Sequence) else []
