"""The table of all keys of agent.toml in docs/configuration.md, from the contracts."""

from __future__ import annotations

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from contracts.config import AgentConfig
from contracts.desired import DesiredConfig

PAGE = Path(__file__).parent.parent / "docs/configuration.md"
_BEGIN = "<!-- keys: written by make schema -->\n"
_END = "<!-- end of keys -->\n"
_LIMITS = {Ge: "≥ {ge}", Gt: "> {gt}", Le: "≤ {le}", Lt: "< {lt}", MinLen: "", MaxLen: ""}

_BELOW: dict[Any, str] = {tuple: "[].", dict: ".NAME."}
"""What stands between a key and those below it where it holds several."""

_WORDS = {
    "device": "name of this box, unique at its broker; stands in every topic",
    "state_dir": "folder for totals, waiting reports, and what came from afar",
    "window_seconds": "length of the windows that are reported",
    "health_seconds": "how often the box's health is published",
    "log_level": "what is said on stderr",
    "broker.host": "name or address",
    "broker.password": "better in the environment: `EDGETALLY_BROKER__PASSWORD`",
    "camera[].id": "stands in topics",
    "camera[].source": "file, folder of pictures, URL, device or `synthetic`",
    "camera[].line[].start": "its left end for who looks along `in`; x and y in 0 to 1 of the picture",
    "camera[].line[].end": "its other end",
    "camera[].line[].anchor": "the point of a box that counts",
    "camera[].zone[].polygon": "corners; x and y in 0 to 1 of the picture",
    "camera[].zone[].anchor": "the point of a box that counts",
    "camera[].mask[].polygon": "corners of what nobody may see: black in every picture; x and y in 0 to 1",
}
"""Words for keys that the contracts themselves say nothing of."""


def key_table() -> str:
    """Every key with its type, limits and default, and whether it may be changed from afar."""
    head = "| key | value | default | from afar | what |\n|---|---|---|---|---|\n"
    return head + "".join(f"| {' | '.join(row)} |\n" for row in _rows(AgentConfig, DesiredConfig, ""))


def with_key_table(page: str) -> str:
    """The page with its table as it should be."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return before + _BEGIN + key_table() + _END + after


def write_key_table() -> None:
    """Write the page."""
    PAGE.write_text(with_key_table(PAGE.read_text()))
    print(f"wrote the keys into docs/{PAGE.name}")


def _rows(model: type[BaseModel], part: type[BaseModel] | None, above: str) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        remote = part.model_fields.get(name) if part else None
        key = f"{above}{name}"
        if inner is None:
            afar = "-" if remote is None else "names the row" if remote.is_required() else "yes"
            what = (field.description or _WORDS.get(key, "")).replace("|", "\\|")
            yield f"`{key}`", _kind(field), _default(field), afar, what
        else:
            below = _BELOW.get(get_origin(field.annotation), ".")
            yield from _rows(inner, _model_in(remote.annotation) if remote else None, f"{key}{below}")


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - annotations have no type of their own
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in {Union, types.UnionType, tuple, dict, Annotated}:
        return next((found for inner in get_args(annotation) if (found := _model_in(inner))), None)
    return None


def _kind(field: FieldInfo) -> str:
    limits = [
        text.format(**{name: f"{getattr(one, name):g}" for name in ("ge", "gt", "le", "lt") if hasattr(one, name)})
        for one in field.metadata
        if (text := _LIMITS.get(type(one)))
    ]
    return " ".join([_type(field.annotation), *limits])


def _type(annotation: Any) -> str:  # noqa: ANN401 - likewise
    plain = {str: "text", SecretStr: "text", int: "integer", float: "number", bool: "true or false"}
    origin, inside = get_origin(annotation), get_args(annotation)
    if annotation in plain:
        return plain[annotation]
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in inside)
    if origin is Annotated:
        return _type(inside[0])
    if origin in {Union, types.UnionType}:
        return _type(next(one for one in inside if one is not types.NoneType))
    if origin is dict:
        return f"table of {_type(inside[1])}"
    return "point" if inside[-1] is not Ellipsis else f"list of {_type(inside[0])}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value in ((), {}):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
