"""What somebody between the box and the repository, or with some of its keys, can try."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Iterator

import pytest

from agent.update.errors import UpdateError, UpdateWaitsError
from agent.update.trust.client import GRACE_SECONDS, LARGEST_TIMESTAMP, SLOWEST, TransportFetcher
from agent.update.trust.store import TrustStore
from contracts.release import model_paths
from contracts.update import UpdateCode
from tests.fakes.disk import FakeDisk
from tests.fakes.metadata_server import MetadataServer
from tests.unit.agent.update.trust.repository import NOW, Box, Repository, sign, signer

LOCAL = ("timestamp.json", "snapshot.json", "targets.json")
DAY = dt.timedelta(days=1)


def refused(box: Box, code: UpdateCode) -> str:
    """Why nothing was taken; what was seen before never falls by that."""
    before = versions(box)
    with pytest.raises(UpdateError) as error:
        box.refresh()
    assert error.value.code == code, error.value
    after = versions(box)
    assert all(after[role] >= version for role, version in before.items())
    return error.value.reason


def versions(box: Box) -> dict[str, int]:
    try:
        floors = TrustStore(box.metadata, box.floors).floors()
    except UpdateError:
        return {}
    return {role: floor.version for role, floor in floors.roles.items()}


def replay_the_third_state_to_a_box_at_the_fifth(box: Box, repository: Repository) -> None:
    repository.publish()
    third = repository.files()
    repository.publish()
    repository.publish()
    box.refresh()
    assert box.version("timestamp") == 5
    box.server.files = third


# --- older metadata


def test_older_metadata_is_refused(box: Box, repository: Repository) -> None:
    replay_the_third_state_to_a_box_at_the_fifth(box, repository)
    refused(box, "metadata_rollback")


@pytest.mark.parametrize("left", [None, b"", b'{"signed": {', b"\0" * 500], ids=["gone", "empty", "cut", "zeros"])
@pytest.mark.parametrize("names", [LOCAL[:1], LOCAL[:2], LOCAL, (*LOCAL, "1.root.json")], ids=len)
def test_older_metadata_is_refused_whatever_became_of_the_files_on_the_box(
    box: Box, repository: Repository, names: tuple[str, ...], left: bytes | None
) -> None:
    """Timestamp and snapshot without content had python-tuf alone take the third state."""
    replay_the_third_state_to_a_box_at_the_fifth(box, repository)
    kept = {name: data for name, data in Box.contents(box.metadata).items() if name not in names}
    box.metadata = FakeDisk(kept | ({} if left is None else dict.fromkeys(names, left)))
    assert "seen before" in refused(box, "metadata_rollback") or len(names) == 1


@pytest.mark.parametrize("copy_lost", ["floors", "floors-beside"])
def test_one_damaged_copy_of_the_floors_changes_nothing(box: Box, repository: Repository, copy_lost: str) -> None:
    replay_the_third_state_to_a_box_at_the_fifth(box, repository)
    box.metadata = FakeDisk()
    box.floors = FakeDisk(Box.contents(box.floors) | {copy_lost: b"edgetally-record-1 0\n{}"})
    refused(box, "metadata_rollback")


def test_with_both_copies_of_the_floors_damaged_nothing_is_taken_and_it_says_what_to_do(
    box: Box, repository: Repository
) -> None:
    replay_the_third_state_to_a_box_at_the_fifth(box, repository)
    box.floors = FakeDisk({"floors": b"", "floors-beside": b""})
    reason = refused(box, "storage")
    assert "floors is damaged and floors-beside is damaged" in reason
    assert "remove that folder" in reason


def test_a_delegated_role_that_goes_back_is_refused_although_the_box_never_read_it(
    box: Box, repository: Repository
) -> None:
    """By the snapshot's list, as the specification wants it, and also where the box has lost its own snapshot."""
    old = copy.deepcopy(repository.roles["model-people"])
    repository.publish()
    box.refresh()
    repository.roles["model-people"] = old
    repository.publish_role("model-people")
    repository.next_online()
    refused(box, "metadata_rollback")
    box.metadata = FakeDisk()
    assert "model-people in the snapshot" in refused(box, "metadata_rollback")


def test_a_delegated_role_that_the_snapshot_lists_no_more_is_refused(box: Box, repository: Repository) -> None:
    box.refresh()
    box.metadata = FakeDisk()
    del repository.snapshot.meta["model-people.json"]
    repository.next_online()
    assert "got none" in refused(box, "metadata_rollback")


def test_a_root_that_is_held_back_is_refused(box: Box, repository: Repository) -> None:
    old = repository.files()
    repository.rotate("root")
    box.refresh()
    box.metadata = FakeDisk()
    box.server.files = old
    assert "expected version 2 of root" in refused(box, "metadata_rollback")


def test_what_was_seen_before_a_visit_broke_off_counts(box: Box, repository: Repository) -> None:
    """Who lets the newest timestamp through, and nothing after it, does not get to replay the one before."""
    box.refresh()
    old = repository.files()
    repository.publish()
    box.server.breaks = {"metadata/3.snapshot.json"}
    with pytest.raises(UpdateWaitsError):
        box.refresh()
    box.server.files = old
    refused(box, "metadata_rollback")


