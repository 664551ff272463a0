"""report.html: one file that needs nothing else, for a phone as well, light or dark."""

from __future__ import annotations

from importlib import resources

import jinja2

from converters.report.checklist import checklist
from converters.report.rows import Report
from converters.report.view import facts, headline, kept_out, plot, sections


def render(report: Report) -> str:
    """The page as text. Every name in it is escaped: a model may call its layers anything."""
    # From text rather than from a folder, so that no name that comes from outside is ever a template's.
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(_resource("report.html.j2"))
    return template.render(
        css=_resource("report.css"),
        report=report,
        headline=headline(report),
        facts=facts(report),
        plot=plot(report),
        sections=sections(report),
        kept_out=kept_out(report),
        checklist=checklist(report),
    )


def _resource(name: str) -> str:
    return resources.files("converters.report").joinpath(name).read_text(encoding="utf-8")
