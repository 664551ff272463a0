"""A published repository behind a real web server, read by python-tuf's own client, which shares no code with ours."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tuf.api.exceptions import ExpiredMetadataError, RepositoryError, UnsignedMetadataError

from contracts.manifest import Manifest
from contracts.release import blob_path
from fleet.publishing.check import check
from fleet.publishing.export import export
from fleet.publishing.progress import silent
from fleet.publishing.publish import publish, withdraw
from fleet.publishing.refresh import refresh
from tests.integration.nginx import nginx
from tests.integration.tuf_reader import Reader
from tests.unit.fleet.repositories import Operator, bundle, now


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path)


@pytest.fixture
def url(operator: Operator) -> Iterator[str]:
    with nginx(operator.folder / "repository") as served:
        yield served


@pytest.fixture
def reader(operator: Operator, url: str, tmp_path: Path) -> Reader:
    return Reader(tmp_path / "reader", url, operator.root)


def test_a_published_bundle_is_read_whole(operator: Operator, reader: Reader) -> None:
    published = operator.publish("fake", "1.0.0")
    reader.refresh()
    files = reader.bundle("fake", "1.0.0")
    assert files is not None
    folder = operator.folder / "fake-1.0.0.bundle"
    assert files == {path: (folder / path).read_bytes() for path in files}
    info = reader.info("fake", "1.0.0")
    assert info == published.release.info
    assert (info.release, info.targets) == (1, ("x86-onnxruntime",))
    assert info.size == sum(map(len, files.values()))


def test_every_version_stays_and_is_counted(operator: Operator, reader: Reader) -> None:
    operator.publish("fake", "1.0.0")
    reader.refresh()
    assert reader.bundle("fake", "1.1.0") is None
    operator.publish("fake", "1.1.0")
    operator.publish("other", "1.0.0")
    reader.refresh()
    assert all(reader.bundle(*release) for release in [("fake", "1.0.0"), ("fake", "1.1.0"), ("other", "1.0.0")])
    assert [reader.info("fake", version).release for version in ("1.0.0", "1.1.0")] == [1, 2]
    assert reader.info("other", "1.0.0").release == 1


def test_a_withdrawn_release_says_why(operator: Operator, reader: Reader) -> None:
    operator.publish("fake", "1.0.0")
    withdraw(operator.repository(), "fake", "1.0.0", "counts vans twice")
    reader.refresh()
    withdrawn = reader.info("fake", "1.0.0").withdrawn
    assert withdrawn is not None
    assert withdrawn.reason == "counts vans twice"


def test_after_a_stolen_online_key_was_replaced_what_it_signs_is_refused(
    operator: Operator, reader: Reader, tmp_path: Path
) -> None:
    operator.publish()
    stolen = tmp_path / "stolen"
    shutil.copytree(operator.folder / "repository", stolen)
    shutil.copytree(operator.keys, tmp_path / "stolen-keys")
    operator.replace("online")
    reader.refresh()
    assert reader.bundle("fake", "1.0.0") is not None
    root = operator.folder / "repository/metadata/2.root.json"
    shutil.copy(root, stolen / "metadata")
    with nginx(stolen) as url:
        with pytest.raises(UnsignedMetadataError, match="timestamp"):
            Reader(tmp_path / "new-box", url, operator.root).refresh()
        with pytest.raises(RepositoryError):
            Reader(tmp_path / "reader", url, operator.root).refresh()


@pytest.mark.parametrize("what", ["root", "targets", "online", "release", "operator"])
def test_a_reader_notices_nothing_of_a_replaced_key(operator: Operator, reader: Reader, url: str, what: str) -> None:
    operator.publish("fake", "1.0.0")
    reader.refresh()
    operator.replace(what)
    reader.refresh()
    operator.publish("fake", "1.1.0")
    reader.refresh()
    newcomer = Reader(operator.folder / "newcomer", url, operator.root)
    newcomer.refresh()
    for one in (reader, newcomer):
        assert one.bundle("fake", "1.0.0") is not None
        assert one.bundle("fake", "1.1.0") is not None


@pytest.mark.parametrize("what", ["targets", "online", "release", "operator"])
def test_a_key_can_be_replaced_whose_private_half_is_lost(operator: Operator, reader: Reader, what: str) -> None:
    operator.publish("fake", "1.0.0")
    reader.refresh()
    (operator.keys / f"{what}-1.pem").unlink()
    operator.replace(what)
    operator.publish("fake", "1.1.0")
    reader.refresh()
    assert reader.bundle("fake", "1.0.0") is not None
    assert reader.bundle("fake", "1.1.0") is not None


def test_of_three_root_keys_any_one_may_be_lost(tmp_path: Path) -> None:
    operator = Operator(tmp_path, root_keys=3)
    operator.publish()
    (operator.offline / "root-2.pem").unlink()
    operator.replace("root-2")
    (operator.offline / "root-1.pem").unlink()
    operator.replace("root-1")
    with nginx(tmp_path / "repository") as url:
        reader = Reader(tmp_path / "reader", url, operator.root)
        reader.refresh()
        assert reader.bundle("fake", "1.0.0") is not None
    assert operator.state().root.signed.version == 3


def test_readers_refuse_what_nobody_signed_anew_and_take_it_again_after_a_refresh(
    operator: Operator, reader: Reader
) -> None:
    operator.publish()
    refresh(operator.at(now() - dt.timedelta(days=8)), ())
    with pytest.raises(ExpiredMetadataError):
        reader.refresh()
    refresh(operator.repository(), ())
    reader.refresh()
    assert reader.bundle("fake", "1.0.0") is not None


def test_an_exported_release_is_read_from_the_stick_alone(operator: Operator, tmp_path: Path) -> None:
    targets = ("x86-onnxruntime", "x86-openvino")
    publish(operator.repository(), bundle(tmp_path, "fake", "1.0.0", targets), silent)
    operator.publish("other", "1.0.0")
    operator.replace("online")
    stick = tmp_path / "stick"
    release, _ = export(operator.repository(), ("fake", "1.0.0"), ["x86-openvino"], stick, silent)
    with nginx(stick) as url:
        reader = Reader(tmp_path / "box", url, operator.root)
        reader.refresh()
        assert reader.info("fake", "1.0.0") == release.info
    kept = {path.name for path in (stick / "blobs").rglob("*") if path.is_file()}
    names = {one.id: one.files[0].sha256 for one in _manifest(operator, "fake").artifacts}
    assert names["x86-openvino/fp32"] in kept
    assert names["x86-onnxruntime/fp32"] not in kept


def test_a_file_that_was_changed_is_found(operator: Operator) -> None:
    operator.publish()
    manifest = _manifest(operator, "fake")
    file = operator.folder / "repository" / blob_path(manifest.artifacts[0].files[0].sha256)
    file.write_bytes(b"x" * file.stat().st_size)
    finding = check(operator.repository(), silent)
    assert len(finding.problems) == 1
    assert "digest" in finding.problems[0]
    assert file.name in finding.problems[0]


def _manifest(operator: Operator, model: str) -> Manifest:
    from fleet.publishing.check import read_manifest

    release = operator.state().find(model, "1.0.0")
    assert release is not None
    manifest = read_manifest(operator.files, release)
    assert not isinstance(manifest, str)
    return manifest
