"""Nothing of a bundle is used before every byte has been checked."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from contracts.errors import BundleError
from contracts.manifest import manifest_digest
from runtime.bundle import open_bundle
from tests.fakes.bundles import artifact, make_bundle


def test_an_unchanged_bundle_opens_and_gives_its_entry(tmp_path: Path) -> None:
    bundle = open_bundle(make_bundle(tmp_path / "b"))
    bundle.check()
    assert bundle.entry(bundle.manifest.artifacts[0]).read_bytes() == b"x86-onnxruntime/fp32"


def test_a_bundle_is_known_by_the_digest_of_its_manifests_bytes(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "b")
    assert open_bundle(path).manifest_sha256 == hashlib.sha256((path / "manifest.json").read_bytes()).hexdigest()


def test_a_changed_byte_in_any_file_is_refused_with_the_file(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "b")
    for entry in open_bundle(path).manifest.files():
        file = path / entry.path
        before = file.read_bytes()
        file.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        with pytest.raises(BundleError, match=rf"{entry.path}: expected SHA-256 .*, got .*; copy the bundle again"):
            open_bundle(path).check()
        file.write_bytes(before)


def test_a_file_of_another_size_is_refused_with_both_sizes(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "b")
    (path / "golden/frame_000.npy").write_bytes(b"")
    with pytest.raises(BundleError, match="bytes, got 0"):
        open_bundle(path).check()


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "b")
    (path / "golden/frame_000.npy").unlink()
    with pytest.raises(BundleError, match="cannot be read"):
        open_bundle(path).check()


def test_every_changed_character_of_the_manifest_is_noticed(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "b")
    manifest = path / "manifest.json"
    text = manifest.read_text()
    for position in range(0, len(text), 7):
        changed = chr(ord(text[position]) ^ 1)
        manifest.write_text(text[:position] + changed + text[position + 1 :])
        with pytest.raises(BundleError):
            open_bundle(path)


def test_a_bundle_of_a_newer_schema_asks_for_an_update(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "b", schema_version=99)
    with pytest.raises(BundleError, match="schema is 99, this edgetally reads up to 2"):
        open_bundle(path)


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"expected a bundle .* there is none"):
        open_bundle(tmp_path)


def test_a_path_that_leaves_the_bundle_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "b"
    leaving = artifact(root)
    leaving["files"][0]["path"] = leaving["entry"] = "../secret"
    with pytest.raises(BundleError, match="should stay inside the bundle"):
        open_bundle(make_bundle(root, [leaving]))


def test_an_artifact_whose_entry_is_not_among_its_files_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "b"
    bundle = open_bundle(make_bundle(root, [artifact(root, entry="manifest.json")]))
    with pytest.raises(BundleError, match=r"names entry 'manifest.json', which it lacks"):
        bundle.entry(bundle.manifest.artifacts[0])


def test_keys_that_a_newer_converter_added_are_tolerated(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "b")
    document = json.loads((path / "manifest.json").read_text()) | {"newer": 1}
    (path / "manifest.json").write_text(json.dumps(document | {"digest": manifest_digest(document)}))
    assert open_bundle(path).manifest.model.name == "fake"
