"""What a form of ours holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends, Request

_MOST_FIELDS = 64


async def fields_of(request: Request) -> Mapping[str, str]:
    """The fields of a form, by name; of several alike the last."""
    form = await request.form(max_files=0, max_fields=_MOST_FIELDS)
    return {name: value for name, value in form.multi_items() if isinstance(value, str)}


Fields = Annotated[Mapping[str, str], Depends(fields_of)]
