"""Publishing, withdrawing, refreshing and collecting, in memory."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.errors import BundleError, DocumentError, UnknownNameError
from contracts.release import BLOBS, model_role
from fleet.publishing.change import Change, Repository, apply, body_of, write_root
from fleet.publishing.check import check
from fleet.publishing.collect import collect
from fleet.publishing.errors import ConflictError, KeyFileError, KeysMissingError, ReleaseError, RepositoryError
from fleet.publishing.export import export
from fleet.publishing.init import init_repository
from fleet.publishing.progress import silent
from fleet.publishing.publish import publish, withdraw
from fleet.publishing.refresh import alarms, expiries, refresh
from fleet.publishing.roles import ROLES, Validity, parse_days
from fleet.publishing.rotate import key_to_replace
from fleet.publishing.seen import Seen
from tests.unit.fleet.repositories import Operator, bundle, now


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path, f"memory://{tmp_path.name}")


def test_publishing_again_changes_nothing(operator: Operator) -> None:
    first = operator.publish()
    before = operator.state().timestamp.signed.version
    again = publish(operator.repository(), operator.folder / "fake-1.0.0.bundle", silent)
    assert (first.new, again.new) == (True, False)
    assert again.release == first.release
    assert operator.state().timestamp.signed.version == before


def test_publishing_again_brings_back_what_went_missing(operator: Operator) -> None:
    release = operator.publish().release
    path = next(iter(operator.files.sizes(BLOBS)))
    operator.files.remove(path)
    operator.files.replace(release.path, b"{}")
    again = operator.publish()
    assert (again.new, again.files) == (False, 1)
    assert check(operator.repository(), silent).problems == ()


def test_files_that_are_there_are_not_copied_again(operator: Operator) -> None:
    assert operator.publish("fake", "1.0.0").files == 3
    assert operator.publish("fake", "1.1.0").files == 1, "the golden sample is the same"


def test_a_version_is_never_used_twice(operator: Operator, tmp_path: Path) -> None:
    operator.publish()
    other = bundle(tmp_path / "other", targets=["x86-openvino"])
    with pytest.raises(ReleaseError, match=r"raise `version` in model\.toml"):
        publish(operator.repository(), other, silent)


def test_a_withdrawn_version_does_not_come_back(operator: Operator) -> None:
    operator.publish()
    withdraw(operator.repository(), "fake", "1.0.0", "counts vans twice")
    with pytest.raises(ReleaseError, match="counts vans twice"):
        operator.publish()
    with pytest.raises(ReleaseError, match="withdrawn before"):
        withdraw(operator.repository(), "fake", "1.0.0", "again")


def test_a_reason_that_is_empty_is_refused(operator: Operator) -> None:
    operator.publish()
    with pytest.raises(DocumentError, match="--reason"):
        withdraw(operator.repository(), "fake", "1.0.0", "")


def test_a_release_that_is_not_there_is_said_with_the_nearest(operator: Operator) -> None:
    operator.publish("fake", "1.0.0")
    with pytest.raises(ReleaseError, match=re.escape("did you mean 'fake 1.0.0'")):
        withdraw(operator.repository(), "fake", "1.0.1", "counts vans twice")


def test_a_bundle_that_was_changed_is_not_copied(operator: Operator, tmp_path: Path) -> None:
    folder = bundle(tmp_path)
    next(folder.glob("golden/*.npy")).write_bytes(b"changed")
    with pytest.raises(BundleError, match="copy the bundle again"):
        publish(operator.repository(), folder, silent)
    assert operator.files.sizes(BLOBS) == {}
    assert operator.versions() == []


def test_the_first_release_of_a_model_takes_the_targets_key_and_says_so_before_anything_is_copied(
    operator: Operator,
) -> None:
    operator.publish("fake", "1.0.0")
    copied = operator.files.sizes(BLOBS)
    (operator.keys / "targets-1.pem").unlink()
    with pytest.raises(KeysMissingError, match="this step needs the targets key"):
        operator.publish("other", "1.0.0")
    assert operator.files.sizes(BLOBS) == copied
    assert operator.publish("fake", "1.1.0").new


@pytest.mark.parametrize("role", ["release", "online"])
def test_a_missing_key_is_named(operator: Operator, role: str) -> None:
    operator.publish("fake", "1.0.0")
    (operator.keys / f"{role}-1.pem").unlink()
    with pytest.raises(KeysMissingError, match=f"{role}-1"):
        operator.publish("fake", "1.1.0")


def test_who_comes_second_from_the_same_version_is_refused_and_loses_nothing(operator: Operator) -> None:
    operator.publish("fake", "1.0.0")
    state = operator.state()
    operator.publish("fake", "1.1.0")
    body = body_of(state.roles[model_role("fake")])
    with pytest.raises(ConflictError, match="run the same command again"):
        apply(operator.repository(), state, Change({model_role("fake"): body}))
    assert operator.versions() == [("fake", "1.0.0"), ("fake", "1.1.0")]
    assert operator.publish("fake", "1.2.0").new


def test_a_publish_whose_timestamp_is_missing_is_finished_by_the_next_command(operator: Operator) -> None:
    operator.publish("fake", "1.0.0")
    before = operator.files.read("metadata/timestamp.json")
    operator.publish("fake", "1.1.0")
    assert before is not None
    operator.files.replace("metadata/timestamp.json", before)
    assert check(operator.repository(), silent).unfinished
    refresh(operator.repository(), ())
    assert operator.versions() == [("fake", "1.0.0"), ("fake", "1.1.0")]
    assert not check(operator.repository(), silent).unfinished


def test_a_snapshot_that_no_key_of_ours_signed_is_passed_over(operator: Operator, tmp_path: Path) -> None:
    stranger = Operator(tmp_path / "stranger", f"memory://{tmp_path.name}-stranger")
    forged = stranger.files.read("metadata/1.snapshot.json")
    assert forged is not None
    operator.files.replace("metadata/2.snapshot.json", forged)
    operator.publish()
    assert operator.state().snapshot.signed.version == 3
    assert operator.versions() == [("fake", "1.0.0")]


@pytest.mark.parametrize("name", ["timestamp.json", "2.snapshot.json", "2.targets.json", "1.model-fake.json"])
def test_metadata_of_a_stranger_are_never_signed_again(operator: Operator, tmp_path: Path, name: str) -> None:
    operator.publish()
    stranger = Operator(tmp_path / "stranger", f"memory://{tmp_path.name}-stranger")
    stranger.publish()
    forged = stranger.files.read(f"metadata/{name}")
    assert forged is not None
    operator.files.replace(f"metadata/{name}", forged)
    with pytest.raises(RepositoryError):
        operator.publish("fake", "1.1.0")


def test_an_older_state_that_somebody_put_back_is_not_published_on(operator: Operator, tmp_path: Path) -> None:
    repository = replace(operator.repository(), seen=Seen(operator.keys, operator.root))
    publish(repository, bundle(tmp_path), silent)
    before = {path: operator.files.read(path) or b"" for path in operator.files.sizes("metadata")}
    withdraw(repository, "fake", "1.0.0", "counts vans twice")
    for path in operator.files.sizes("metadata"):
        operator.files.remove(path)
    for path, data in before.items():
        operator.files.replace(path, data)
    with pytest.raises(RepositoryError, match="older state") as caught:
        publish(repository, bundle(tmp_path, version="1.1.0"), silent)
    (remembered,) = operator.keys.glob(".seen-*.json")
    assert str(remembered) in str(caught.value)
    remembered.unlink()
    assert publish(repository, bundle(tmp_path, version="1.1.0"), silent).new


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff"])
def test_what_was_seen_is_not_guessed_where_it_cannot_be_read(operator: Operator, content: bytes) -> None:
    repository = replace(operator.repository(), seen=Seen(operator.keys, operator.root))
    repository.state()
    (remembered,) = operator.keys.glob(".seen-*.json")
    remembered.write_bytes(content)
    with pytest.raises(KeyFileError, match="remove it"):
        repository.state()


@pytest.mark.parametrize("path", ["other/1.0.0/manifest.json", "fake/2.0.0/manifest.json"])
def test_what_a_models_key_signs_for_another_model_or_version_is_refused(operator: Operator, path: str) -> None:
    operator.publish()
    state = operator.state()
    body = body_of(state.roles[model_role("fake")])
    target = body.targets.pop("fake/1.0.0/manifest.json")
    target.path = path
    body.targets[path] = target
    apply(operator.repository(), state, Change({model_role("fake"): body}))
    with pytest.raises(RepositoryError, match="may not release this"):
        operator.versions()


def test_another_root_is_not_taken_for_ours(operator: Operator, tmp_path: Path) -> None:
    stranger = Operator(tmp_path / "stranger", f"memory://{tmp_path.name}-stranger")
    ours = operator.repository()
    mixed = Repository(stranger.files, ours.trusted, ours.keyring, ours.validity)
    with pytest.raises(RepositoryError, match="not signed by the keys of this repository"):
        mixed.state()


def test_a_repository_is_made_once(operator: Operator) -> None:
    with pytest.raises(RepositoryError, match="there is a repository already"):
        init_repository(operator.files, operator.keyring(), Validity(now(), {}), None)


def test_without_a_kind_of_key_no_repository_is_made(operator: Operator, tmp_path: Path) -> None:
    from fleet.publishing.files import open_files

    files = open_files(f"memory://{tmp_path.name}-new")
    with pytest.raises(KeyFileError, match="--root-keys"):
        init_repository(files, operator.keyring(offline=False), Validity(now(), {}), None)
    with pytest.raises(KeyFileError, match="at least 2"):
        init_repository(files, operator.keyring(), Validity(now(), {}), 2)
    assert files.sizes("metadata") == {}


def test_everything_is_valid_for_as_long_as_the_table_says(operator: Operator) -> None:
    operator.publish()
    days = {one.role: round((one.expires - now()) / dt.timedelta(days=1)) for one in expiries(operator.state())}
    assert days == {"root": 730, "targets": 365, "model-fake": 180, "snapshot": 7, "timestamp": 7}


def test_how_long_it_is_valid_can_be_said(operator: Operator) -> None:
    state = refresh(operator.repository(days={"timestamp": 30, "model": 90}), ())
    assert round((state.timestamp.signed.expires - now()) / dt.timedelta(days=1)) == 30


def test_somebody_is_told_before_a_signature_ends_and_what_to_run(operator: Operator) -> None:
    operator.publish()
    state = operator.state()
    assert alarms(state, now()) == []
    (timestamp, snapshot) = alarms(state, now() + dt.timedelta(days=5))
    assert "expires" in timestamp
    assert timestamp.endswith("run `edgetally-fleet repository refresh`")
    later = "\n".join(alarms(state, now() + dt.timedelta(days=160)))
    assert "model-fake expires" in later
    assert "repository refresh --role fake`" in later
    assert "timestamp expired" in later
    assert snapshot != timestamp


def test_a_refresh_signs_what_it_is_asked_for(operator: Operator) -> None:
    operator.publish()
    before = operator.state()
    repository = operator.repository(offline=True)
    after = refresh(repository, ["root", "targets", "fake"])
    assert after.root.signed.version == before.root.signed.version + 1
    for role in before.roles:
        assert after.roles[role].signed.version == before.roles[role].signed.version + 1
    assert operator.versions() == [("fake", "1.0.0")]
    with pytest.raises(UnknownNameError, match="did you mean 'fake'"):
        refresh(repository, ["fak"])


def test_a_refresh_takes_no_key_but_the_online_one(operator: Operator) -> None:
    operator.publish()
    for name in ("targets-1", "release-1", "operator-1"):
        (operator.keys / f"{name}.pem").unlink()
    refresh(operator.repository(), ())
    with pytest.raises(KeysMissingError, match="--root-keys"):
        refresh(operator.repository(), ["root"])


def test_only_old_files_that_nobody_needs_are_removed(operator: Operator) -> None:
    operator.publish("fake", "1.0.0")
    operator.publish("fake", "1.1.0")
    operator.files.replace(f"{BLOBS}/aa/{'a' * 64}", b"nobody's")
    hour = dt.timedelta(hours=1)
    assert collect(operator.repository(), hour, dry_run=False) == {}
    later = operator.at(now() + 2 * hour)
    planned = collect(later, hour, dry_run=True)
    assert f"{BLOBS}/aa/{'a' * 64}" in planned
    assert "metadata/1.snapshot.json" in planned
    assert collect(later, hour, dry_run=False) == planned
    finding = check(operator.repository(), silent)
    assert (finding.problems, finding.unreferenced) == ((), {})
    assert operator.publish("fake", "1.2.0").new


def test_nothing_is_removed_from_a_damaged_repository(operator: Operator) -> None:
    release = operator.publish().release
    operator.files.replace(release.path, b"{}")
    with pytest.raises(RepositoryError, match="nothing was removed"):
        collect(operator.at(now() + dt.timedelta(days=2)), dt.timedelta(0), dry_run=False)


def test_a_check_names_what_is_missing(operator: Operator) -> None:
    operator.publish()
    path = next(iter(operator.files.sizes(BLOBS)))
    operator.files.remove(path)
    (problem,) = check(operator.repository(), silent).problems
    assert path in problem
    assert "is missing" in problem


def test_no_stick_is_made_of_a_withdrawn_release_or_for_an_unknown_target(operator: Operator, tmp_path: Path) -> None:
    operator.publish()
    with pytest.raises(UnknownNameError, match="did you mean 'x86-onnxruntime'"):
        export(operator.repository(), ("fake", "1.0.0"), ["x86-onnxruntme"], tmp_path / "stick", silent)
    withdraw(operator.repository(), "fake", "1.0.0", "counts vans twice")
    with pytest.raises(ReleaseError, match="counts vans twice"):
        export(operator.repository(), ("fake", "1.0.0"), [], tmp_path / "stick", silent)
    assert not (tmp_path / "stick").exists()


def test_a_damaged_file_does_not_go_on_a_stick(operator: Operator, tmp_path: Path) -> None:
    operator.publish()
    for path, size in operator.files.sizes(BLOBS).items():
        operator.files.replace(path, b"x" * size)
    with pytest.raises(RepositoryError, match="digest"):
        export(operator.repository(), ("fake", "1.0.0"), [], tmp_path / "stick", silent)


def test_keys_are_not_replaced_under_a_change_of_somebody_else(operator: Operator) -> None:
    repository = operator.repository(offline=True)
    state = repository.state()
    operator.publish()
    with pytest.raises(ConflictError):
        write_root(repository, state, state.root.signed)
    assert operator.state().root.signed.version == 1


def test_which_key_is_meant_is_told_by_role_name_or_id(operator: Operator) -> None:
    operator.publish()
    repository = operator.repository(offline=True)
    state = repository.state()
    (online,) = repository.keyring.of("online")
    for name in ("online", "online-1", online.keyid, online.keyid[:10]):
        assert key_to_replace(repository, state, name) == ("online", online.keyid)
    with pytest.raises(UnknownNameError, match="did you mean 'online'"):
        key_to_replace(repository, state, "onlin")
    operator.replace("online")
    with pytest.raises(KeyFileError, match="not in use"):
        key_to_replace(operator.repository(), operator.state(), "online-1")


def test_the_roots_name_no_private_key_and_the_metadata_no_path(operator: Operator) -> None:
    operator.publish()
    for path in operator.files.sizes("metadata"):
        text = (operator.files.read(path) or b"").decode()
        assert "PRIVATE" not in text
        assert str(operator.folder) not in text
        json.loads(text)


@pytest.mark.parametrize("text", ["timestamp", "timestamp=", "timestamp=0", "timestamp=-1", "timestamp=1.5", "=3", ""])
def test_days_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises((DocumentError, UnknownNameError)):
        parse_days([text])


def test_days_of_an_unknown_role_are_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'timestamp'"):
        parse_days(["timestmp=3"])
    assert parse_days(["timestamp=14", "root=3650"]) == {"timestamp": 14, "root": 3650}


def test_every_alarm_comes_well_before_the_end() -> None:
    for name, rule in ROLES.items():
        assert 1 < rule.alarm < rule.days, name
