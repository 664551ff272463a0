"""Reading the targets that ship with edgetally."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from importlib import resources

from pydantic import Field

from contracts.documents import Id, WrittenModel, read_document
from contracts.errors import UnknownNameError
from contracts.facts import Requirement
from contracts.manifest import Evidence

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class Target(WrittenModel):
    """A kind of box that a model is converted for.

    Attributes:
        name: its id, which is also the file's name.
        description: one line for a person who has to choose.
        family: which converter makes its artifacts, a name of ``converters.table``.
        backend: which backend opens them on the device, a name of ``runtime.backends``.
        extra: the extra of edgetally that the device needs.
        precisions: forms of the file to make, in the order in which a device tries them until it has measured.
        execution_precisions: what the runtime may compute with, most exact first; each is tried on the building host.
        options: what its family is told (``generation`` of TensorRT); all of it is honoured or refused.
        device_options: what its backend is told on the device (``device`` of OpenVINO).
        checked_with: the backend that runs the artifact, or what stands in for it, on the building host; ``none`` where
            nothing here can, the device's own backend where it is not given.
        evidence: the most that building and running it on a host can prove.
        evaluation_pictures: the most that it is judged on, where running it on a host takes seconds a picture.
        requires: the facts that must hold on the device, whatever the model.
        place: its place among the artifacts of a bundle, lowest first: what is usually faster comes first, until a
            device has measured.
    """

    name: Id
    description: str
    family: str
    backend: str
    extra: str
    precisions: tuple[str, ...] = Field(min_length=1)
    execution_precisions: tuple[str, ...] = Field(min_length=1)
    requires: tuple[Requirement, ...]
    place: int
    options: Mapping[str, str] = Field(default_factory=dict)
    device_options: Mapping[str, str] = Field(default_factory=dict)
    checked_with: str = ""
    evidence: Evidence = "measured"
    evaluation_pictures: int | None = Field(None, ge=8)

    @property
    def checking_backend(self) -> str | None:
        """The backend that runs it on the building host; None where none can."""
        return None if self.checked_with == "none" else self.checked_with or self.backend


@cache
def all_targets() -> tuple[Target, ...]:
    """Every target, in the order of their places.

    Raises:
        DocumentError: a file of the installation was changed and does not fit.
    """
    files = [file for file in resources.files("targets").iterdir() if file.name.endswith(".toml")]
    targets = [read_document(Target, tomllib.loads(file.read_text(encoding="utf-8")), file.name) for file in files]
    return tuple(sorted(targets, key=lambda target: (target.place, target.name)))


def load_target(name: str) -> Target:
    """The target of that name.

    Raises:
        UnknownNameError: there is none.
    """
    known = {target.name: target for target in all_targets()}
    if name not in known:
        raise UnknownNameError("target", name, known)
    return known[name]
