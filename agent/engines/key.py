"""Which engine fits: by TensorRT's full version, the GPU, the artifact and its recipe; pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from contracts.engine_recipe import RECIPE_NAME
from contracts.errors import BundleError, DeviceError
from contracts.facts import Facts
from contracts.manifest import Artifact, FileEntry

BACKEND = "tensorrt"
"""The backend whose artifacts are built here; those of TensorRT for RTX come built."""

_SHORT = 32  # hexadecimal digits of a key's digest in a folder's name


@dataclass(frozen=True)
class EngineKey:
    """What an engine was built for; another value of any of these is another engine.

    Args:
        tensorrt: full version.
        sm: the GPU's compute capability, 87 for 8.7.
        artifact: digest of the artifact.
        recipe: digest of its recipe.
    """

    tensorrt: str
    sm: str
    artifact: str
    recipe: str

    @property
    def folder(self) -> str:
        """A name for its folder."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_SHORT]


def needs_engine(artifact: Artifact) -> bool:
    """Whether an artifact is what an engine is built from, rather than what runs."""
    return artifact.backend == BACKEND and artifact.entry.endswith((".onnx", f"/{RECIPE_NAME}"))


def key_for(artifact: Artifact, facts: Facts) -> EngineKey:
    """The key of the engine for an artifact on a box.

    Raises:
        DeviceError: the box does not say its TensorRT or GPU.
        BundleError: the artifact has no recipe.
    """
    known = {name: facts.get(name) for name in ("runtime.tensorrt", "gpu.sm")}
    missing = [name for name, value in known.items() if value is None]
    if missing:
        raise DeviceError(
            f"an engine needs the facts runtime.tensorrt and gpu.sm, this box has no {' and no '.join(missing)}; "
            "install TensorRT and the NVIDIA driver"
        )
    recipe = recipe_entry(artifact)
    return EngineKey(str(known["runtime.tensorrt"]), str(known["gpu.sm"]), artifact.digest, recipe.sha256)


def recipe_entry(artifact: Artifact) -> FileEntry:
    """The artifact's recipe among its files.

    Raises:
        BundleError: there is none.
    """
    for file in artifact.files:
        if file.path.rpartition("/")[2] == RECIPE_NAME:
            return file
    raise BundleError(f"artifact {artifact.id} should hold {RECIPE_NAME}, it does not; build the bundle again")