# --- out of date, mixed


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "root"])
def test_metadata_that_has_ended_is_refused(box: Box, repository: Repository, role: str) -> None:
    getattr(repository, role).expires = NOW - DAY
    repository.root.version += 1
    repository.publish_root()
    repository.publish()
    assert role in refused(box, "metadata_expired")


def test_a_models_role_that_has_ended_is_refused_with_when(box: Box, repository: Repository) -> None:
    repository.roles["model-cars"].expires = NOW - DAY
    repository.publish()
    box.refresh()
    with pytest.raises(UpdateError, match=f"ended {NOW - DAY:%Y-%m-%d}") as error:
        box.releases.find("cars", "1.0.0")
    assert error.value.code == "metadata_expired"


def test_files_of_two_states_of_the_repository_are_refused(box: Box, repository: Repository) -> None:
    old = repository.files()
    repository.publish()
    box.server.files["metadata/3.snapshot.json"] = old["metadata/2.snapshot.json"]
    refused(box, "metadata_invalid")  # by the digest that the timestamp names


def test_a_snapshot_of_another_version_is_refused_also_where_no_digest_is_named(
    box: Box, repository: Repository
) -> None:
    old = repository.files()["metadata/2.snapshot.json"]
    repository.publish()
    repository.timestamp.snapshot_meta.hashes = repository.timestamp.snapshot_meta.length = None
    repository.put("timestamp.json", sign(repository.timestamp, *repository.keys["timestamp"]))
    repository.put("3.snapshot.json", old)
    refused(box, "metadata_rollback")


# --- size, pace, garbage


def endless() -> Iterator[bytes]:
    while True:
        yield b"{" * 4096


@pytest.mark.parametrize("path", ["timestamp.json", "2.snapshot.json", "2.targets.json", "2.root.json"])
def test_a_file_without_an_end_is_left_at_its_limit(box: Box, path: str) -> None:
    box.server.instead[f"metadata/{path}"] = endless
    assert f"metadata/{path} is larger than" in refused(box, "metadata_invalid")


def test_a_file_that_says_it_is_too_large_is_not_read(box: Box) -> None:
    box.server.files["metadata/timestamp.json"] = b" " * (LARGEST_TIMESTAMP + 1)
    assert f"{LARGEST_TIMESTAMP} bytes" in refused(box, "metadata_invalid")


def test_a_file_that_comes_too_slowly_is_left_and_asked_for_later() -> None:
    now = [0.0]

    def slowly() -> Iterator[bytes]:
        while True:
            now[0] += 10
            yield b" " * int(SLOWEST)

    server = MetadataServer()
    server.instead["metadata/2.targets.json"] = slowly
    with pytest.raises(UpdateWaitsError, match="comes too slowly") as waits:
        TransportFetcher(server, lambda: now[0]).download_bytes("metadata/2.targets.json", 5_000_000)
    assert waits.value.code == "server_unreachable"
    assert now[0] < 2 * GRACE_SECONDS
    assert server.closed == 1


@pytest.mark.parametrize("path", ["timestamp.json", "2.snapshot.json", "2.targets.json"])
def test_a_file_that_ends_too_early_is_asked_for_later(box: Box, path: str) -> None:
    box.server.breaks = {f"metadata/{path}"}
    with pytest.raises(UpdateWaitsError) as waits:
        box.refresh()
    assert waits.value.code == "server_unreachable"
    box.server.breaks = set()
    box.refresh()


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"[]", b"{" * 16_000, b'{"signed": {"_type": "root"}}'])
def test_garbage_is_refused(box: Box, data: bytes) -> None:
    box.server.files["metadata/timestamp.json"] = data
    assert "\n" not in refused(box, "metadata_invalid")


# --- keys


def test_metadata_by_other_keys_is_refused(box: Box, repository: Repository) -> None:
    repository.keys["timestamp"] = [signer()]
    repository.publish()
    assert "0/1" in refused(box, "not_trusted")


def test_too_few_signatures_are_refused(box: Box, repository: Repository) -> None:
    repository.keys["targets"] = [signer(), signer()]
    repository.name_keys("targets", threshold=2)
    repository.root.version += 1
    repository.publish_root()
    repository.keys["targets"].pop()
    repository.publish()
    assert "1/2" in refused(box, "not_trusted")


def test_a_repository_with_another_root_is_refused(box: Box) -> None:
    box.refresh()
    stranger = Repository("cars")
    stranger.publish()
    box.server.files = stranger.files()
    refused(box, "not_trusted")


def test_a_new_root_that_the_old_one_did_not_sign_is_refused(box: Box, repository: Repository) -> None:
    repository.keys["root"] = [signer()]
    repository.name_keys("root")
    repository.root.version += 1
    repository.publish_root()
    refused(box, "not_trusted")


