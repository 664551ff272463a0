"""Both files of a report beside the manifest they belong to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from contracts.errors import StorageError
from contracts.manifest import Manifest
from converters.report.rows import Report
from converters.report.write import write_report
from runtime.bundle import open_bundle
from runtime.environment import host_name
from tests.fakes.bundles import make_bundle
from tests.unit.converters.report.samples import measured


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return open_bundle(make_bundle(tmp_path / "bundle", warnings=["careful"])).manifest


def test_both_files_are_written_and_listed(manifest: Manifest, tmp_path: Path) -> None:
    entries = write_report(tmp_path, manifest, [measured("fp32", "f32", 20.0, 0.0, artifact="x86-onnxruntime/fp32")])
    assert [entry.path for entry in entries] == ["report.json", "report.html"]
    assert all((tmp_path / entry.path).stat().st_size == entry.size > 0 for entry in entries)
    report = Report.model_validate_json((tmp_path / "report.json").read_text())
    assert (report.device, report.model, report.warnings) == (host_name(), manifest.model, ("careful",))
    assert report.rows[0].default_precision == "f32"
    assert "careful" in (tmp_path / "report.html").read_text()


def test_a_folder_that_is_not_there_is_a_storage_error(manifest: Manifest, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=os.strerror(2)):
        write_report(tmp_path / "none", manifest, [])
