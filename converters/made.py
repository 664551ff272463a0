"""What became of a target or of one of its precisions."""

from __future__ import annotations

from dataclasses import dataclass, field

from contracts.manifest import Artifact
from converters.report.rows import Row


@dataclass
class Made:
    """Artifacts, a row for everything that was tried, and warnings."""

    artifacts: list[Artifact] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(self, other: Made) -> None:
        """Take in what another precision or target gave."""
        self.artifacts += other.artifacts
        self.rows += other.rows
        self.warnings += other.warnings