def test_a_wrong_root_file_can_be_replaced_by_the_right_one(box: Box, repository: Repository) -> None:
    box.root.write_bytes(Repository("cars").anchor)
    refused(box, "not_trusted")
    box.root.write_bytes(repository.anchor)
    box.refresh()


def test_another_root_file_of_the_same_version_is_refused_until_somebody_says_it_is_on_purpose(box: Box) -> None:
    box.refresh()
    other = Repository("cars")
    for _ in range(3):
        other.publish()
    box.root.write_bytes(other.anchor)
    box.server.files = other.files()
    assert "remove the folders update/metadata and update/trust" in refused(box, "not_trusted").replace("\n", " ")
    box.metadata, box.floors = FakeDisk(), FakeDisk()
    box.refresh()


def test_a_newer_root_file_of_the_same_repository_keeps_the_floors(box: Box, repository: Repository) -> None:
    replay_the_third_state_to_a_box_at_the_fifth(box, repository)
    third = repository.server.files
    repository.rotate("root")
    box.root.write_bytes(third["metadata/2.root.json"])
    box.metadata = FakeDisk()
    refused(box, "metadata_rollback")


def test_a_models_role_cannot_release_another_model(box: Box, repository: Repository) -> None:
    repository.roles["model-cars"].targets["people/1.0.0/manifest.json"] = repository.roles["model-cars"].targets[
        "cars/1.0.0/manifest.json"
    ]
    repository.publish()
    with pytest.raises(UpdateError) as error:
        box.releases.find("people", "1.0.0")
    assert error.value.code == "unknown_release"


def test_a_stolen_release_key_is_worth_nothing_once_targets_names_another(box: Box, repository: Repository) -> None:
    box.releases.find("cars", "1.0.0")
    stolen = repository.keys["model-cars"]
    repository.keys["model-cars"] = [signer()]
    repository.delegate("model-cars", [model_paths("cars")])
    repository.publish()
    box.releases.find("cars", "1.0.0")
    repository.keys["model-cars"] = stolen
    repository.release("cars", "6.6.6")
    repository.publish()
    with pytest.raises(UpdateError) as error:
        box.releases.find("cars", "6.6.6")
    assert error.value.code == "not_trusted"


def test_who_stole_the_online_keys_is_shut_out_by_a_new_root(box: Box, repository: Repository) -> None:
    box.refresh()
    stolen = {role: repository.keys[role] for role in ("timestamp", "snapshot")}
    repository.rotate("timestamp", "snapshot")
    repository.publish()
    box.refresh()
    repository.keys |= stolen
    repository.publish()
    refused(box, "not_trusted")


@pytest.mark.parametrize("files_lost", [False, True])
def test_versions_that_a_thief_counted_up_lock_nobody_out(box: Box, repository: Repository, files_lost: bool) -> None:
    """Fast-forward attack: once the root names new keys, versions go on from where they honestly were."""
    box.refresh()
    honest = repository.snapshot.version, repository.timestamp.version, repository.snapshot.meta.copy()
    repository.snapshot.version = repository.timestamp.version = 2**40
    repository.publish_online()
    box.refresh()
    assert box.version("timestamp") == 2**40
    repository.snapshot.version, repository.timestamp.version, repository.snapshot.meta = honest
    repository.publish()
    refused(box, "metadata_rollback")

    repository.rotate("timestamp", "snapshot")
    repository.publish()
    if files_lost:
        box.metadata = FakeDisk()
    box.refresh()
    assert box.version("timestamp") == honest[1] + 2
    older = repository.files()
    repository.publish()
    box.refresh()
    box.server.files, box.metadata = older, FakeDisk()
    refused(box, "metadata_rollback")


def test_versions_of_a_model_that_a_thief_counted_up_lock_nobody_out(box: Box, repository: Repository) -> None:
    """The list of the snapshot goes up with the role, so the snapshot's key is replaced with it (specification)."""
    repository.roles["model-cars"].version = 2**40
    repository.publish()
    box.releases.find("cars", "1.0.0")
    repository.roles["model-cars"].version = 3
    repository.keys["model-cars"] = [signer()]
    repository.delegate("model-cars", [model_paths("cars")])
    repository.rotate("snapshot")
    repository.publish()
    assert box.releases.find("cars", "1.0.0").info.version == "1.0.0"


def test_a_key_that_is_only_added_leaves_the_floor_as_it_is(box: Box, repository: Repository) -> None:
    replay_the_third_state_to_a_box_at_the_fifth(box, repository)
    third = repository.server.files
    repository.keys["timestamp"].append(signer())
    repository.name_keys("timestamp")
    repository.root.version += 1
    repository.server.files = third
    repository.publish_root()
    box.metadata = FakeDisk()
    refused(box, "metadata_rollback")


@pytest.mark.parametrize("version", [2**53, 10**400])
def test_a_version_beyond_all_reason_is_refused(box: Box, repository: Repository, version: int) -> None:
    repository.timestamp.version = version
    repository.publish_online()
    assert "2^53" in refused(box, "metadata_invalid")
