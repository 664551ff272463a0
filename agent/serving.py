"""What counts, and what takes over from it: engines are built in the background, and swapped in between two frames."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol

from agent.engines.build import BuildNeeded
from agent.errands import AgentEndsError
from agent.lanes import LanePool
from agent.model import LoadedModel, RunningForm, Selection
from agent.tuning.setting import Setting
from contracts.errors import EdgetallyError, NoArtifactFitsError
from contracts.health import EngineProgress
from contracts.messages import Considered
from runtime.tensorrt.build import BuildCancelledError, BuildProgress

_log = logging.getLogger(__name__)

_SWITCH_SECONDS = 10.0  # that the lanes before get to finish their frames; then they are left behind
_SAY_SECONDS = 60.0  # between two lines of the log on a build

Select = Callable[[LoadedModel | None], Selection]
"""Chooses the best that works now, beside what serves; `agent.model.load_model`."""


class Build(Protocol):
    """Builds an engine; `agent.engines.supply.EngineSupply.build`."""

    def __call__(
        self, needed: BuildNeeded, note: Callable[[BuildProgress], None], cancelled: Callable[[], bool]
    ) -> object:
        """Wait for it.

        Raises:
            EdgetallyError: it failed, or was cancelled.
        """


class Serving:
    """The model that counts; a better one takes over once it is there, opened and proven beside it.

    Whatever fails on the way there, what serves goes on, and `considered` says why.

    Args:
        pool: runs it.
        select: chooses a model.
        build: builds an engine.
        changed: called from any thread after `form`, `considered` or what is built changed.
    """

    def __init__(self, pool: LanePool, select: Select, build: Build, changed: Callable[[], None]) -> None:
        self._pool = pool
        self._select = select
        self._build = build
        self._changed = changed
        self._selection = Selection("", None, ())
        self._progress: EngineProgress | None = None
        self._problem: NoArtifactFitsError | None = None
        self._stop = threading.Event()
        self._choosing = threading.Lock()
        self._switching = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="engines", daemon=True)

    def start(self) -> None:
        """Serve with the best that works now, and begin to build what is better.

        Raises:
            NoArtifactFitsError: no artifact fits and works here, and no engine is to be built.
        """
        self.choose()
        self.begin()

    def choose(self) -> None:
        """Open the best that works now; it counts nothing yet.

        Raises:
            NoArtifactFitsError: as of `start`; `check` and `considered` say so too.
        """
        try:
            self._selection = self._select(None)
        except NoArtifactFitsError as error:
            self._fail(error)
            raise

    def begin(self) -> None:
        """Serve with what was chosen, and begin to build what is better."""
        selection = self._selection
        if selection.model is not None:
            self._pool.switch(selection.model)
        if self._problem is None:
            self._tell(selection)
        if selection.awaited:
            self._thread.start()

    @property
    def form(self) -> RunningForm | None:
        """What serves; None while nothing does."""
        model = self._selection.model
        return model.form if model is not None else None

    @property
    def setting(self) -> Setting | None:
        """How what serves runs; None while nothing does."""
        model = self._selection.model
        return model.setting if model is not None else None

    @property
    def considered(self) -> tuple[Considered, ...]:
        """Every artifact, with the reason where it does not serve."""
        return self._selection.considered

    @property
    def progress(self) -> EngineProgress | None:
        """How far the engine is that is being built."""
        return self._progress

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Let nothing be chosen anew meanwhile; one choice that is under way is waited for, which may load a model.

        Any thread may hold it, and have another one call `replace`, which then waits for no choice.
        """
        with self._choosing:
            yield

    def replace(self, select: Select, build: Build, selection: Selection) -> None:
        """Have another bundle's model serve, between two frames; the one before is closed. To be called while `held`.

        It takes as long as the frames under way; where a lane hangs, 10 s.

        Args:
            select: chooses a model of that bundle from here on.
            build: builds its engines.
            selection: what was chosen of it, opened and proven.

        Raises:
            ArtifactError: it wants other frames than the streams give; the one before goes on.
            NoArtifactFitsError: nothing of it was opened.
            AgentEndsError: the agent ends.
        """
        model = selection.model
        if model is None:
            raise selection.nothing_fits()
        assert self._choosing.locked(), "who has another bundle serve holds it first"
        if not self._take_over(model):
            raise AgentEndsError("the agent ends; nothing takes over any more")
        self._select, self._build, self._selection, self._problem = select, build, selection, None
        if selection.awaited and not self._thread.is_alive():
            self._thread = threading.Thread(target=self._work, name="engines", daemon=True)
            self._thread.start()
        self._tell(selection)
        self._changed()

    def reconsider(self) -> None:
        """Choose again, for who has learnt something; what serves goes on where nothing better works."""
        try:
            self._reconsider()
        except EdgetallyError as error:
            _log.warning("what serves goes on: %s", error)

    def check(self, *, patient: bool) -> None:
        """Raise where nothing serves and nothing will.

        Args:
            patient: wait for the next try of a build that failed.

        Raises:
            NoArtifactFitsError: so it is; it holds every reason.
        """
        if self._problem is not None:
            raise self._problem
        selection = self._selection
        if not patient and selection.model is None and all(one.seconds > 0 for one in selection.awaited):
            raise selection.nothing_fits()

    def stop(self, timeout: float) -> None:
        """Build and swap no more, finish the frames under way and close the model; twice is harmless.

        Args:
            timeout: seconds that a lane or a build gets which hangs; it is left behind.
        """
        deadline = time.monotonic() + timeout
        self._stop.set()
        with self._switching:  # one that has begun comes to its end first
            model = self._pool.stop(max(0.0, deadline - time.monotonic()))
        if model is not None:
            model.close()
        if self._thread.is_alive():
            self._thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        try:
            while not self._stop.is_set() and (wait := self._next_wait()) is not None:
                if wait > 0:
                    self._stop.wait(wait)
                else:
                    self._build_first()
                if not self._stop.is_set():
                    self._reconsider()
        except NoArtifactFitsError as error:
            self._fail(error)
            self._changed()
        except EdgetallyError as error:
            _log.error("%s", error)
            self._give_up(f"it cannot take over: {error}")
        except Exception:  # noqa: BLE001 - a bug here must not end the counting
            _log.exception("no better artifact is looked for any more")
            self._give_up("it cannot take over: a fault of the agent's; see its log")

    def _next_wait(self) -> float | None:
        """Seconds until something is to be built; None where nothing is."""
        seconds = min((one.seconds for one in self._selection.awaited), default=math.inf)
        return None if math.isinf(seconds) else seconds

    def _build_first(self) -> None:
        needed = next(one.needed for one in self._selection.awaited if one.seconds <= 0)
        artifact = needed.artifact.id
        said = 0.0

        def note(progress: BuildProgress) -> None:
            nonlocal said
            self._progress = EngineProgress(
                artifact=artifact, seconds=round(progress.seconds, 1), fraction=progress.fraction, phase=progress.phase
            )
            if progress.seconds - said >= _SAY_SECONDS:
                said = progress.seconds
                _log.info("the engine of %s is being built: %s", artifact, _progress_text(progress))

        try:
            self._build(needed, note, self._stop.is_set)
        except BuildCancelledError:
            return
        except EdgetallyError as error:
            _log.warning("the engine of %s could not be built: %s", artifact, error)
        except Exception:  # noqa: BLE001 - as before
            _log.exception("the engine of %s could not be built", artifact)
        else:
            _log.info("the engine of %s is built", artifact)
        finally:
            self._progress = None

    def _reconsider(self) -> None:
        """Choose again; where that is another model it takes over, and the one before is closed."""
        with self._choosing:
            before = self._selection.model
            selection = self._select(before)
            model = selection.model
            if model is not None and model is not before and not self._take_over(model):
                return
            self._selection = selection
            self._problem = None if model is not None else self._problem
        self._tell(selection)
        self._changed()

    def _take_over(self, model: LoadedModel) -> bool:
        """Whether it took over: not while the agent ends."""
        with self._switching:
            if self._stop.is_set():
                model.close()
                return False
            try:
                before = self._pool.switch(model, _SWITCH_SECONDS)
            except Exception:
                model.close()
                raise
        if before is not None:
            before.close()
        return True

    def _fail(self, error: NoArtifactFitsError) -> None:
        """Nothing serves, and nothing will."""
        refused = tuple(Considered(artifact=name, refused=why) for name, why in error.refusals.items())
        self._selection = replace(self._selection, considered=refused, awaited=())
        self._problem = error

    def _give_up(self, reason: str) -> None:
        """What serves goes on; where nothing does, `check` says so."""
        with self._choosing:
            waiting = {one.needed.artifact.id for one in self._selection.awaited}
            considered = tuple(
                Considered(artifact=one.artifact, refused=reason) if one.artifact in waiting else one
                for one in self._selection.considered
            )
            self._selection = replace(self._selection, considered=considered, awaited=())
        if self._selection.model is None:
            self._problem = self._selection.nothing_fits()
        self._changed()

    @staticmethod
    def _tell(selection: Selection) -> None:
        model = selection.model
        for one in selection.considered:
            if one.refused is not None:
                _log.info("refused %s: %s", one.artifact, one.refused)
            elif model is not None:
                _log.info("running %s%s", model.setting, f": {one.why}" if one.why else "")
        if model is None:
            _log.warning("nothing counts until an engine is built")


def _progress_text(progress: BuildProgress) -> str:
    share = "" if progress.fraction is None else f", {progress.fraction:.0%}"
    phase = f", {progress.phase}" if progress.phase else ""
    return f"{progress.seconds:.0f} s{share}{phase}"
