"""What the HTTP API answers of layers and of what boxes should run, and takes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from contracts.desired import DesiredModel

_CONFIG: dict[str, Any] = {
    "broker": {"host": "broker.example"},
    "camera": [{"id": "gate", "source": "rtsp://10.0.0.7/stream"}],
}


class LayerAnswer(BaseModel):
    """A layer.

    Attributes:
        layer: ``fleet``, ``group/NAME`` or ``device/ID``.
        query: of a group: which boxes it is for.
        rank: of a group: a higher one lies over a lower one.
        revision: counts its changes from 1.
        config: part of agent.toml; what is secret is ``***``, and stays as it is where it is handed in so.
    """

    layer: str
    query: str | None = None
    rank: int | None = None
    revision: int
    changed_at: str
    changed_by: str
    config: dict[str, Any]


class LayerAsked(BaseModel):
    """What a layer should say.

    Attributes:
        config: part of agent.toml.
        query: of a group; as it is where left out.
        rank: of a group; as it is where left out.
        revision: that it has, 0 where there should be none yet; the same as ``If-Match``.
    """

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"example": {"config": _CONFIG, "query": "site=taipei", "rank": 10, "revision": 3}},
    )

    config: dict[str, Any]
    query: str | None = Field(None, max_length=4_096)
    rank: int | None = None
    revision: int | None = Field(None, ge=0)


class DifferenceAnswer(BaseModel):
    """A value that becomes another one; null of what is not there."""

    path: str
    before: str | None
    after: str | None


class AffectedAnswer(BaseModel):
    """Boxes that change in the same way."""

    difference: list[DifferenceAnswer]
    devices: list[str]


class TroubleAnswer(BaseModel):
    """Boxes that would get no configuration, for the same reason."""

    problem: str
    devices: list[str]


class PreviewAnswer(BaseModel):
    """What a change of a layer would do.

    Attributes:
        revision: of the layer as it is, 0 where there is none: what to hand in to make this change and no other.
        sentence: it in one sentence.
        diff: of the layer, unified, without secrets; empty where it says that already.
        devices: how many boxes were looked at.
        changed: how many of them get another configuration.
        affected: those, the most frequent change first.
        broken: boxes that have a problem then and had none: they keep what they have.
        mended: boxes that had a problem and then have none.
        still_broken: how many had a problem, and keep one.
        notes: what may be a typing error: a query that means no box that is known.
    """

    revision: int
    sentence: str
    diff: str
    devices: int
    changed: int
    affected: list[AffectedAnswer]
    broken: list[TroubleAnswer]
    mended: list[str]
    still_broken: int
    notes: list[str]


class ValueAnswer(BaseModel):
    """A value of a box's configuration, and the layer that it is from."""

    value: Any
    layer: str


class ResolvedAnswer(BaseModel):
    """What the layers make of a box: ``layers`` from the lowest; ``config`` is null where there is a ``problem``."""

    device: str
    layers: list[str]
    problem: str | None
    config: dict[str, Any] | None
    values: dict[str, ValueAnswer]


class WantedAnswer(BaseModel):
    """What a box should run.

    Attributes:
        epoch: of the database's memory.
        config_revision: counts the changes of ``config``.
        model_revision: counts the changes of ``models``; 0 where the models stay as they are.
        published: whether the broker has the document.
        waits_since: since when it is to be published.
        standing: how what the box runs stands to it; ``ahead``: it was given a newer one than this database knows.
        problem: why the layers make no configuration for it; ``config`` is then the one before.
        config: without secrets.
        models: slot to model.
    """

    device: str
    epoch: int
    config_revision: int
    model_revision: int
    published: bool
    waits_since: str | None
    expires: str
    standing: Literal["same", "behind", "ahead"]
    problem: str | None
    config: dict[str, Any]
    models: dict[str, DesiredModel]
