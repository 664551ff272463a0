"""Writing a report: report.json for programs, report.html for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from contracts.documents import read_document
from contracts.errors import BundleError, StorageError
from contracts.manifest import FileEntry, Manifest
from converters.pack import file_entry
from converters.report.page import render
from converters.report.rows import Report, Row
from converters.speed import default_precision
from runtime.bundle import Bundle
from runtime.documents import load_json
from runtime.environment import host_facts, host_name

JSON_NAME = "report.json"
HTML_NAME = "report.html"


def read_report(bundle: Bundle) -> Report:
    """The report of a bundle that holds one.

    Raises:
        BundleError: it holds none, or it was changed.
    """
    entry = next((file for file in bundle.manifest.reports if file.path == JSON_NAME), None)
    if entry is None:
        raise BundleError(f"{bundle.path}: expected {JSON_NAME}, there is none; build the bundle again")
    return read_document(Report, load_json(bundle.file(entry)), JSON_NAME)


def write_report(bundle: Path, manifest: Manifest, rows: Sequence[Row]) -> tuple[FileEntry, ...]:
    """Write both forms of a report.

    Args:
        bundle: the folder that it goes into.
        manifest: the bundle's, as far as it is known.
        rows: everything that was tried, in the order in which it is shown.

    Returns:
        The JSON file and the HTML file.

    Raises:
        StorageError: they cannot be written.
    """
    report = report_of(manifest, rows)
    texts = {JSON_NAME: report.model_dump_json(indent=2) + "\n", HTML_NAME: render(report)}
    try:
        for name, text in texts.items():
            (bundle / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(str(bundle), error) from error
    return tuple(file_entry(bundle, bundle / name) for name in texts)


def report_of(manifest: Manifest, rows: Sequence[Row]) -> Report:
    """The report of a bundle that was built on this host."""
    facts = host_facts()
    defaults = {
        artifact.id: default_precision(artifact.backend, artifact.options, facts) for artifact in manifest.artifacts
    }
    return Report(
        created=manifest.created,
        converter=manifest.converter,
        device=host_name(),
        model=manifest.model,
        source=manifest.source,
        rows=tuple(
            row.model_copy(update={"default_precision": defaults.get(row.artifact or "")}) if row.benchmark else row
            for row in rows
        ),
        calibration=manifest.calibration,
        evaluation=manifest.evaluation,
        warnings=manifest.warnings,
    )
