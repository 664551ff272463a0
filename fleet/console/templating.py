"""Pages from templates; every value in them is escaped, for all of it comes from boxes and people."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from contracts.version import VERSION
from fleet.access.visitor import Visitor
from fleet.console.errors import Refused

_FOLDER = Path(__file__).parent / "templates"


def _short(time: str | None) -> str:
    """An ISO 8601 time in UTC, to the second."""
    if not time:
        return "never"
    return f"{datetime.fromisoformat(time.replace('Z', '+00:00')).astimezone(timezone.utc):%Y-%m-%d %H:%M:%S}"


def _instant(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, timezone.utc):%Y-%m-%d %H:%M}"


def _fact(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _plain(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_ENVIRONMENT.filters |= {"short": _short, "fact": _fact, "instant": _instant, "plain": _plain}


def page(template: str, request: Request, visitor: Visitor | None, status: int = 200, **values: object) -> HTMLResponse:
    """A page.

    Args:
        template: its name, without ``.html``.
        request: that it answers.
        visitor: who asks; None before they signed in.
        status: of HTTP.
        values: for the template.
    """
    found = _ENVIRONMENT.get_template(f"{template}.html")
    return HTMLResponse(found.render(path=request.url.path, visitor=visitor, version=VERSION, **values), status)


def error_page(request: Request, refusal: Refused) -> HTMLResponse:
    """What a person sees where something is not done."""
    answer = page("error", request, None, refusal.status, refusal=refusal)
    answer.headers.update(refusal.headers)
    return answer
