"""What an HTTP answer's head says, and whether it fits what was asked for; RFC 9110. Nothing of it is believed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

_STRONG_TAG = re.compile(r'"[\x21\x23-\x7e]{0,200}"')  # an entity-tag without W/, RFC 9110 section 8.8.3; ASCII only
_NUMBER = re.compile(r"[0-9]{1,18}")
_RANGE = re.compile(r"(?i:bytes) ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
_SHOWN = 60  # characters of a wrong header that an error repeats

OK = 200
PARTIAL = 206


class AnswerError(Exception):
    """The answer does not fit the question; the text says what was expected and what came."""


@dataclass(frozen=True)
class Answer:
    """A head that fits.

    Args:
        start: offset in bytes of the body in the file.
        size: of the whole file in bytes; None where the head does not say.
        length: bytes of the body; None where the head does not say.
        etag: the strong ETag, None where there is none.
    """

    start: int
    size: int | None
    length: int | None
    etag: str | None


def read_answer(status: int, headers: Mapping[str, str], start: int) -> Answer:
    """Read the head of an answer with a body: 200 or 206.

    Args:
        status: of the answer.
        headers: its headers; the mapping knows no upper and lower case.
        start: offset in bytes that was asked for.

    Raises:
        AnswerError: it does not fit.
    """
    _refuse_codings(headers)
    length = _length(headers)
    etag = strong_tag(headers.get("ETag"))
    if status == OK:
        return Answer(0, length, length, etag)
    if start == 0:
        raise AnswerError("expected the whole file, got a part of it")
    first, last, size = _range(headers.get("Content-Range"))
    if first != start or last < first or (size is not None and last >= size):
        raise AnswerError(f"expected bytes from {start} on, got Content-Range {first}-{last}/{size or '*'}")
    if length is not None and length != last - first + 1:
        raise AnswerError(f"expected {last - first + 1} bytes as in Content-Range, got Content-Length {length}")
    return Answer(start, size, last - first + 1, etag)


def strong_tag(value: str | None) -> str | None:
    """A strong ETag, with its quotes; None for a weak one, or what is none."""
    return value if value is not None and _STRONG_TAG.fullmatch(value) else None


def tag_of(base: str, etag: str | None) -> str | None:
    """The tag of `agent.update.ports.Reply`: an ETag means something only to the server that gave it."""
    return None if etag is None else f"{_short(base)} {etag}"


def etag_for(base: str, tag: str | None) -> str | None:
    """The ETag in a tag, where this server gave it."""
    whose, _, etag = (tag or "").partition(" ")
    return strong_tag(etag) if whose == _short(base) else None


def _short(base: str) -> str:
    return hashlib.sha256(base.encode()).hexdigest()[:16]


def _refuse_codings(headers: Mapping[str, str]) -> None:
    """Some bytes could become gigabytes, and a coded file has another digest and other offsets."""
    coding = headers.get("Content-Encoding", "")
    if coding.strip().lower() not in {"", "identity"}:
        raise AnswerError(f"expected the bytes as they are, got Content-Encoding {_shown(coding)}")
    transfer = headers.get("Transfer-Encoding")
    if transfer is not None and transfer.strip().lower() != "chunked":
        raise AnswerError(f"expected no Transfer-Encoding but chunked, got {_shown(transfer)}")


def _length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("Content-Length")
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise AnswerError(f"expected a number as Content-Length, got {_shown(text)}")
    if headers.get("Transfer-Encoding") is not None:
        raise AnswerError("expected Content-Length or Transfer-Encoding, got both")
    return int(text)


def _range(text: str | None) -> tuple[int, int, int | None]:
    found = _RANGE.fullmatch(text or "")
    if found is None:
        raise AnswerError(f"expected Content-Range 'bytes FIRST-LAST/SIZE', got {_shown(text or '')}")
    first, last, size = found.groups()
    return int(first), int(last), None if size == "*" else int(size)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
