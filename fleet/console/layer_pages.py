"""Layers, for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from contracts.errors import WrittenError
from fleet.access.visitor import Visitor
from fleet.configuration.layers import LayerName, parse_name
from fleet.configuration.proposal import Written
from fleet.console import layer_views, views
from fleet.console.access import Configurer, Reader
from fleet.console.console import Console, ConsoleOf
from fleet.console.errors import Refused
from fleet.console.forms import Fields
from fleet.console.templating import page
from fleet.store.layers import LayerConflictError, StoredLayer

router = APIRouter(prefix="/layers", include_in_schema=False)

_ENTRIES = 20
_GROUPS = 20

Name = Annotated[str, Query(max_length=80)]


@dataclass(frozen=True)
class Edited:
    """What the form for a layer holds, as it was written.

    Args:
        layer: its name.
        body: TOML or JSON.
        query: of a group.
        rank: of a group.
        revision: of the layer that the person saw, 0 where there was none.
    """

    layer: str = ""
    body: str = ""
    query: str = ""
    rank: str = "0"
    revision: int = 0

    def written(self, name: LayerName) -> Written:
        """The same, to be checked.

        Raises:
            DocumentError: the body cannot be read.
            WrittenError: the rank is no number.
        """
        keys = layer_views.read_text(self.body)
        if name.kind != "group":
            return Written(keys, "the layer")
        return Written(keys, "the layer", self.query, _whole(self.rank, "the rank"))


@router.get("")
def layers(request: Request, console: ConsoleOf, visitor: Reader) -> HTMLResponse:
    """The list of layers."""
    return page("layers", request, visitor, found=layer_views.every(console))


@router.get("/edit")
def edit(request: Request, console: ConsoleOf, visitor: Configurer, layer: Name = "") -> HTMLResponse:
    """The form for a layer."""
    if not layer:
        return _form(request, visitor, Edited())
    name = parse_name(layer)
    stored = console.layers.get(name)
    return _form(request, visitor, Edited(layer=str(name)) if stored is None else _edited(stored))


@router.post("/preview")
def preview(request: Request, console: ConsoleOf, visitor: Configurer, fields: Fields) -> HTMLResponse:
    """What the change would do to which boxes; nothing is written."""
    edited = _read(fields)
    try:
        name = parse_name(edited.layer.strip())
        looked_at = layer_views.change(console, name, edited.written(name), edited.revision)
    except LayerConflictError as error:
        return _conflict(request, visitor, edited, error)
    except WrittenError as error:
        return _form(request, visitor, edited, 400, problem=str(error))
    shown = layer_views.preview_answer(looked_at)
    return page("layer_preview", request, visitor, edited=edited, name=name, shown=shown, most=_GROUPS)


@router.post("/back")
def back(request: Request, visitor: Configurer, fields: Fields) -> HTMLResponse:
    """The form again, with what was written."""
    return _form(request, visitor, _read(fields))


@router.post("/apply")
def apply(request: Request, console: ConsoleOf, visitor: Configurer, fields: Fields) -> Response:
    """Make the change, where the layer is still as the person saw it."""
    edited = _read(fields)
    try:
        name = parse_name(edited.layer.strip())
        layer_views.apply(console, name, edited.written(name), edited.revision, visitor)
    except LayerConflictError as error:
        return _conflict(request, visitor, edited, error)
    except WrittenError as error:
        return _form(request, visitor, edited, 400, problem=str(error))
    return RedirectResponse(f"/layers/{name}", 303)


@router.get("/remove")
def removing(request: Request, console: ConsoleOf, visitor: Configurer, layer: Name) -> HTMLResponse:
    """What removing a layer would do to which boxes."""
    name = parse_name(layer)
    looked_at = layer_views.change(console, name, None)
    shown = layer_views.preview_answer(looked_at)
    return page("layer_preview", request, visitor, edited=None, name=name, shown=shown, most=_GROUPS)


@router.post("/remove")
def remove(request: Request, console: ConsoleOf, visitor: Configurer, fields: Fields) -> Response:
    """Remove a layer, where it is still as the person saw it."""
    edited = _read(fields)
    name = parse_name(edited.layer)
    try:
        layer_views.remove(console, name, edited.revision, visitor)
    except LayerConflictError as error:
        problem = f"Nothing was removed: it is revision {_revision(error.current)} by now, by {_by(error.current)}."
        return _layer(request, console, visitor, name, 409, problem)
    return RedirectResponse("/layers", 303)


@router.get("/{layer:path}")
def layer(request: Request, console: ConsoleOf, visitor: Reader, layer: str) -> HTMLResponse:
    """A layer, and what it was."""
    return _layer(request, console, visitor, parse_name(layer[:80]))


def _layer(
    request: Request, console: Console, visitor: Visitor, name: LayerName, status: int = 200, problem: str = ""
) -> HTMLResponse:
    stored = console.layers.get(name)
    entries = views.audit(console, _ENTRIES, None, name.subject).entries
    if stored is None and not entries:
        raise Refused(404, "not_found", f"there is no layer {name}")
    shown: dict[str, Any] = {"text": layer_views.text_of(stored.layer)} if stored else {"text": ""}
    shown["stored"] = None if stored is None else layer_views.answer(stored)
    return page("layer", request, visitor, status, name=name, entries=entries, problem=problem, **shown)


def _form(request: Request, visitor: Visitor, edited: Edited, status: int = 200, **values: object) -> HTMLResponse:
    shown: dict[str, Any] = {"problem": "", "current": None, "current_text": "", **values}
    return page("layer_edit", request, visitor, status, edited=edited, **shown)


def _conflict(request: Request, visitor: Visitor, edited: Edited, error: LayerConflictError) -> HTMLResponse:
    """Both texts: what the layer is now, and what was written; the next try is against what it is now."""
    now = error.current
    again = Edited(edited.layer, edited.body, edited.query, edited.rank, 0 if now is None else now.revision)
    what = "was removed" if now is None else f"is revision {now.revision} by now, by {now.changed_by}"
    problem = f"Nothing was changed: the layer {what}; you saw {_seen(edited.revision)}."
    text = "" if now is None else layer_views.text_of(now.layer)
    current = None if now is None else layer_views.answer(now)
    return _form(request, visitor, again, 409, problem=problem, current=current, current_text=text)


def _edited(stored: StoredLayer) -> Edited:
    layer = stored.layer
    body = layer_views.text_of(layer)
    return Edited(str(layer.name), body, str(layer.query), str(layer.rank), stored.revision)


def _read(fields: Mapping[str, str]) -> Edited:
    """What a form of ours holds.

    Raises:
        WrittenError: the revision is no number.
    """
    return Edited(
        fields.get("layer", ""),
        fields.get("body", ""),
        fields.get("query", ""),
        fields.get("rank", "0"),
        _whole(fields.get("revision", ""), "the revision"),
    )


def _whole(text: str, what: str) -> int:
    if len(text) > 18 or not text.strip().lstrip("-").isdecimal():  # noqa: PLR2004 - a 64-bit number has no more
        raise WrittenError(f"{what} should be a whole number, got {text[:20]!r}")
    try:
        return int(text)
    except ValueError:
        raise WrittenError(f"{what} should be a whole number, got {text[:20]!r}") from None


def _seen(revision: int) -> str:
    return f"revision {revision}" if revision else "none"


def _revision(stored: StoredLayer | None) -> int:
    return 0 if stored is None else stored.revision


def _by(stored: StoredLayer | None) -> str:
    return "nobody" if stored is None else stored.changed_by
