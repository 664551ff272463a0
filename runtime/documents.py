"""Reading the files that hold documents: TOML that people write, JSON that machines write."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from contracts.documents import Model, read_document
from contracts.errors import DocumentError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def load_toml(path: Path) -> dict[str, object]:
    """A TOML file's content.

    Raises:
        DocumentError: it is missing, unreadable or no TOML.
    """
    try:
        data = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise DocumentError(str(path), ["expected a TOML file, there is none; check the path"]) from None
    except OSError as error:
        raise DocumentError(str(path), [f"cannot be read: {error.strerror}"]) from None
    return parse_toml(data, str(path))


def parse_toml(data: bytes, where: str) -> dict[str, object]:
    """The content of a TOML file that was read already.

    Raises:
        DocumentError: it is no TOML.
    """
    try:
        return tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        raise DocumentError(where, [f"expected UTF-8 text, got other bytes at {error.start}"]) from None
    except tomllib.TOMLDecodeError as error:
        raise DocumentError(where, [f"expected TOML, got something else: {error}"]) from None


def read_toml(model: type[Model], path: Path) -> Model:
    """A TOML file that a person wrote, validated.

    Raises:
        DocumentError: it cannot be read, or does not fit the model.
    """
    return read_document(model, load_toml(path), str(path))


def load_json(path: Path) -> dict[str, object]:
    """A JSON object's content.

    Raises:
        DocumentError: it is missing, unreadable or no JSON object.
    """
    try:
        document = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise DocumentError(str(path), ["expected a JSON file, there is none; check the path"]) from None
    except (ValueError, RecursionError) as error:
        raise DocumentError(str(path), [f"expected JSON, got something else: {error}"]) from None
    except OSError as error:
        raise DocumentError(str(path), [f"cannot be read: {error.strerror}"]) from None
    if not isinstance(document, dict):
        raise DocumentError(str(path), [f"expected a JSON object, got {type(document).__name__}"])
    return document
