"""What a repository that is as it should be gives: releases, operators' keys, and when its metadata ends."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from agent.update.errors import UpdateError, UpdateWaitsError
from agent.update.trust.releases import TrustedReleases
from agent.update.trust.rules import RootFloor
from agent.update.trust.store import TrustStore
from contracts.release import OPERATOR_ROLE, Blob, manifest_path
from contracts.update import UpdateCode
from contracts.update_config import UpdateConfig
from tests.unit.agent.update.trust.repository import LATER, NOW, Box, Repository, sign


def refused(box: Box, code: UpdateCode, model: str = "cars", version: str = "1.0.0") -> str:
    with pytest.raises(UpdateError) as error:
        box.releases.find(model, version)
    assert error.value.code == code, error.value
    return error.value.reason


def test_a_release_is_found_with_the_digest_of_its_manifest_and_where_it_lies(box: Box) -> None:
    release = box.releases.find("cars", "1.0.0")
    manifest = hashlib.sha256(b"cars 1.0.0").hexdigest()
    assert (release.info.model, release.info.version, release.info.release) == ("cars", "1.0.0", 1)
    assert release.manifest == Blob(sha256=manifest, size=len(b"cars 1.0.0"))
    assert release.path == f"targets/cars/1.0.0/{manifest}.manifest.json"


def test_asking_again_when_nothing_is_new_takes_two_small_requests(box: Box) -> None:
    box.refresh()
    box.server.asked.clear()
    box.refresh()
    assert box.server.asked == ["metadata/2.root.json", "metadata/timestamp.json"]
    assert box.floors.operations > 0
    assert box.server.closed > 0


def test_asking_again_when_nothing_is_new_writes_nothing(box: Box) -> None:
    box.refresh()
    box.metadata.fail_in = box.floors.fail_in = None
    before = box.metadata.operations
    floors = Box.contents(box.floors)
    box.refresh()
    assert (box.metadata.operations, Box.contents(box.floors)) == (before, floors)


def test_a_version_that_there_is_not_is_named_with_the_ones_that_there_are(box: Box, repository: Repository) -> None:
    repository.release("cars", "1.1.0")
    repository.release("cars", "0.9.0", withdrawn={"at": "2026-11-02T00:00:00Z", "reason": "bad"})
    repository.publish()
    reason = refused(box, "unknown_release", version="1.0.O")
    assert "(1.0.0, 1.1.0); did you mean '1.0.0'?" in reason


def test_a_model_that_there_is_not_is_named_with_the_ones_that_there_are(box: Box) -> None:
    reason = refused(box, "unknown_release", model="car")
    assert "cars, people" in reason
    assert "did you mean 'cars'?" in reason


@pytest.mark.parametrize(
    ("model", "version"), [("../cars", "1.0.0"), ("cars", "../1.0.0"), ("cars", ".."), ("*", "1.0.0"), ("", "")]
)
def test_names_that_would_be_other_paths_are_refused_before_anybody_is_asked(
    box: Box, model: str, version: str
) -> None:
    refused(box, "unknown_release", model, version)
    assert box.server.asked == []


def test_a_withdrawn_release_is_refused_with_the_reason(box: Box, repository: Repository) -> None:
    repository.release("cars", "1.0.0", withdrawn={"at": "2026-11-02T00:00:00Z", "reason": "counts\nbuses twice"})
    repository.publish()
    reason = refused(box, "withdrawn")
    assert "2026-11-02 (counts buses twice); ask for another version" in reason


def test_an_entry_of_another_release_under_a_path_is_refused(box: Box, repository: Repository) -> None:
    target = repository.roles["model-cars"].targets[manifest_path("cars", "1.0.0")]
    target.unrecognized_fields["custom"]["version"] = "0.9.0"
    repository.publish()
    assert "expected cars 1.0.0 in its entry, got cars 0.9.0" in refused(box, "metadata_invalid")


@pytest.mark.parametrize("custom", [None, 5, [], {}, {"model": "cars"}])
def test_an_entry_that_says_too_little_is_refused(box: Box, repository: Repository, custom: object) -> None:
    target = repository.roles["model-cars"].targets[manifest_path("cars", "1.0.0")]
    target.unrecognized_fields["custom"] = custom
    repository.publish()
    refused(box, "metadata_invalid")


def test_a_manifest_without_sha256_or_of_any_size_is_refused(box: Box, repository: Repository) -> None:
    target = repository.roles["model-cars"].targets[manifest_path("cars", "1.0.0")]
    target.hashes = {"sha512": "0" * 128}
    repository.publish()
    refused(box, "metadata_invalid")
    target.hashes, target.length = {"sha256": "0" * 64}, 10**9
    repository.publish()
    assert "expected at most 16777216 bytes, got 1000000000" in refused(box, "metadata_invalid")


def test_a_box_that_was_off_for_years_goes_straight_to_the_newest(box: Box, repository: Repository) -> None:
    """Its own metadata has ended, roots and keys have changed often; nothing between is needed but the roots."""
    repository.timestamp.expires = NOW + dt.timedelta(days=1)
    repository.next_online()
    box.refresh()
    repository.timestamp.expires = repository.snapshot.expires = NOW + 3 * LATER
    repository.root.expires = NOW - dt.timedelta(days=1)  # those between have ended
    for _ in range(5):
        repository.rotate("root", "timestamp", "snapshot")
    repository.root.expires = NOW + 3 * LATER
    repository.rotate("targets")
    for role in (repository.targets, *repository.roles.values()):
        role.expires = NOW + 3 * LATER
    repository.release("cars", "9.0.0")
    repository.publish()
    box.wall = (NOW + 2 * LATER).timestamp()
    assert box.releases.find("cars", "9.0.0").info.version == "9.0.0"


def test_without_a_root_file_it_says_where_it_is_expected(box: Box) -> None:
    box.root.unlink()
    assert str(box.root) in refused(box, "no_root")


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'{"signed": {"_type": "timestamp"}}'])
def test_a_root_file_that_is_none_is_said(box: Box, data: bytes) -> None:
    box.root.write_bytes(data)
    assert str(box.root) in refused(box, "no_root")


def test_the_root_file_is_the_one_of_the_settings_or_in_the_state_directory(
    tmp_path: Path, repository: Repository
) -> None:
    (tmp_path / "root.json").write_bytes(repository.anchor)
    TrustedReleases.under(tmp_path, UpdateConfig(), repository.server).refresh()
    assert (tmp_path / "update/metadata/timestamp.json").is_file()
    config = UpdateConfig(root=str(tmp_path / "other.json"))
    with pytest.raises(UpdateError, match=r"other\.json"):
        TrustedReleases.under(tmp_path, config, repository.server).refresh()


def test_nobody_answering_is_waited_for(box: Box) -> None:
    box.server.down = True
    with pytest.raises(UpdateWaitsError) as waits:
        box.refresh()
    assert waits.value.code == "server_unreachable"
    assert waits.value.seconds > 0


def test_a_repository_that_is_not_whole_yet_is_waited_for(box: Box) -> None:
    del box.server.files["metadata/2.snapshot.json"]
    with pytest.raises(UpdateWaitsError, match=r"metadata/2\.snapshot\.json") as waits:
        box.refresh()
    assert waits.value.code == "server_wrong"


def test_operators_keys_are_those_that_targets_names(box: Box, repository: Repository) -> None:
    assert box.releases.operator_keys() is None, "nothing was taken yet"
    box.refresh()
    keys = box.releases.operator_keys()
    assert keys is not None
    assert list(keys.keys) == [repository.keys[OPERATOR_ROLE][0].public_key.keyid]


def test_new_operators_keys_replace_the_old_ones_without_anybody_touching_the_box(
    box: Box, repository: Repository
) -> None:
    box.refresh()
    old = box.releases.operator_keys()
    repository.keys[OPERATOR_ROLE] = [CryptoSigner.generate_ed25519(), CryptoSigner.generate_ed25519()]
    repository.delegate(OPERATOR_ROLE, [])
    repository.publish()
    box.refresh()
    new = box.releases.operator_keys()
    assert new is not None
    assert old is not None
    assert set(new.keys) == {one.public_key.keyid for one in repository.keys[OPERATOR_ROLE]}
    assert not set(new.keys) & set(old.keys)


def test_operators_keys_that_a_box_cannot_use_are_said(box: Box, repository: Repository) -> None:
    repository.delegate(OPERATOR_ROLE, [], threshold=2)
    repository.publish()
    box.refresh()
    with pytest.raises(UpdateError, match="threshold of 1"):
        box.releases.operator_keys()
    repository.keys[OPERATOR_ROLE] = [CryptoSigner.generate_ecdsa()]
    repository.delegate(OPERATOR_ROLE, [])
    repository.publish()
    box.refresh()
    with pytest.raises(UpdateError, match="expected Ed25519 keys"):
        box.releases.operator_keys()


def test_when_the_metadata_ends_is_told_by_role_and_without_asking_anybody(box: Box, repository: Repository) -> None:
    assert box.releases.expires() is None
    repository.timestamp.expires = NOW + dt.timedelta(days=14)
    repository.root.expires = NOW + dt.timedelta(days=20)
    repository.rotate("root")
    repository.next_online()
    box.releases.find("cars", "1.0.0")
    box.server.down = True
    assert box.releases.expires() == NOW + dt.timedelta(days=14)
    assert set(box.releases.expiries()) == {"root", "timestamp", "snapshot", "targets", "model-cars"}
    warning = box.releases.warning()
    assert warning is not None
    assert "root ends" in warning
    assert "timestamp" not in warning


def test_metadata_that_was_damaged_on_the_disk_is_not_believed_and_mended_by_the_next_visit(box: Box) -> None:
    box.refresh()
    for name in ("1.root.json", "targets.json"):
        before = Box.contents(box.metadata)[name]
        box.damage(name, before[: len(before) // 2])
        assert box.releases.operator_keys() is None
        assert box.releases.expires() is None
        box.refresh()
        assert box.releases.operator_keys() is not None


def test_what_somebody_else_signed_is_not_believed_because_it_lies_on_the_disk(
    box: Box, repository: Repository
) -> None:
    box.refresh()
    box.damage("targets.json", sign(repository.targets, CryptoSigner.generate_ed25519()))
    assert box.releases.operator_keys() is None


def test_a_file_that_lies_where_the_next_root_would_be_is_none(box: Box) -> None:
    box.refresh()
    box.damage("2.root.json", b"garbage")
    box.refresh()
    first = RootFloor(version=1, sha256=hashlib.sha256(box.root.read_bytes()).hexdigest())
    assert TrustStore(box.metadata, box.floors).floors().root == first


def test_an_older_copy_of_a_models_role_raises_no_alarm(box: Box, repository: Repository) -> None:
    role = repository.roles["model-cars"]
    role.expires = NOW + dt.timedelta(days=5)
    repository.publish()
    box.releases.find("cars", "1.0.0")
    warning = box.releases.warning()
    assert warning is not None
    assert "model-cars ends" in warning
    role.expires = NOW + LATER
    repository.publish()
    box.refresh()
    assert box.releases.warning() is None


def test_a_mistake_of_the_transport_is_no_fault_of_the_repository(box: Box) -> None:
    def broken(path: str) -> None:
        raise TypeError(f"a bug that {path} shows")

    box.server.before = broken
    with pytest.raises(TypeError, match="a bug"):
        box.refresh()
