"""A box may say what it likes: no page takes it for anything but text."""

from __future__ import annotations

from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

from fleet.ingest import Arrived, Ingest
from tests.fakes.fleet import Published, counted, facts, health, hello, reported, status
from tests.fakes.inventory import MemoryCounts
from tests.unit.fleet.console.consoles import Rig
from tests.unit.fleet.console.test_roles import RIGHTS, VALUES

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(1)></textarea></title>"
"""Breaks out of attributes and elements where it is taken for more than text."""

OURS = frozenset({"/static/refresh.js"})


class Scripts(HTMLParser):
    """Finds what a browser would run, or fetch from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in {"img", "iframe", "object", "embed", "base"} or (tag == "script" and given.get("src") not in OURS):
            self.found.append(tag)
        self.found += [f"{tag} {name}" for name in given if name.startswith("on") or name in {"style", "srcdoc"}]
        self.found += [f"{tag} {value}" for name, value in attrs if _leads_elsewhere(name, value or "")]


def _leads_elsewhere(name: str, value: str) -> bool:
    return name in {"href", "src", "action", "formaction"} and not value.startswith(("/", "#", "?"))


def messages() -> list[Published]:
    """Whatever of a box's messages is a free text."""
    attempt: Mapping[str, Any] = {
        "attempt": 1,
        "epoch": 1,
        "model_revision": 1,
        "state": "fetch",
        "reason": EVIL,
        "progress": {"text": EVIL, "fraction": 0.5},
    }
    refused = {"epoch": 1, "config_revision": 1, "model_revision": 1, "code": "invalid", "reason": EVIL}
    return [
        hello(version=EVIL),
        status("online", reason=EVIL),
        facts(labels={"site": EVIL, "street": EVIL}, facts={"arch": EVIL, "soc": EVIL, "cpu.isa": [EVIL]}),
        reported(state="degraded", code=EVIL, reason=EVIL, update=attempt, refused=refused),
        health(warnings=[EVIL], problems=[EVIL]),
    ]


def test_nothing_that_a_box_says_becomes_more_than_text_in_any_page(console: Rig) -> None:
    ingest = Ingest(console.console.devices, MemoryCounts())
    ingest.take([Arrived(*message, False, console.now_ms) for message in messages()])
    assert not any(ingest.refused.values()), ingest.last_refusal
    console.tell(counted())
    ada = console.signed_in("ada")
    shown = set()
    for route in RIGHTS:
        method, _, path = route.partition(" ")
        if method != "GET" or path.startswith("/api/") or path == "/metrics":
            continue
        for name, value in VALUES.items():
            path = path.replace(name, value)
        for query in ("", "?layer=fleet", f"?query=site~*script*&layer={'%22%3E%3Cscript%3Ealert(1)%3C/script%3E'}"):
            text = ada.get(path + query).text
            scripts = Scripts()
            scripts.feed(text)
            assert scripts.found == [], (path, query)
            if "&lt;script&gt;" in text:
                shown.add(path)
    assert {"/", "/devices", "/devices/box-1"} <= shown, "what it says is there to be read"
