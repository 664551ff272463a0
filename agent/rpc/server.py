"""Answers what is asked of the box: takes requests, judges them, has them carried out, replies.

The link's thread only hands over what came. One thread judges, so that refusals come at once; another carries out,
one after the other. Whatever floods in, memory, replies and log lines are bounded.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from agent.counting.clock import utc_text
from agent.disk import Disk
from agent.limited_log import LimitedLog
from agent.mqtt.ports import Received
from agent.remote.control import Clock
from agent.remote.refusals import DocumentRefusedError
from agent.remote.rules import CLOCK_SLACK, Moment
from agent.remote.signing import load_keys
from agent.rpc.allowance import Allowance
from agent.rpc.floor import Floor
from agent.rpc.ports import Agent, Line
from agent.rpc.refusals import RpcRefusedError
from agent.rpc.rules import Arrival, Obeyed, check_time, id_of, open_request, read_request
from agent.rpc.table import OPERATIONS
from agent.rpc.work import Worker
from contracts.config import RpcConfig
from contracts.documents import without_credentials
from contracts.errors import EdgetallyError, StorageError
from contracts.rpc import (
    LARGEST_REQUEST,
    DriftReset,
    Restarting,
    RpcCode,
    RpcOp,
    RpcReply,
    RpcRequest,
    SelfTest,
    Snapshot,
)
from contracts.topics import Channel, Topic

_log = logging.getLogger(__name__)

_MOST_ARRIVALS = 16  # that wait to be judged; what comes beyond is counted, and not answered
_MOST_WAITING = 2  # requests that wait while one is carried out
_REFUSALS_AT_ONCE, _REFUSALS_PER_SECOND = 20.0, 1.0
_LONGEST_REASON = 500
_BURST = 3.0  # operations of a kind at once


@dataclass(frozen=True)
class RpcSettings:
    """What is answered, and how.

    Args:
        device: the id of this box.
        config: what is allowed.
        keys: the file with the operators' keys; it need not be there. None where nobody can provision any.
        disk: a folder of its own in the state directory.
        clock: the clocks.
        keys_awaited: whether there will be keys that are not known yet; asked where that file is not there.
    """

    device: str
    config: RpcConfig
    keys: Path | None
    disk: Disk
    clock: Clock = field(default_factory=Clock)
    keys_awaited: Callable[[], bool] = lambda: False


class RpcServer:
    """Answers requests, from `start` to `close`.

    Args:
        settings: what is answered, and how.
        line: where requests come from and replies go.
        agent: what the operations may do.
    """

    def __init__(self, settings: RpcSettings, line: Line, agent: Agent) -> None:
        self._settings = settings
        self._line = line
        self._agent = agent
        self._limited = LimitedLog(_log, seconds=60.0)
        clock = settings.clock
        started = clock.wall() if clock.synced() else 0.0  # a clock that is not set says nothing of the past
        self._obeyed = Obeyed(started)
        self._floor = Floor(settings.disk, otherwise=started)
        self._refusals = Allowance(_REFUSALS_AT_ONCE, _REFUSALS_PER_SECOND, clock.monotonic)
        self._paces = {
            op: Allowance(_BURST, 1.0 / operation.pause, clock.monotonic) for op, operation in OPERATIONS.items()
        }
        self._mutex = threading.Lock()
        self._refused = 0
        self._judge = Worker[Arrival]("rpc", _MOST_ARRIVALS, self._take)
        self._hands = Worker[RpcRequest]("rpc-work", _MOST_WAITING, self._carry_out)

    def start(self) -> None:
        """Begin to listen; what is disabled is answered too, with what enables it."""
        self._judge.start()
        self._hands.start()
        for op in OPERATIONS:
            self._line.listen(str(Topic(self._settings.device, Channel.RPC, op)), partial(self.offer, op))

    def close(self, timeout: float = 10.0) -> None:
        """End; all that is under way gets ``timeout`` seconds, what waits is left. Twice is harmless."""
        deadline = time.monotonic() + timeout
        for worker in (self._judge, self._hands):
            worker.close(max(0.0, deadline - time.monotonic()))

    @property
    def refused(self) -> int:
        """Requests that were not carried out, since the start."""
        return self._refused

    def offer(self, op: RpcOp, message: Received) -> None:
        """A request came; called by the link's thread. Never raises, never waits."""
        size = len(message.payload)
        payload = message.payload if size <= LARGEST_REQUEST else b""
        if not self._judge.offer(Arrival(op, payload, size, message.retained)):
            self._count()
            self._limited.error("requests come faster than they can be looked at; %s was not answered", op)

    def _take(self, arrival: Arrival) -> None:
        request_id = None
        try:
            settings = self._settings
            keys = None if settings.keys is None else load_keys(settings.keys, settings.keys_awaited)
            document = open_request(arrival, keys)
            request_id = id_of(document)
            request = read_request(document, OPERATIONS[arrival.op].request, self._settings.device, arrival.op)
            self._admit(request)
        except (RpcRefusedError, DocumentRefusedError) as error:
            self._refuse(arrival.op, request_id, error.code, error.reason)
        except Exception:  # noqa: BLE001 - whoever asks must not be able to stop the thread
            self._limited.exception("a request could not be looked at")
            self._refuse(arrival.op, request_id, "internal", "the agent failed on this request, its log says where")

    def _admit(self, request: RpcRequest) -> None:
        """Have a request carried out.

        Raises:
            RpcRefusedError: it is not.
        """
        operation, config = OPERATIONS[request.op], self._settings.config
        if not operation.enabled(config):
            raise RpcRefusedError(
                "disabled", f"{request.op} is not enabled here; set 'rpc.{request.op.replace('-', '_')}' in agent.toml"
            )
        moment = Moment(self._settings.clock.wall(), self._settings.clock.synced())
        check_time(request, moment, max(self._obeyed.newest, self._floor.issued))
        self._obeyed.check(request)
        if operation.ends:
            self._floor.check(request, moment.wall + CLOCK_SLACK if moment.trusted else float("inf"))
        operation.check(config, self._agent)
        pace = self._paces[request.op]
        if (wait := pace.wait) > 0:
            raise RpcRefusedError("too_often", f"{request.op} was asked for too often; ask anew in {wait:.0f} s")
        if not self._hands.offer(request):
            raise RpcRefusedError("busy", "what was asked before is not done yet; ask again later")
        pace.take()
        self._obeyed.note(request)

    def _carry_out(self, request: RpcRequest) -> None:
        operation = OPERATIONS[request.op]
        _log.info("rpc: %s is carried out, as request %s asks", request.op, request.id)
        try:
            if operation.ends:
                self._floor.write(request)  # before anything is done: what is not noted could be replayed
            result = operation.run(request, self._agent)
        except RpcRefusedError as error:
            self._refuse(request.op, request.id, error.code, error.reason)
        except StorageError as error:
            self._refuse(request.op, request.id, "storage", f"it could not be noted, so nothing was done: {error}")
        except EdgetallyError as error:
            self._refuse(request.op, request.id, "failed", str(error))
        except Exception:  # noqa: BLE001 - as before
            self._limited.exception("%s failed", request.op)
            self._refuse(request.op, request.id, "internal", "the agent failed on it, its log says where")
        else:
            self._reply(request.op, request.id, "ok", "done", result)
            if operation.ends:
                self._agent.restart()

    def _refuse(self, op: RpcOp, request_id: str | None, code: RpcCode, reason: str) -> None:
        self._count()
        self._limited.error("rpc: %s was refused: %s (%s)", op, reason, code)
        with self._mutex:
            may_answer = self._refusals.take()
        if may_answer:
            self._reply(op, request_id, code, reason)

    def _reply(
        self,
        op: RpcOp,
        request_id: str | None,
        code: RpcCode,
        reason: str,
        result: Snapshot | SelfTest | Restarting | DriftReset | None = None,
    ) -> None:
        reply = RpcReply(
            id=request_id,
            device=self._settings.device,
            op=op,
            at=utc_text(self._settings.clock.wall()),
            ok=code == "ok",
            code=code,
            reason=without_credentials(reason)[:_LONGEST_REASON],
            result=result,
        )
        self._line.answer(Topic(self._settings.device, Channel.RPC_REPLY, op), reply)

    def _count(self) -> None:
        with self._mutex:
            self._refused += 1
