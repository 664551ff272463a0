"""Remote configuration of a running agent: takes documents, keeps them, has them applied, and says what runs."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agent.counting.clock import utc_text
from agent.host import clock_synced
from agent.limited_log import LimitedLog
from agent.remote.candidates import Base, Check, ConfigCandidate, first_that_fits
from agent.remote.parse import read_desired, read_part
from agent.remote.plan import plan_changes
from agent.remote.ports import Applier
from agent.remote.refusals import DocumentRefusedError, invalid, refused_document
from agent.remote.report import Situation, Stamp, is_news, make_report
from agent.remote.rules import Floors, Moment, judge, raised, unsigned_problems
from agent.remote.signing import Opened, load_keys, open_payload
from agent.remote.store import Kept, KeptDocument, RemoteStore
from contracts.config import AgentConfig
from contracts.desired import Desired, RefusedDocument, Reported, WrongField
from contracts.errors import EdgetallyError, StorageError

_log = logging.getLogger(__name__)

MOST_STARTS = 3  # of the agent while a change of the connection is on probation
_WAITING = 8  # documents that wait for their turn; the newest counts, so the oldest go first
_KEYS_MAY_COME = frozenset({"keys_awaited", "no_operator_key", "signature_foreign"})
_CALM = 5.0  # seconds between two reports of which no document is the cause


@dataclass(frozen=True)
class Clock:
    """The clocks.

    Args:
        wall: seconds since 1970.
        monotonic: seconds since boot.
        synced: whether the wall clock is synchronised; None where nobody can tell.
    """

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    synced: Callable[[], bool | None] = clock_synced


@dataclass(frozen=True)
class RemoteSettings:
    """How remote configuration behaves.

    Args:
        boot_id: of this boot.
        keys: the file with the operators' keys; it need not be there.
        keys_awaited: whether there will be keys that are not known yet; asked where that file is not there.
        check: finds what cannot run on this box.
        confirm_seconds: in which the broker has to be reached after a change of its settings.
        clock: the clocks.
        wake: called from the link's thread once a document waits, so that `RemoteConfig.turn` comes soon.
    """

    boot_id: str
    keys: Path
    keys_awaited: Callable[[], bool] = lambda: False
    check: Check = lambda _: ()
    confirm_seconds: float = 120.0
    clock: Clock = Clock()
    wake: Callable[[], None] = lambda: None


class RemoteConfig:
    """Takes desired documents and has them applied. `offer` may be called by any thread, the rest by one.

    What runs after a restart is what ran before it: a document is on disk before it is applied.

    Args:
        local: what the file, the environment and the flags give.
        store: of the state directory, which the caller holds.
        settings: how it behaves.

    Attributes:
        config: the configuration that runs, or should from the start.
    """

    def __init__(self, local: AgentConfig, store: RemoteStore, settings: RemoteSettings) -> None:
        self._store = store
        self._settings = settings
        self._inbox: deque[bytes] = deque(maxlen=_WAITING)
        self._limited = LimitedLog(_log, seconds=10.0, clock=settings.clock.monotonic)
        self._applier: Applier | None = None
        self._publish: Callable[[Reported], None] = lambda _: None
        self._apply_problems: Sequence[WrongField] = ()
        self._refused: RefusedDocument | None = None
        self._unverified: bytes | None = None
        self._keys_changed = False
        self._deadline: float | None = None
        self._said: tuple[Reported, float] | None = None
        self._seq = 0
        store.settle()
        self._kept = store.load()
        for text in self._kept.damage:
            _log.error("remote configuration: the file %s; what ran before is used", text)
        base = Base(local, self._kept.page, settings.check)
        self._resume()
        self._candidate = first_that_fits(base, self._kept)
        if self._candidate.left_out is not None:
            _log.error("what was configured from afar does not fit any more: %s", self._candidate.left_out)

    @property
    def config(self) -> AgentConfig:
        """The configuration that runs, or should from the start."""
        return self._candidate.config

    @property
    def desired(self) -> Desired | None:
        """The document that runs; None where none does."""
        return self._candidate.desired

    @property
    def confirming(self) -> bool:
        """Whether the document is on probation, as it changes how the broker is reached."""
        return self._deadline is not None

    @property
    def page(self) -> Mapping[str, object]:
        """What was set on the local page, nested as in agent.toml."""
        return self._kept.page

    @property
    def floors(self) -> Floors:
        """What was taken so far."""
        return self._kept.floors

    def start(self, applier: Applier, publish: Callable[[Reported], None]) -> None:
        """Begin to take documents; `config` runs already.

        Args:
            applier: makes configurations run.
            publish: takes what is reported.
        """
        self._applier, self._publish = applier, publish
        if self._candidate.record.trial:
            self._deadline = self._settings.clock.monotonic() + self._settings.confirm_seconds
        self._say(force=True)

    def offer(self, payload: bytes) -> None:
        """A document came; it is looked at in the next `turn`. Never raises, never waits."""
        self._inbox.append(payload)
        self._settings.wake()

    def try_again(self) -> None:
        """The operators' keys changed: look anew at a document that could not be verified. Any thread may call it."""
        self._keys_changed = True
        self._settings.wake()

    def turn(self) -> None:
        """Take what came, confirm or take back a change of the connection, and report; never raises for a document."""
        force = self._judge_trial()
        if self._keys_changed:
            self._keys_changed = False
            if self._unverified is not None:
                self._inbox.append(self._unverified)
        while self._inbox:
            self._take(self._inbox.popleft())
            force = True
        self._say(force=force)

    def set_page(self, keys: Mapping[str, object]) -> None:
        """Take what was set on the local page, whole; a remote document stands over it.

        Raises:
            DocumentRefusedError: it does not fit; every wrong field is named. Nothing was changed.
            StorageError: it could not be kept. Nothing was changed.
        """
        part = read_part(keys)
        if "broker" in part.keys:
            problem = "the connection is set in agent.toml or from afar, as only those can be taken back"
            raise invalid([WrongField(path="broker", problem=problem)])
        before = replace(self._candidate.base, page=self._kept.page)
        base, desired = replace(before, page=dict(keys)), self._candidate.desired
        if unknown := base.strays(desired) - before.strays(desired):
            found = [
                WrongField(path=f"camera.{name}", problem=f"there is no camera {name!r}") for name in sorted(unknown)
            ]
            raise invalid(found)
        config = base.with_document(desired)
        self._store.write_page(keys)
        self._kept = replace(self._kept, page=dict(keys))
        self._run(replace(self._candidate, base=base, config=config))
        self._say(force=True)

    def reported(self) -> Reported:
        """What runs, and what was asked and is not; as it is numbered where it is published next."""
        assert self._applier is not None, "start it first"
        running = self._applier.running()
        situation = Situation(
            candidate=self._candidate,
            trial=self._deadline is not None,
            damage=self._kept.damage,
            problems=tuple(dict.fromkeys((*self._apply_problems, *running.problems))),
            refused=self._refused,
        )
        settings = self._settings
        return make_report(situation, running, Stamp(settings.boot_id, self._seq + 1, utc_text(settings.clock.wall())))

    def _resume(self) -> None:
        """A start inside the probation of a connection: it is counted first, so that it cannot go on for ever."""
        record = self._kept.current
        if not record.trial:
            return
        record = record.model_copy(update={"starts": record.starts + 1})
        try:
            self._store.write_current(record)
        except StorageError as error:
            _log.error("%s; the change of the connection is taken back, as its starts cannot be counted", error)
            self._take_back(record, "this start could not be noted on the disk")
            return
        if record.starts >= MOST_STARTS:
            self._take_back(record, f"the agent was started {record.starts} times without reaching the broker")
        else:
            self._kept = replace(self._kept, current=record)

    def _take(self, payload: bytes) -> None:
        document: Mapping[str, object] = {}
        self._unverified = None
        try:
            opened = open_payload(payload, load_keys(self._settings.keys, self._settings.keys_awaited))
            document = opened.document
            self._accept(opened)
        except DocumentRefusedError as error:
            if error.code in _KEYS_MAY_COME:
                self._unverified = payload
            self._refuse(error, document)
        except StorageError as error:
            self._refuse(DocumentRefusedError("storage", f"the document could not be kept: {error}"), document)
        except Exception:  # noqa: BLE001 - whoever sends must not be able to stop the agent
            self._limited.exception("a document could not be looked at")
            reason = "the agent failed on this document, its log says where; the configuration stays as it is"
            self._refuse(DocumentRefusedError("internal", reason), document)

    def _accept(self, opened: Opened) -> None:
        document = opened.document
        desired = read_desired(document, self._candidate.config.device)
        if not opened.signed and (problems := unsigned_problems(desired)):
            raise DocumentRefusedError("needs_signature", f"{problems[0].problem}; sign it", problems)
        moment = self._moment()
        verdict = judge(desired, document, self.floors, moment)
        if verdict == "same" and self._runs(document):
            self._refused = None
            return
        config = self._candidate.base.with_document(desired)
        floors = self.floors if verdict == "same" else raised(desired, document, self.floors, moment)
        trial = config.broker != self._fallback().config.broker
        record = KeptDocument(document=document, floors=floors, trial=trial)
        self._keep(record)
        self._refused = None
        self._deadline = self._settings.clock.monotonic() + self._settings.confirm_seconds if trial else None
        _log.info("configuration %d of epoch %d is taken", desired.config_revision, desired.epoch)
        self._run(ConfigCandidate(self._candidate.base, record, desired, config))
        if not trial:
            self._keep_good(record)

    def _runs(self, document: Mapping[str, object]) -> bool:
        """Whether this configuration is the one that runs, under this revision."""
        running = self._candidate.record.document or {}
        return all(running.get(key) == document.get(key) for key in ("epoch", "config_revision", "config", "models"))

    def _keep(self, record: KeptDocument) -> None:
        """Have the document on the disk; the floors first, so that no older one is ever taken after it."""
        self._store.write_floors(record.floors)
        self._kept = replace(self._kept, floors=record.floors)
        self._store.write_current(record)
        self._kept = replace(self._kept, current=record, damage=())

    def _keep_good(self, record: KeptDocument) -> None:
        try:
            self._store.write_good(record)
        except StorageError as error:
            _log.error("%s; the configuration runs, but is not kept as the last good one", error)
        self._kept = replace(self._kept, good=record)

    def _run(self, candidate: ConfigCandidate) -> None:
        """Have a configuration applied; what does not work of it is reported, and not taken back."""
        plan = plan_changes(self._candidate.config, candidate.config)
        self._candidate = candidate
        self._apply_problems = ()
        assert self._applier is not None, "start it first"
        if plan.is_empty:
            return
        try:
            self._apply_problems = tuple(self._applier.apply(plan))
        except EdgetallyError as error:
            self._apply_problems = (WrongField(path="", problem=str(error)),)
        except Exception:  # noqa: BLE001 - the agent goes on with what it has, and says so
            _log.exception("the configuration could not be applied")
            self._apply_problems = (WrongField(path="", problem="it could not be applied, the agent's log says why"),)

    def _judge_trial(self) -> bool:
        """Confirm a change of the connection, or take it back; returns whether either was done."""
        if self._deadline is None or self._applier is None:
            return False
        if self._applier.running().connected:
            self._confirm()
            return True
        over = self._settings.clock.monotonic() >= self._deadline
        if over:
            old = self._kept.current
            seconds = self._settings.confirm_seconds
            self._take_back(old, f"the broker {self.config.broker.address} was not reached within {seconds:g} s")
            self._run(first_that_fits(self._candidate.base, self._kept))
        return over

    def _confirm(self) -> None:
        record = self._kept.current.model_copy(update={"trial": False, "starts": 0})
        self._deadline = None
        try:
            self._store.write_current(record)
        except StorageError as error:
            _log.error("%s; the connection works, but after a restart it is on probation again", error)
        self._kept = replace(self._kept, current=record)
        self._keep_good(record)
        _log.info("the broker was reached with its new settings, which stay")

    def _take_back(self, record: KeptDocument, why: str) -> None:
        """Return to the last good document; this one is not taken again."""
        floors = self.floors.model_copy(update={"rejected": self.floors.config_print})
        back = KeptDocument(document=self._kept.good.document, floors=floors)
        self._deadline = None
        try:
            self._store.write_floors(floors)
            self._store.write_current(back)
        except StorageError as error:
            _log.error("%s; the old connection is back, until a restart", error)
        self._kept = replace(self._kept, floors=floors, current=back)
        reason = f"{why}, so the settings before came back; publish a new revision"
        self._refuse(DocumentRefusedError("reverted", reason), record.document or {})

    def _fallback(self) -> ConfigCandidate:
        """What would run if the newest document did not."""
        kept = Kept(self._kept.good, self._kept.good, self._kept.floors, self._kept.page)
        return first_that_fits(self._candidate.base, kept)

    def _refuse(self, error: DocumentRefusedError, document: Mapping[str, object]) -> None:
        self._refused = refused_document(error, document)
        self._limited.error("a desired document was refused: %s", error)

    def _moment(self) -> Moment:
        clock = self._settings.clock
        return Moment(clock.wall(), clock.synced())

    def _say(self, *, force: bool) -> None:
        """Report what changed; what a document caused at once, the rest not too often."""
        now = self._settings.clock.monotonic()
        report = self.reported()
        if self._said is not None and not force:
            said, at = self._said
            if now - at < _CALM or not is_news(report, said):
                return
        self._said, self._seq = (report, now), self._seq + 1
        self._publish(report)
