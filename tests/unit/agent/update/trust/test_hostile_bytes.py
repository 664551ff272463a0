"""Whatever bytes a server sends for whichever file: a typed error with a code, or metadata that is signed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tuf.api.metadata import Metadata

from agent.update.errors import UpdateError, UpdateWaitsError
from tests.fakes.metadata_server import MetadataServer
from tests.unit.agent.update.trust.repository import Box, Repository, sign

FILES = ("timestamp.json", "2.snapshot.json", "2.targets.json", "2.model-cars.json", "2.root.json")
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("9999-12-31T23:59:59Z"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def repository() -> Repository:
    made = Repository("cars")
    made.release("cars", "1.0.0")
    made.publish()
    made.rotate("root")
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("box")


def outcome(box: Box) -> str:
    """What a box says of a repository; every other error than these two is a bug."""
    try:
        version = box.releases.find("cars", "1.0.0").info.version
        box.releases.operator_keys()
        return f"{version} {box.releases.expires():%Y}"
    except (UpdateError, UpdateWaitsError) as error:
        return str(error)


def visit(folder: Path, repository: Repository, file: str, data: bytes) -> None:
    """A new box is served these bytes, another one has them on its disk."""
    served = Box(folder, repository)
    served.server = MetadataServer(repository.server.files | {f"metadata/{file}": data})
    assert outcome(served).isprintable()
    damaged = Box(folder, repository)
    damaged.damage(file if file == "2.root.json" else file.removeprefix("2."), data)
    assert damaged.releases.find("cars", "1.0.0").info.version == "1.0.0", "it is fetched anew"


@settings(max_examples=40)
@given(file=st.sampled_from(FILES), data=st.binary(max_size=200))
def test_any_bytes(folder: Path, repository: Repository, file: str, data: bytes) -> None:
    visit(folder, repository, file, data)


@settings(max_examples=40)
@given(file=st.sampled_from(FILES), at=st.integers(0, 10_000), byte=st.integers(0, 255), cut=st.booleans())
def test_one_wrong_byte_or_a_missing_end(
    folder: Path, repository: Repository, file: str, at: int, byte: int, cut: bool
) -> None:
    data = repository.server.files[f"metadata/{file}"]
    at %= len(data)
    visit(folder, repository, file, data[:at] if cut else data[:at] + bytes([byte]) + data[at + 1 :])


@settings(max_examples=80)
@given(file=st.sampled_from(FILES), dice=st.randoms(use_true_random=False), junk=JUNK)
def test_any_json_in_any_place(folder: Path, repository: Repository, file: str, dice: Any, junk: object) -> None:
    document = json.loads(repository.server.files[f"metadata/{file}"])
    places = list(_places(document))
    holder, key = dice.choice(places)
    holder[key] = junk
    visit(folder, repository, file, json.dumps(document).encode())


@settings(max_examples=80)
@given(dice=st.randoms(use_true_random=False), junk=JUNK, role=st.sampled_from(["timestamp", "snapshot", "targets"]))
def test_any_json_in_any_place_that_is_signed_all_the_same(
    folder: Path, signed: Repository, dice: Any, junk: object, role: str
) -> None:
    """By who stole a key."""
    file = "timestamp.json" if role == "timestamp" else f"2.{role}.json"
    document = json.loads(signed.server.files[f"metadata/{file}"])
    holder, key = dice.choice(list(_places(document["signed"])))
    holder[key] = junk
    _visit_signed(folder, signed, role, document)


@pytest.mark.parametrize("name", [True, None, "x" * 300, "../../etc/passwd", "\x00", "a/b"])
def test_a_role_of_any_name_that_is_signed_all_the_same(folder: Path, signed: Repository, name: object) -> None:
    document = json.loads(signed.server.files["metadata/2.targets.json"])
    for role in document["signed"]["delegations"]["roles"]:
        role["name"] = name if role["name"] == "model-cars" else role["name"]
    _visit_signed(folder, signed, "targets", document)


def _visit_signed(folder: Path, signed: Repository, role: str, document: object) -> None:
    file = "timestamp.json" if role == "timestamp" else f"2.{role}.json"
    try:
        metadata: Metadata[Any] = Metadata.from_dict(json.loads(json.dumps(document)))
        metadata.sign(signed.keys[role][0])
        data = metadata.to_bytes()
    except Exception:  # noqa: BLE001 - python-tuf itself does not sign that
        return
    new = Box(folder, signed)
    new.server = MetadataServer(signed.server.files | {f"metadata/{file}": data})
    assert outcome(new).isprintable()


@pytest.fixture(scope="module")
def signed() -> Repository:
    """One whose files name no digests of one another, so that what is signed anew is read at all."""
    made = Repository("cars")
    made.release("cars", "1.0.0")
    made.publish()
    made.timestamp.snapshot_meta.hashes = made.timestamp.snapshot_meta.length = None
    made.put("timestamp.json", sign(made.timestamp, *made.keys["timestamp"]))
    return made


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    for key in document if isinstance(document, dict) else range(len(document)):
        yield document, key
        if isinstance(document[key], dict | list):
            yield from _places(document[key])
