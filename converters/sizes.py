"""Input sizes other than model.toml's: read, given to a model, and where their bundles go."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from contracts.documents import read_document
from contracts.errors import DocumentError
from contracts.model_spec import ModelSpec
from runtime.model_dir import ModelDir

Size = tuple[int, int]
"""Width and height, pixels."""

_SIZE = re.compile(r"(\d{1,4})(?:x(\d{1,4}))?")


def parse_sizes(text: str) -> tuple[Size, ...]:
    """Sizes from ``256,320,384x288``: a side, or width and height.

    Raises:
        DocumentError: it is none of these, or one size stands there twice.
    """
    sizes = []
    for part in text.split(","):
        match = _SIZE.fullmatch(part.strip())
        if match is None:
            raise DocumentError("--sizes", [f"expected sizes such as 256,320,384x288, got {part.strip()!r}"])
        sizes.append((int(match[1]), int(match[2] or match[1])))
    doubled = next((size for size in sizes if sizes.count(size) > 1), None)
    if doubled:
        raise DocumentError("--sizes", [f"expected different sizes, {doubled[0]}x{doubled[1]} stands there twice"])
    return tuple(sizes)


def resized(directory: ModelDir, size: Size | None) -> ModelDir:
    """The model's directory with another input size; itself where None.

    Raises:
        DocumentError: no model has that size.
    """
    if size is None:
        return directory
    document = directory.spec.model_dump(mode="json")
    document["input"] |= {"width": size[0], "height": size[1]}
    return replace(directory, spec=read_document(ModelSpec, document, "--sizes"))


def sized_out(out: Path, size: Size) -> Path:
    """Where the bundle of a size goes: ``road.bundle`` gives ``road-256x256.bundle``."""
    return out.with_name(f"{out.stem}-{size[0]}x{size[1]}{out.suffix}")
