"""An engine built in the background, while another artifact serves."""

from __future__ import annotations

import shutil
import threading
from dataclasses import dataclass
from pathlib import Path

from agent.engines.key import EngineKey, key_for, needs_engine, recipe_entry
from agent.engines.store import ENGINE_NAME, EngineStore
from contracts.documents import read_document
from contracts.engine_recipe import RECIPE_NAME, EngineRecipe
from contracts.errors import EdgetallyError
from contracts.facts import Facts
from contracts.manifest import Artifact
from runtime.bundle import Bundle
from runtime.documents import load_json
from runtime.tensorrt.build import BuildCancelledError, BuildJob, BuildProgress, build_engine
from runtime.tensorrt.interpreter import other_python
from runtime.tensorrt.plan import plan_build, timing_cache_name

_LOOK = 1.0  # seconds between looks whether another process has finished the same engine


@dataclass(frozen=True)
class BuildNeeded:
    """There is no engine yet.

    Args:
        model: the bundle's model.
        key: what it has to be built for.
        artifact: from what.
    """

    model: str
    key: EngineKey
    artifact: Artifact

    @property
    def name(self) -> str:
        """A file name that no other engine has."""
        return f"{self.model}-{self.key.folder}"


def engine_for(model: str, artifact: Artifact, facts: Facts, store: EngineStore) -> Path | BuildNeeded:
    """The engine that runs an artifact on this box, or what has to be built first.

    Args:
        model: name of the bundle's model.
        artifact: one for which `agent.engines.key.needs_engine` holds.
        facts: the box's.
        store: where engines are kept.

    Raises:
        DeviceError: the box does not say its TensorRT or GPU.
        BundleError: the artifact has no recipe.
        ValueError: the artifact runs as it is.
    """
    if not needs_engine(artifact):
        raise ValueError(f"artifact {artifact.id} needs no engine")
    key = key_for(artifact, facts)
    return store.lookup(model, key) or BuildNeeded(model, key, artifact)


class EngineBuild:
    """A build in a thread of its own, whose process ends with it.

    Args:
        bundle: where the artifact is.
        needed: what to build, as `engine_for` said.
        facts: the box's.
        store: where it goes.
    """

    def __init__(self, bundle: Bundle, needed: BuildNeeded, facts: Facts, store: EngineStore) -> None:
        self._bundle = bundle
        self._needed = needed
        self._facts = facts
        self._store = store
        self._cancel = threading.Event()
        self._progress = BuildProgress(0.0)
        self._engine: Path | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="engine-build", daemon=True)

    def start(self) -> None:
        """Begin; once."""
        self._thread.start()

    @property
    def progress(self) -> BuildProgress:
        """How far it is."""
        return self._progress

    @property
    def done(self) -> bool:
        """Whether it ended, however."""
        return not self._thread.is_alive()

    def wait(self, seconds: float) -> bool:
        """Wait at most so long; whether it ended, however."""
        self._thread.join(seconds)
        return self.done

    def cancel(self) -> None:
        """Have it ended; `result` then raises `BuildCancelledError`."""
        self._cancel.set()

    def result(self, seconds: float | None = None) -> Path:
        """Wait for the engine.

        Args:
            seconds: how long at most; None is until it ends.

        Raises:
            TimeoutError: it still goes on.
            EdgetallyError: it failed; as `runtime.tensorrt.build.build_engine` says.
        """
        self._thread.join(seconds)
        if self._error is not None:
            raise self._error
        if self._engine is None:
            raise TimeoutError(f"the engine is not built after {seconds} s")
        return self._engine

    def _run(self) -> None:
        try:
            self._engine = self._build()
        except EdgetallyError as error:
            self._error = error
        except Exception as error:  # noqa: BLE001 - raised again where the result is asked for
            self._error = error

    def _build(self) -> Path:
        needed = self._needed
        while not self._cancel.is_set():
            with self._store.building(needed.model, needed.key) as folder:
                found = self._store.lookup(needed.model, needed.key)
                if found:
                    return found  # another process was faster
                if folder is not None:
                    return self._build_in(folder)
            self._cancel.wait(_LOOK)
        raise BuildCancelledError(f"building the engine of {needed.artifact.id} was cancelled")

    def _build_in(self, folder: Path) -> Path:
        artifact = self._needed.artifact
        self._bundle.entry(artifact)  # checks every file of it
        recipe_file = self._bundle.file(recipe_entry(artifact))
        recipe = read_document(EngineRecipe, load_json(recipe_file), str(recipe_file))
        shutil.copyfile(recipe_file, folder / RECIPE_NAME)
        job = BuildJob(
            plan=plan_build(recipe, self._facts),
            onnx=recipe_file.with_name(recipe.onnx),
            engine=folder / ENGINE_NAME,
            timing_cache=self._store.timings / timing_cache_name(recipe, self._facts),
            python=other_python(artifact.options.get("python")),
        )
        built = build_engine(job, self._note, self._cancel.is_set)
        return self._store.put(self._needed.model, self._needed.key, folder, built.seconds)

    def _note(self, progress: BuildProgress) -> None:
        self._progress = progress
