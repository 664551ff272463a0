"""The two kinds of document: what people write (unknown keys refused) and what machines send (tolerated)."""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, NamedTuple, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from contracts.errors import DocumentError, did_you_mean

ID_PATTERN = r"^[a-z0-9_-]{1,64}$"
ID_RULE = "1 to 64 of a-z, 0-9, _ and -"
Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
"""A name that may stand in a topic: devices, cameras, zones, lines, models."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 digest in lower-case hexadecimal."""

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,30})://(?P<authority>[^/?#\s'\"<>]*)(?P<rest>[^\s'\"<>]*)")
_ASSIGNED = re.compile(
    r"""(?ix) (?P<name> (?: \b | _ ) (?: passwords? | passwd | passphrase | pass | pwd | pw | secret | token
    | api[_-]?key | signature | sig ) ) (?P<is> = | ["'] \s* : \s* (?=["']) ) (?P<quote> ["']? ) [^\s'"&]+"""
)
_HEADER = re.compile(r"(?i)\b((?:proxy-)?authorization\s*[:=]\s*(?:basic|digest|bearer)?\s*)\S[^\r\n]*")
_SHOWN = 60  # characters of a wrong value that an error repeats


class WrittenModel(BaseModel):
    """What a person writes: unknown keys are refused, so that a typing error is not a silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class MachineModel(BaseModel):
    """What a machine sends: unknown keys are tolerated, so that a newer sender is understood."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


Model = TypeVar("Model", bound=BaseModel)


def read_document(model: type[Model], data: Mapping[str, object], where: str) -> Model:
    """Validate a parsed document.

    Args:
        model: the model that it should fit.
        data: the parsed document.
        where: the file, flag or topic that it came from; it begins the error's text.

    Returns:
        The validated document.

    Raises:
        DocumentError: it does not fit; every wrong key is named by its path.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise document_error(model, error, where) from None


def document_error(model: type[BaseModel], error: ValidationError, where: str) -> DocumentError:
    """What pydantic found, in sentences that name each wrong key by its path and show no secret."""
    return DocumentError(where, [problem.sentence for problem in wrong_keys(model, error)])


class WrongKey(NamedTuple):
    """One key that does not fit: where it stands, that place in words, and the sentence that quotes those words."""

    location: tuple[int | str, ...]
    path: str
    sentence: str


def wrong_keys(
    model: type[BaseModel], error: ValidationError, unless: Callable[[ErrorDetails], bool] = lambda _: False
) -> list[WrongKey]:
    """What pydantic found, key by key; the sentences show no secret.

    Args:
        model: what was expected.
        error: what is wrong.
        unless: what of it is passed over.
    """
    details = error.errors(include_url=False)
    kept = [detail for detail in details if not _follows(detail, details) and not unless(detail)]
    return [WrongKey(detail["loc"], _path(detail["loc"]), _sentence(model, detail)) for detail in kept]


def _follows(detail: ErrorDetails, others: list[ErrorDetails]) -> bool:
    """Whether a list is only too short because an item of it is wrong, which is said anyway."""
    length = len(detail["loc"])
    return detail["type"] == "too_short" and any(
        len(other["loc"]) > length and other["loc"][:length] == detail["loc"] for other in others
    )


def without_credentials(text: str) -> str:
    """The text without what may be a secret.

    Of every URL in it the user, the password and the whole query go, and everything but the scheme where an '@' stands
    behind the host, for then the host is in doubt. So do values that are called a password, token or the like, and
    what an ``Authorization`` header says.
    """
    text = _HEADER.sub(r"\1…", text)
    return _ASSIGNED.sub(r"\g<name>\g<is>\g<quote>…", _URL.sub(_url_without_secrets, text))


def _url_without_secrets(url: re.Match[str]) -> str:
    host, rest = url["authority"].rpartition("@")[2], url["rest"]
    if "@" in rest:
        return f"{url['scheme']}://…"
    path, mark, _ = rest.partition("?")
    path, hash_, _ = path.partition("#")
    return f"{url['scheme']}://{host}{path}{'?…' if mark else '#…' if hash_ else ''}"


def _sentence(model: type[BaseModel], detail: ErrorDetails) -> str:  # noqa: PLR0911 - one return a kind of error
    location = detail["loc"]
    path = _path(location)
    key = str(location[-1]) if location else ""
    if detail["type"] == "extra_forbidden":
        known = _keys_at(model, location[:-1])
        hint = did_you_mean(key, known) or f"; known here: {', '.join(sorted(known))}"
        return f"unknown key '{path}'{hint}"
    if detail["type"] == "missing":
        return f"missing key '{path}'"
    if detail["type"] == "union_tag_not_found":
        tag = str(detail["ctx"]["discriminator"]).strip("'")
        return f"missing key '{path}.{tag}'"
    if detail["type"] == "union_tag_invalid":
        return _unknown_tag(path, detail)
    if detail["type"] == "string_pattern_mismatch" and detail["ctx"]["pattern"] == ID_PATTERN:
        return f"'{path}' should be {ID_RULE}, got {_shown(key, detail['input'])}"
    text = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if detail["type"] == "value_error":
        return f"'{path}': {text}" if path else text
    return f"'{path}' {text}, got {_shown(key, detail['input'])}"


def _unknown_tag(path: str, detail: ErrorDetails) -> str:
    context = detail["ctx"]
    field = str(context["discriminator"]).strip("'")
    known = [tag.strip().strip("'") for tag in str(context["expected_tags"]).split(",")]
    came = str(context["tag"])
    hint = did_you_mean(came, known)
    return f"unknown {field} {came!r} at '{path}.{field}'; expected one of {', '.join(known)}{hint}"


def _shown(key: str, value: object) -> str:
    if any(word in key for word in ("password", "secret", "token")):
        return "a value not shown here"
    if isinstance(value, dict | list | tuple):  # what is inside may be a secret
        return f"a {'table' if isinstance(value, dict) else 'list'} of {len(value)}"
    if isinstance(value, str) and "://" in value:  # a password that is not escaped may hold anything, blanks too
        value = f"{value.partition('://')[0]}://…"
    text = without_credentials(repr(value))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _keys_at(model: type[BaseModel], location: tuple[int | str, ...]) -> set[str]:
    """The keys that the model knows at a location; union tags in the location are passed over."""
    models: list[type[BaseModel]] = [model]
    for part in location:
        if isinstance(part, int):
            continue
        fields = [m.model_fields[name] for m in models for name in m.model_fields if part in _names(m, name)]
        if fields:
            models = [found for field in fields for found in _models_in(field.annotation)]
        else:
            models = [m for m in models if _has_tag(m, part)] or models
    return {known for m in models for name in m.model_fields for known in _names(m, name)}


def _names(model: type[BaseModel], field: str) -> tuple[str, ...]:
    alias = model.model_fields[field].alias
    return (alias,) if alias else (field,)


def _has_tag(model: type[BaseModel], tag: str) -> bool:
    return any(tag in get_args(field.annotation) for field in model.model_fields.values())


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - annotations have no type of their own
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in {Union, types.UnionType, Annotated, list, tuple, dict}:
        for inner in get_args(annotation):
            yield from _models_in(inner)
