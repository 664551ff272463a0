"""``edgetally-agent update``: asks the agent of this box for other models, and follows what becomes of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from agent.counting.clock import utc_text
from agent.disk import Disk
from agent.update.journal import Journal
from agent.update.on_site import Hold, OnSite, OnSiteRequest
from agent.update.rules import Attempt, InstalledSet
from agent.update.updates import FOLDER
from contracts.config import AgentConfig
from contracts.errors import DeviceError, UnknownNameError, WrittenError
from contracts.manifest import MANIFEST_NAME
from contracts.release import METADATA
from contracts.update import WantedModel
from runtime.bundle import open_bundle

_LOOK_SECONDS = 0.2
_TAKEN_SECONDS = 15.0  # in which an agent that runs takes a request


class Desk:
    """Where a person asks, and reads how it went.

    Args:
        config: of the box.
        sleep: waits some seconds.
    """

    def __init__(self, config: AgentConfig, sleep: Callable[[float], None] = time.sleep) -> None:
        self._config = config
        self._folder = Path(config.state_dir) / FOLDER
        self._on_site = OnSite(self._folder)
        self._sleep = sleep

    def install(self, source: Path | None, model: str | None, slot: str) -> str:
        """Ask for a model.

        Args:
            source: a bundle, or a repository on a stick; None for the servers of agent.toml.
            model: ``NAME@VERSION``; None for what a bundle is.
            slot: that it is for.

        Returns:
            The request's id.

        Raises:
            WrittenError: it cannot be known what is meant.
            BundleError: the folder is no bundle.
            StorageError: the request cannot be left.
        """
        if slot not in self._config.slots:
            raise UnknownNameError("model slot", slot, self._config.slots)
        if source is None and not self._config.update.server:
            raise WrittenError(
                "expected a bundle or repository, or 'server' in [update] of agent.toml, got neither; name a folder"
            )
        wanted = _named(model) if model is not None else _only_model_of(source)
        request = OnSiteRequest(source=str(source.resolve()) if source else None, models={slot: wanted})
        return self._ask(request)

    def back(self) -> str:
        """Ask for the models that ran before; returns as `install` does."""
        return self._ask(OnSiteRequest(back=True))

    def cancel(self) -> None:
        """Ask for the end of the attempt under way."""
        self._on_site.ask(OnSiteRequest(cancel=True))

    def hold(self, why: str) -> None:
        """Let no model take over."""
        self._on_site.hold(Hold(why=why[:200], since=utc_text(time.time())))

    def resume(self) -> None:
        """Let models take over again."""
        self._on_site.resume()

    def held(self) -> Hold | None:
        """Who holds updates back."""
        return self._on_site.held()

    def attempt(self) -> Attempt | None:
        """The newest attempt."""
        return Journal(Disk(self._folder)).attempt

    def running(self) -> InstalledSet:
        """What runs."""
        return Journal(Disk(self._folder)).active.running

    def follow(self, request: str) -> Iterator[Attempt]:
        """The attempt that a request led to, each time its state changes, to its end.

        Raises:
            DeviceError: no agent takes the request.
        """
        deadline = time.monotonic() + _TAKEN_SECONDS
        last: Attempt | None = None
        while last is None or not last.is_over:
            now = self.attempt()
            if now is not None and now.wish.request == request and now != last:
                last = now
                yield now
                continue
            if last is None and time.monotonic() > deadline:
                self._refuse(now)
            if last is not None and now is not None and now.number > last.number:
                raise DeviceError(f"update {now.number} took the place of this one; `--status` says how it goes")
            self._sleep(_LOOK_SECONDS)

    def _refuse(self, now: Attempt | None) -> None:
        """Say why a request was not taken, unless it waits for the end of another update.

        Raises:
            DeviceError: so it is.
        """
        later = "it is taken once it can be; follow it with `edgetally-agent update --status`"
        if now is not None and not now.is_over:
            raise DeviceError(f"update {now.number} is under way ({now.state}) and comes to its end first; {later}")
        if self._on_site.waits:
            raise DeviceError(f"the agent does not run; {later}")
        raise DeviceError("the agent took the request and began nothing with it; its log says why")

    def _ask(self, request: OnSiteRequest) -> str:
        self._on_site.ask(request)
        return request.id


def status_document(desk: Desk) -> dict[str, object]:
    """What runs, the newest attempt and a hold, as plain data."""
    attempt, held = desk.attempt(), desk.held()
    return {
        "running": desk.running().model_dump(mode="json"),
        "attempt": attempt.report().model_dump(mode="json") if attempt else None,
        "held": held.model_dump(mode="json") if held else None,
    }


def status_lines(desk: Desk, slots: Mapping[str, str]) -> list[str]:
    """The same in words.

    Args:
        desk: where it is read.
        slots: slot to the bundle that agent.toml names.
    """
    running = desk.running().models
    lines = [
        f"{slot}: {running[slot].name} {running[slot].version} ({running[slot].manifest[:12]})"
        if slot in running
        else f"{slot}: {bundle}, as agent.toml has it"
        for slot, bundle in slots.items()
    ]
    attempt, held = desk.attempt(), desk.held()
    lines.append(attempt_line(attempt) if attempt is not None else "no update was asked for yet")
    if held is not None:
        since = f" since {held.since}" if held.since else ""
        lines.append(f"held{since}: {held.why}; `edgetally-agent update --resume` lets models take over again")
    return lines


def attempt_line(attempt: Attempt) -> str:
    """An attempt in a line."""
    what = ", ".join(f"{slot}: {one.name} {one.version}" for slot, one in attempt.wish.models.items())
    why = f" ({attempt.code}): {attempt.reason}" if attempt.code else ""
    return f"update {attempt.number}, {what or 'back to what ran before'}: {attempt.state}{why}"


def _named(text: str) -> WantedModel:
    name, at, version = text.partition("@")
    try:
        if at:
            return WantedModel(name=name, version=version)
    except ValidationError:
        pass
    raise WrittenError(f"expected a model as NAME@VERSION (vehicle-density@1.2.0), got {text!r}")


def _only_model_of(source: Path | None) -> WantedModel:
    if source is not None and (source / MANIFEST_NAME).is_file():
        spec = open_bundle(source).manifest.model
        return WantedModel(name=spec.name, version=spec.version)
    if source is None or (source / METADATA).is_dir():
        raise WrittenError("expected --model NAME@VERSION, as a repository may hold several; say which one is meant")
    raise WrittenError(f"{source}: expected a bundle (with {MANIFEST_NAME}) or a repository (with {METADATA}/)")
