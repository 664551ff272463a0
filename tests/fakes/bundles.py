"""A bundle on disk whose artifacts run on lanes that a test makes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from contracts.manifest import MANIFEST_NAME, manifest_digest


def entry(root: Path, path: str, content: bytes) -> dict[str, Any]:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return {"path": path, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}


def artifact(root: Path, artifact_id: str = "x86-onnxruntime/fp32", **changes: Any) -> dict[str, Any]:
    file = entry(root, f"artifacts/{artifact_id}/model.bin", artifact_id.encode())
    target, _, precision = artifact_id.partition("/")
    return {
        "id": artifact_id,
        "target": target,
        "backend": "onnxruntime",
        "precision": precision,
        "files": [file],
        "entry": file["path"],
        "requires": [],
        "inputs": [{"name": "image", "dtype": "uint8", "shape": [1, 4, 4, 3]}],
        "outputs": [{"name": "density", "dtype": "float32", "shape": [1, 1, 2, 2]}],
    } | changes


def golden(root: Path) -> dict[str, Any]:
    """One sample: a frame of zeros for which the reference gives ones."""
    np.save(root / "frame.npy", np.zeros((4, 4, 3), np.uint8))
    np.savez(root / "expected.npz", density=np.ones((1, 1, 2, 2), np.float32))
    return {
        "frame": entry(root, "golden/frame_000.npy", (root / "frame.npy").read_bytes()),
        "expected": entry(root, "golden/expected_000.npz", (root / "expected.npz").read_bytes()),
    }


def make_bundle(root: Path, artifacts: list[dict[str, Any]] | None = None, **changes: Any) -> Path:
    """Write a manifest beside the files that its artifacts and samples made below ``root``."""
    root.mkdir(parents=True, exist_ok=True)
    document: dict[str, Any] = {
        "schema_version": 1,
        "created": "2026-01-01T00:00:00Z",
        "converter": "edgetally 0.1.0",
        "model": {
            "name": "fake",
            "version": "1.0.0",
            "labels": ["vehicle"],
            "input": {"width": 64, "height": 64},
            "output": {"decoder": "density"},
        },
        "source": {"file": "model.onnx", "sha256": "0" * 64},
        "artifacts": artifacts if artifacts is not None else [artifact(root)],
        "golden": [golden(root)],
    } | changes
    document["digest"] = manifest_digest(document)
    (root / MANIFEST_NAME).write_text(json.dumps(document))
    return root
