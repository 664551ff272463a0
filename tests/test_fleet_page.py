"""docs/fleet.md names everything that an operator may meet."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.inventory.fields import FIELDS
from fleet.inventory.reading import REASONS

PAGE = (Path(__file__).parent.parent / "docs/fleet.md").read_text()


@pytest.mark.parametrize("name", [*REASONS, *FIELDS])
def test_the_page_explains_every_reason_and_every_field(name: str) -> None:
    assert f"`{name}`" in PAGE
