"""Where bundles come from: unsigned ones only where the box has no root; who may sign comes with the metadata."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.disk import Disk
from agent.remote.signing import KEYS_NAME
from agent.update.errors import UpdateError
from agent.update.library import BundleFolder, KeyedReleases, Libraries
from agent.update.shelf import Shelf
from agent.update.shelf_disk import ShelfDisk
from agent.update.trust.operators import NONE_NAME
from contracts.config import AgentConfig
from contracts.errors import NotThereError
from contracts.manifest import MANIFEST_NAME
from contracts.release import OPERATOR_ROLE, blob_path
from tests.fakes.bundles import make_bundle
from tests.unit.agent.update.trust.repository import Box, Repository


def libraries(folder: Path, **update: object) -> Libraries:
    document = {
        "device": "box-1",
        "bundle": "b",
        "state_dir": str(folder / "state"),
        "broker": {"host": "127.0.0.1"},
        "camera": [{"id": "gate", "source": "synthetic"}],
        "update": update,
    }
    (folder / "state").mkdir(exist_ok=True)
    return Libraries(AgentConfig.model_validate(document), Shelf(ShelfDisk(folder / "shelf")), list)


def problem_of(one: Libraries, source: str | None) -> UpdateError:
    with pytest.raises(UpdateError) as caught:
        one.open(source)
    return caught.value


def test_a_bundle_in_a_folder_is_the_only_release_there(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "stick")
    releases = libraries(tmp_path).open(str(bundle)).releases
    releases.refresh()
    found = releases.find("fake", "1.0.0")
    assert found.manifest.size == (bundle / MANIFEST_NAME).stat().st_size
    with pytest.raises(UpdateError, match=r"expected the bundle of fake 2\.0\.0, the folder has fake 1\.0\.0"):
        releases.find("fake", "2.0.0")


def test_of_a_bundle_only_what_its_manifest_names_can_be_read(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "stick")
    (bundle / "secret").write_bytes(b"x")
    folder = BundleFolder(bundle)
    assert b"".join(folder.open(MANIFEST_NAME).chunks) == (bundle / MANIFEST_NAME).read_bytes()
    for path in ("secret", "../secret", blob_path("0" * 64)):
        with pytest.raises(NotThereError):
            folder.open(path)


def test_a_box_with_a_root_takes_no_bundle_without_signatures(tmp_path: Path) -> None:
    bundle, one = make_bundle(tmp_path / "stick"), libraries(tmp_path)
    one.root.write_text("{}")
    problem = problem_of(one, str(bundle))
    assert problem.code == "not_trusted"
    assert "edgetally-fleet export" in problem.reason


def test_a_folder_that_is_neither_and_a_box_without_a_server_are_told_what_to_do(tmp_path: Path) -> None:
    empty = problem_of(libraries(tmp_path), str(tmp_path))
    assert (empty.code, "stick" in empty.reason) == ("unknown_release", True)
    nobody = problem_of(libraries(tmp_path), None)
    assert (nobody.code, "[update]" in nobody.reason) == ("unknown_release", True)


def test_a_manifest_that_is_none_ends_it(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "stick")
    (bundle / MANIFEST_NAME).write_text("{")
    assert problem_of(libraries(tmp_path), str(bundle)).code == "bundle_invalid"


@pytest.mark.parametrize(("server", "root"), [(False, True), (True, False)])
def test_without_a_server_or_a_root_nothing_signed_is_asked_for(tmp_path: Path, *, server: bool, root: bool) -> None:
    one = libraries(tmp_path, **({"server": ["https://models.example"]} if server else {}))
    if root:
        one.root.write_text("{}")
    assert one.signed() is None


def test_the_keys_of_the_metadata_are_written_once_and_who_waits_is_told(tmp_path: Path) -> None:
    told: list[None] = []
    keyed = KeyedReleases(
        Box(tmp_path, Repository("cars")).releases, Disk(tmp_path / "keys"), lambda: told.append(None)
    )
    keyed.refresh()
    keyed.refresh()
    assert (tmp_path / "keys" / KEYS_NAME).exists()
    assert told == [None]


def test_metadata_without_operators_is_known_to_name_none(tmp_path: Path) -> None:
    told: list[None] = []
    repository = Repository("cars")
    assert repository.targets.delegations is not None
    assert repository.targets.delegations.roles is not None
    del repository.targets.delegations.roles[OPERATOR_ROLE]
    repository.publish()
    keyed = KeyedReleases(Box(tmp_path, repository).releases, Disk(tmp_path / "keys"), lambda: told.append(None))
    keyed.refresh()
    keyed.refresh()
    assert (tmp_path / "keys" / NONE_NAME).exists()
    assert not (tmp_path / "keys" / KEYS_NAME).exists()
    assert told == [None]
