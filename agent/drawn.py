"""What is drawn on the local page becomes a layer of the configuration; the operator's document stands over it."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswerError

from agent.page.keys import page_keys
from agent.page.ports import CameraProposal, ProposalOutcome
from agent.remote.control import RemoteConfig
from agent.remote.refusals import DocumentRefusedError
from contracts.config import AgentConfig, CameraConfig
from contracts.errors import EdgetallyError

_log = logging.getLogger(__name__)

_WAITING = 8  # changes that wait for their turn
_PATIENCE = 10.0  # seconds that whoever drew waits for an answer
_KEPT = (
    "kept as a proposal: the operator's document sets lines or zones of this camera, so those run; the operator sees "
    "what was drawn here"
)


class DrawnChanges:
    """Takes changes from the page's thread over to the one that turns the configuration over, and the answers back.

    Args:
        remote: keeps the page's layer and has it applied; used by the turning thread alone.
        local: what the file, the environment and the flags give.
        wake: called once a change waits, so that `turn` comes soon.
    """

    def __init__(self, remote: RemoteConfig, local: AgentConfig, wake: Callable[[], None]) -> None:
        self._remote = remote
        self._local = local
        self._wake = wake
        self._waiting: queue.Queue[tuple[CameraProposal, Future[ProposalOutcome]]] = queue.Queue(_WAITING)

    def propose(self, proposal: CameraProposal) -> ProposalOutcome:
        """Hand a change over and wait for what becomes of it; see `agent.page.ports.Proposals`."""
        answer: Future[ProposalOutcome] = Future()
        try:
            self._waiting.put_nowait((proposal, answer))
        except queue.Full:
            return ProposalOutcome(("too many changes wait; try again in a moment",))
        self._wake()
        try:
            return answer.result(_PATIENCE)
        except NoAnswerError:
            return ProposalOutcome(("the agent is busy; look again in a moment whether the change was taken",))

    def turn(self) -> None:
        """Take the changes that wait."""
        while not self._waiting.empty():
            proposal, answer = self._waiting.get_nowait()
            try:
                answer.set_result(self._take(proposal))
            except Exception:  # noqa: BLE001 - a bug met with a drawing must not end the counting
                _log.exception("a change that was drawn for camera %s could not be taken", proposal.camera)
                answer.set_result(ProposalOutcome(("the agent failed on it; its log says where",)))

    def _take(self, proposal: CameraProposal) -> ProposalOutcome:
        local = _camera(self._local, proposal.camera)
        try:
            self._remote.set_page(page_keys(self._remote.page, proposal, local))
        except DocumentRefusedError as error:
            return ProposalOutcome(tuple(one.problem for one in error.errors) or (error.reason,))
        except EdgetallyError as error:
            return ProposalOutcome((str(error),))
        running = _camera(self._remote.config, proposal.camera)
        drawn = (set(proposal.line), set(proposal.zone))
        is_taken = running is not None and (set(running.line), set(running.zone)) == drawn
        return ProposalOutcome(note="" if is_taken else _KEPT)


def _camera(config: AgentConfig, name: str) -> CameraConfig | None:
    return next((camera for camera in config.camera if camera.id == name), None)
