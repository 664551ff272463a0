"""A bundle's samples are run through all that ran here before, and through nothing that another stood in for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contracts.errors import ArtifactError, BundleError
from converters.self_test import self_test
from runtime.bundle import Bundle, open_bundle
from tests.fakes.bundles import artifact, make_bundle

PARITY = {"execution_precision": "f32", "frames": 1, "outputs": []}


def bundle_of(root: Path, **changes: Any) -> Bundle:
    """Its artifact is no model: whoever opens it finds out."""
    return open_bundle(make_bundle(root, [artifact(root, **changes)]))


def test_what_ran_here_is_opened_as_a_device_would(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="ONNX Runtime does not load it"):
        self_test(bundle_of(tmp_path / "b", parity=[PARITY]))


@pytest.mark.parametrize(
    "changes",
    [
        {"parity": []},
        {"parity": [PARITY], "execution_precisions": ["bf16"]},
        {"parity": [PARITY], "checked_with": "openvino"},
        {"parity": [PARITY], "checked_with": "onnxruntime", "options": {"device": "GPU"}},
    ],
    ids=["never run", "run in another precision", "another backend", "another plugin of its backend"],
)
def test_what_did_not_run_here_as_on_its_device_is_not_opened(changes: dict[str, Any], tmp_path: Path) -> None:
    self_test(bundle_of(tmp_path / "b", **changes))


def test_every_file_is_checked_all_the_same(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path / "b")
    (bundle.path / bundle.manifest.artifacts[0].entry).write_bytes(b"x86-onnxruntime/fp33")
    with pytest.raises(BundleError, match="copy the bundle again"):
        self_test(bundle)
