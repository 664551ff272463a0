"""What may be asked of a box (topic ``rpc/<op>``), and what it answers (topic ``rpc/<op>/reply``).

Times are UTC, ISO 8601 with ``Z``. A request is bound to one device and one operation by what it says itself, so that
a signed one cannot be sent to another box or under another topic.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints, model_validator
from typing_extensions import Self

from contracts.desired import EnvelopeSignature, RefusalCode
from contracts.documents import Id, MachineModel, WrittenModel

RpcOp = Literal["snapshot", "self-test", "restart", "drift-reset"]
"""What can be asked; the value stands in the topic."""

LARGEST_REQUEST = 8192  # bytes, its envelope included
REQUEST_TYPE = "application/vnd.edgetally.rpc+json"
"""``payloadType`` of the DSSE envelope around a signed request."""

LONGEST_LIFE = 900.0  # seconds; the ids of all that may still come again are remembered
LARGEST_PICTURE = 150_000  # bytes of a snapshot's JPEG: 200 kB in Base64

RequestId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]

RpcCode = (
    RefusalCode
    | Literal[
        "ok",
        "retained",
        "wrong_op",
        "disabled",
        "replayed",
        "busy",
        "too_often",
        "no_service_manager",
        "no_picture",
        "failed",
    ]
)
"""How a request ended; docs/rpc.md says of each what to do."""


class RpcRequest(WrittenModel):
    """What every request says."""

    id: RequestId = Field(description="made up by whoever asks, another one each time; the reply carries it")
    device: Id = Field(description="the device that it is bound to")
    op: RpcOp = Field(description="the operation that it is bound to")
    issued: AwareDatetime
    expires: AwareDatetime = Field(description=f"at most {LONGEST_LIFE:.0f} s after issued; not obeyed from then on")

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        life = self.expires - self.issued
        if not dt.timedelta(0) < life <= dt.timedelta(seconds=LONGEST_LIFE):
            raise ValueError(f"'expires' should be after 'issued', by at most {LONGEST_LIFE:.0f} s")
        return self


class SnapshotRequest(RpcRequest):
    """Asks for a camera's last picture."""

    op: Literal["snapshot"]
    camera: Id
    boxes: bool = Field(default=False, description="draw what the model saw")


class SelfTestRequest(RpcRequest):
    """Asks whether the box works."""

    op: Literal["self-test"]


class RestartRequest(RpcRequest):
    """Asks the agent to start anew."""

    op: Literal["restart"]


class DriftResetRequest(RpcRequest):
    """Asks that what is usual for a camera be learned anew, as after it was moved."""

    op: Literal["drift-reset"]
    camera: Id


class SignedRequest(MachineModel):
    """A DSSE envelope (github.com/secure-systems-lab/dsse, version 1.0.2)."""

    payload: str = Field(max_length=LARGEST_REQUEST, description="the request in Base64")
    payloadType: Literal["application/vnd.edgetally.rpc+json"]  # noqa: N815 - DSSE names it so
    signatures: tuple[EnvelopeSignature, ...] = Field(max_length=16)


class Snapshot(MachineModel):
    """A camera's last counted picture, as it may be shown, in the proportions that the camera sees.

    ``frame`` is its number in the source, ``drawn`` how many boxes of each label are drawn in it.
    """

    kind: Literal["snapshot"] = "snapshot"
    camera: Id
    frame: int
    taken_at: str
    width: int
    height: int
    jpeg: str = Field(description=f"Base64; at most {LARGEST_PICTURE} bytes before it")
    drawn: dict[str, int] = Field(default_factory=dict)


class CheckedPart(MachineModel):
    """One part of the box that was tried; ``passed`` is None where nobody can tell. ``text`` says what was done."""

    part: str
    passed: bool | None
    text: str
    seconds: float


class SelfTest(MachineModel):
    """What was tried; ``passed`` where no part failed."""

    kind: Literal["self-test"] = "self-test"
    passed: bool
    parts: tuple[CheckedPart, ...]


class Restarting(MachineModel):
    """The agent ends right after this reply; ``hello`` with another boot_id says that it is back."""

    kind: Literal["restart"] = "restart"
    boot_id: str
    exit_code: int


class DriftReset(MachineModel):
    """The camera's past is forgotten; ``since`` is when its new one began."""

    kind: Literal["drift-reset"] = "drift-reset"
    camera: Id
    since: str


RpcResult = Annotated[Snapshot | SelfTest | Restarting | DriftReset, Field(discriminator="kind")]


class RpcReply(MachineModel):
    """How a request ended. ``id`` is the request's, None where none could be read.

    ``ok`` means that it was carried out: a self-test that finds something wrong is ``ok`` too, and says so in its
    result. Where not, ``code`` and ``reason`` say why and what to do.
    """

    id: str | None
    device: Id
    op: RpcOp
    at: str
    ok: bool
    code: RpcCode
    reason: str
    result: RpcResult | None = None
