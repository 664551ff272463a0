"""Layers in the HTTP API, and what they and rollouts make boxes run."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response

from fleet.configuration.layers import parse_name
from fleet.configuration.proposal import Written
from fleet.console import layer_views as views
from fleet.console import wanted_views
from fleet.console.access import Configurer, Reader
from fleet.console.api_errors import ERRORS
from fleet.console.console import ConsoleOf
from fleet.console.errors import Refused
from fleet.console.layer_documents import LayerAnswer, LayerAsked, PreviewAnswer, ResolvedAnswer, WantedAnswer

router = APIRouter(prefix="/api/v1", responses=ERRORS)

_TAG = re.compile(r'"?([0-9]{1,18})"?')

Name = Annotated[
    str,
    Path(max_length=80, description="`fleet`, `group/NAME` or `device/ID`.", examples=["fleet", "group/taipei"]),
]
Device = Annotated[str, Path(pattern=r"^[a-z0-9_-]{1,64}$")]
Match = Annotated[str | None, Header(description="The revision that the layer has, 0 where there is none yet.")]
Revision = Annotated[int | None, Query(ge=0, description="The same as If-Match.")]


@router.get("/layers", tags=["layers"])
def layers(console: ConsoleOf, _visitor: Reader) -> list[LayerAnswer]:
    """Every layer, the lowest first."""
    return views.every(console)


@router.get("/layers/{layer:path}", tags=["layers"])
def layer(console: ConsoleOf, _visitor: Reader, layer: Name, response: Response) -> LayerAnswer:
    """A layer; its revision is also the ``ETag``."""
    found = views.answer(views.existing(console, parse_name(layer)))
    response.headers["ETag"] = f'"{found.revision}"'
    return found


@router.post("/layers/{layer:path}/preview", tags=["layers"])
def preview(console: ConsoleOf, _visitor: Configurer, layer: Name, asked: LayerAsked) -> PreviewAnswer:
    """What a change of a layer would do to which boxes; nothing is written."""
    name = parse_name(layer)
    return views.preview_answer(views.change(console, name, _written(asked), asked.revision))


@router.put("/layers/{layer:path}", tags=["layers"])
def put(
    console: ConsoleOf,
    visitor: Configurer,
    layer: Name,
    asked: LayerAsked,
    response: Response,
    if_match: Match = None,
) -> LayerAnswer:
    """Make a layer, or replace what it says.

    It wants the revision that it had when it was looked at, as ``If-Match`` or ``revision``; 409 with ``current``
    where it is another one by now.
    """
    expected = _expected(if_match, asked.revision)
    found = views.answer(views.apply(console, parse_name(layer), _written(asked), expected, visitor))
    response.headers["ETag"] = f'"{found.revision}"'
    return found


@router.delete("/layers/{layer:path}", tags=["layers"], status_code=204)
def delete(
    console: ConsoleOf, visitor: Configurer, layer: Name, if_match: Match = None, revision: Revision = None
) -> None:
    """Remove a layer that has the revision that is handed in; 409 with ``current`` where it is another one by now."""
    views.remove(console, parse_name(layer), _expected(if_match, revision), visitor)


@router.get("/devices/{device}/config", tags=["devices"])
def resolved(console: ConsoleOf, _visitor: Reader, device: Device) -> ResolvedAnswer:
    """What a box should be configured as, and which layer each value is from."""
    return views.resolved(console, device)


@router.get("/devices/{device}/wanted", tags=["devices"])
def wanted(console: ConsoleOf, _visitor: Reader, device: Device) -> WantedAnswer:
    """What a box should run, and whether its document is published; 404 where nothing was wanted of it yet."""
    found = wanted_views.wanted(console, device)
    if found is None:
        raise Refused(404, "not_found", f"nothing was wanted of a box {device!r} yet")
    return found


def _written(asked: LayerAsked) -> Written:
    return Written(asked.config, "the layer", asked.query, asked.rank)


def _expected(if_match: str | None, revision: int | None) -> int:
    tag = None if if_match is None else _TAG.fullmatch(if_match.strip())
    if if_match is not None and tag is None:
        raise Refused(400, "invalid", "If-Match should be the layer's revision, as its ETag has it")
    given = {number for number in (revision, None if tag is None else int(tag[1])) if number is not None}
    if len(given) != 1:
        many = "If-Match and revision differ" if given else "send the revision that you saw, as If-Match or revision"
        raise Refused(428 if not given else 400, "revision", f"{many}; 0 where there should be none yet")
    return given.pop()
