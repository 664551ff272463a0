"""What holds for every Grafana dashboard in docs/grafana."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent.parent / "docs/grafana"
_COLUMNS = 24  # of Grafana's grid


class Dashboard:
    """A dashboard.

    Args:
        name: of its file.
        labels: metric to the names of its labels, of all that there are.
    """

    def __init__(self, name: str, labels: Mapping[str, set[str]]) -> None:
        document: dict[str, Any] = json.loads((_FOLDER / name).read_text())
        self._panels: list[dict[str, Any]] = document["panels"]
        self._variables: list[dict[str, Any]] = document["templating"]["list"]
        self._labels = labels

    @property
    def expressions(self) -> list[str]:
        """All that it asks Prometheus for."""
        found = [target["expr"] for panel in self._panels for target in panel["targets"]]
        return found + [one["query"]["query"] for one in self._variables if one["type"] == "query"]

    @property
    def shown(self) -> set[str]:
        """The metrics that it asks for."""
        return set(re.findall(r"edgetally_\w+", " ".join(self.expressions)))

    def check_names(self) -> None:
        """It asks only for metrics and labels that there are."""
        for expression in self.expressions:
            names = re.findall(r"edgetally_\w+", expression)
            assert names, expression
            assert set(names) <= self._labels.keys(), expression
            for name, selectors in re.findall(r"(edgetally_\w+)\{(.*?)\}", expression):
                assert set(re.findall(r"(\w+)[=!]", selectors)) <= self._of(name), expression
            for grouped in re.findall(r"by \((.*?)\)", expression):
                assert set(re.split(r", *", grouped)) <= self._of(names[0]), expression
        for panel in self._panels:
            for target in panel["targets"]:
                (name,) = set(re.findall(r"edgetally_\w+", target["expr"]))
                assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= self._of(name)

    def check_layout(self) -> None:
        """Its panels have numbers of their own and do not overlap."""
        assert len({panel["id"] for panel in self._panels}) == len(self._panels)
        taken: set[tuple[int, int]] = set()
        for panel in self._panels:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert max(x for x, _ in cells) < _COLUMNS
            assert not cells & taken, panel["title"]
            taken |= cells

    def _of(self, metric: str) -> set[str]:
        return self._labels[metric] | {"instance"}
