"""What becomes of boxes that are given another document: in the rollout that gives it, and in others. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from contracts.desired import DesiredModel
from fleet.inventory.device import Device
from fleet.rollout.boxes import NOT_BACK, REFUSED, BoxState
from fleet.rollout.spec import RolloutSpec
from fleet.store.rollouts import Rollout, RolloutBox
from fleet.wanted.rules import Wanted

_UNKNOWN = "what it ran before is not known here"
_NOT_YET = "the rollout ended before it was offered the release"
_ELSE = "something else is wanted of it since"
_SETTLED: frozenset[BoxState] = frozenset({"superseded", "reverted", "withdrawn"})


@dataclass(frozen=True)
class Giving:
    """Boxes that a step of a rollout gives another document.

    Args:
        spec: of the rollout.
        devices: what is known of them.
        before: what they should run before the step.
        now_ms: now.
    """

    spec: RolloutSpec
    devices: Mapping[str, Device]
    before: Mapping[str, Wanted]
    now_ms: int

    @property
    def release(self) -> DesiredModel:
        """What the rollout is of."""
        return DesiredModel(name=self.spec.model, version=self.spec.version, manifest=self.spec.manifest)

    def sort(
        self, boxes: Iterable[RolloutBox], gives: Mapping[str, BoxState]
    ) -> tuple[dict[str, RolloutBox], dict[str, DesiredModel]]:
        """Boxes that are at their end without another document, and the models that the rest is to be given.

        Args:
            boxes: of the rollout.
            gives: hardware class to whether it is ``offered`` the release, or is ``reverting``.
        """
        settled: dict[str, RolloutBox] = {}
        models: dict[str, DesiredModel] = {}
        for box in boxes:
            if gives[box.hardware_class] == "offered":
                models[box.device] = self.release
            elif not box.model_revision:
                settled[box.device] = self._ends(box, "withdrawn", _NOT_YET)
            elif self._wish(box.device) not in (self.release, box.previous):  # a later rollout's must not be undone
                settled[box.device] = self._ends(box, "superseded", _ELSE)
            elif box.previous is None:
                settled[box.device] = self._ends(box, "withdrawn", _UNKNOWN)
            else:
                models[box.device] = box.previous
        return settled, models

    def given(self, box: RolloutBox, state: BoxState, now: Wanted | None, model: DesiredModel) -> RolloutBox:
        """A box that was to get another document: what came of that."""
        if now is None or now.models.get(self.spec.slot) != model:
            why = now.problem if now is not None and now.problem else "the box is not known any more"
            return self._ends(box, "withdrawn", why)
        offered = state == "offered"
        failed = box.state in REFUSED and not offered  # why it goes back is to be seen for good
        return replace(
            box,
            state=state,
            attempts=box.attempts + 1 if offered or box.code == NOT_BACK else 1,
            model_revision=now.model_revision,
            offered_ms=self.now_ms if offered else box.offered_ms,
            changed_ms=self.now_ms,
            code=box.code if failed else None,
            reason=box.reason if failed else "",
            previous=box.previous or (self._previous(box.device) if offered else None),
        )

    def _ends(self, box: RolloutBox, state: BoxState, reason: str) -> RolloutBox:
        return replace(box, state=state, reason=reason, changed_ms=self.now_ms)

    def _wish(self, device: str) -> DesiredModel | None:
        return self.before[device].models.get(self.spec.slot) if device in self.before else None

    def _previous(self, device: str) -> DesiredModel | None:
        """What a box is to go back to: what it should have run, else what it says that it runs."""
        known = self._wish(device)
        if known is None and device in self.devices:
            known = _running(self.devices[device], self.spec.slot)
        return None if known == self.release else known


def beside(box: RolloutBox, slot: str, giver: Rollout, model_revision: int, now_ms: int) -> RolloutBox:
    """What a box is to another rollout, once it was given a document.

    Args:
        box: as it stands in the other rollout.
        slot: of the other rollout.
        giver: the rollout that gave the document.
        model_revision: of the document.
        now_ms: now.
    """
    was_given = box.model_revision > 0
    if box.state in _SETTLED:
        return box
    if slot != giver.spec.slot:  # the new document says the same of its slot, and is what the box answers to now
        return replace(box, model_revision=model_revision) if was_given else box
    if was_given or box.rollout < giver.id:
        reason = f"rollout {giver.id} wants something else of it"
        return replace(box, state="superseded", code="newer_wish", reason=reason, changed_ms=now_ms)
    return box


def _running(device: Device, slot: str) -> DesiredModel | None:
    found = device.models.get(slot)
    if found is None or found.name is None or found.version is None or found.manifest is None:
        return None
    return DesiredModel(name=found.name, version=found.version, manifest=found.manifest)
