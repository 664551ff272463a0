"""What an operator wants of a box (topic ``desired``), and what the box answers (topic ``reported``).

The ``config`` of a desired document is part of agent.toml: the same keys with the same limits, none of them required,
and only those that may be changed from afar. Times are UTC, ISO 8601 with ``Z``.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, Field, create_model, model_validator
from typing_extensions import Self

from contracts.config import (
    AgentConfig,
    BrokerConfig,
    CameraConfig,
    LineConfig,
    Point,
    StatesConfig,
    TlsConfig,
    ZoneConfig,
)
from contracts.documents import Id, MachineModel, Sha256, WrittenModel
from contracts.release import Version
from contracts.update import UpdateReport

LARGEST_DOCUMENT = 262_144  # bytes, its envelope included
ENVELOPE_TYPE = "application/vnd.edgetally.desired+json"
"""``payloadType`` of the DSSE envelope around a signed document."""

_MOST_ROWS = 64  # cameras; lines and zones of a camera; labels
_MOST_POINTS = 128  # of a polygon: that its edges do not cross is found out pair by pair
_MOST_SLOTS = 16
_LARGEST = 2**53 - 1  # RFC 8259, section 6: what every JSON reader takes for the same integer

Revision = Annotated[int, Field(ge=1, le=_LARGEST)]
"""Rises with every change; never used twice within an epoch."""

RefusalCode = Literal[
    "too_large",
    "not_json",
    "invalid",
    "wrong_device",
    "stale_epoch",
    "stale_revision",
    "revision_reused",
    "expired",
    "not_yet_valid",
    "signature_missing",
    "signature_foreign",
    "signature_wrong",
    "needs_signature",
    "no_operator_key",
    "keys_awaited",
    "key_unusable",
    "storage",
    "reverted",
    "internal",
]
"""Why a desired document was not taken; docs/configuration.md says of each what to do."""

RunningState = Literal["local", "ok", "degraded", "confirming"]
"""What runs. ``local``: no document; ``ok``: the document, and all of it; ``degraded``: the document, but not all of it
works; ``confirming``: the document, which is taken back unless the broker is reached in time."""


def _absent(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


def _part_of(model: type[BaseModel], *, only: frozenset[str] | None = None, **instead: Any) -> Any:  # noqa: ANN401 - a class made here, and the types of its fields
    """The model with none of its keys required, unless ``instead`` says so.

    Args:
        model: part of agent.toml.
        only: the keys that are taken over; all where None.
        instead: other types for some keys, and further keys; a pair is a type and a field.
    """
    fields: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        if only is None or name in only:
            annotation = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
            fields[name] = (annotation, Field(None, description=info.description, json_schema_extra=_absent))
    for name, field in instead.items():
        fields[name] = field if isinstance(field, tuple) else (field, Field(None, json_schema_extra=_absent))
    name = model.__name__.replace("Config", "Part")
    return create_model(name, __base__=WrittenModel, __doc__=f"Part of {model.__name__}.", **fields)


def _rows(row: Any) -> Any:  # noqa: ANN401 - a class made here
    return Annotated[tuple[row, ...], Field(max_length=_MOST_ROWS)]


_ENABLED = Annotated[bool, Field(description="false leaves out what a lower layer has under this name")]

if TYPE_CHECKING:
    _ConfigPart = WrittenModel
else:
    _LinePart = _part_of(LineConfig, name=(Id, ...), enabled=_ENABLED)
    _ZonePart = _part_of(
        ZoneConfig,
        name=(Id, ...),
        polygon=Annotated[tuple[Point, ...], Field(min_length=3, max_length=_MOST_POINTS)],
        enabled=_ENABLED,
    )
    _CameraPart = _part_of(
        CameraConfig,
        only=frozenset(CameraConfig.model_fields) - {"mask"},  # who is on site decides what nobody may see
        id=(Id, ...),
        states=_part_of(StatesConfig) | None,
        line=_rows(_LinePart),
        zone=_rows(_ZonePart),
        enabled=_ENABLED,
    )
    _ConfigPart = _part_of(
        AgentConfig,
        only=frozenset({"window_seconds", "state_seconds", "health_seconds", "log_level"}),
        labels=Annotated[dict[Id, str], Field(max_length=_MOST_ROWS)],
        broker=_part_of(BrokerConfig, tls=_part_of(TlsConfig) | None),
        camera=_rows(_CameraPart),
    )


class DesiredConfig(_ConfigPart):
    """Part of agent.toml: what it does not name stays as the layers below have it."""

    @property
    def keys(self) -> dict[str, object]:
        """What it names, as plain data with its secrets."""
        return self.model_dump(exclude_unset=True)

    @property
    def digest(self) -> str:
        """SHA-256 of its canonical form (`canonical`); passwords do not enter it, so that it tells nothing of them."""
        return hashlib.sha256(canonical(self.model_dump(mode="json", exclude_unset=True))).hexdigest()


class DesiredModel(WrittenModel):
    """The bundle that a slot should run."""

    name: Id
    version: Version
    manifest: Sha256 = Field(description="digest of the bytes of the bundle's manifest.json")


class Desired(WrittenModel):
    """What a device should run, whole: a document replaces the one before it."""

    device: Id = Field(description="the device that it is bound to")
    epoch: Annotated[int, Field(ge=0, le=_LARGEST)] = Field(
        description="of the controller's memory; a higher one begins the revisions anew"
    )
    config_revision: Revision
    config: DesiredConfig
    model_revision: Annotated[int, Field(ge=0, le=_LARGEST)] = Field(0, description="0: the models stay as they are")
    models: Annotated[dict[Id, DesiredModel], Field(max_length=_MOST_SLOTS)] = Field(
        default_factory=dict, description="slot to model; all flip as one set"
    )
    issued: AwareDatetime
    expires: AwareDatetime = Field(description="not accepted from then on; what was accepted before goes on running")

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.expires <= self.issued:
            raise ValueError("'expires' should be after 'issued'")
        return self


class EnvelopeSignature(MachineModel):
    """A signature of an envelope."""

    keyid: str = Field(max_length=128)
    sig: str = Field(max_length=1024, description="Base64")


class SignedEnvelope(MachineModel):
    """A DSSE envelope (github.com/secure-systems-lab/dsse, version 1.0.2)."""

    payload: str = Field(max_length=LARGEST_DOCUMENT, description="the document in Base64")
    payloadType: Literal["application/vnd.edgetally.desired+json"]  # noqa: N815 - DSSE names it so
    signatures: tuple[EnvelopeSignature, ...] = Field(max_length=16)


class KeyValue(MachineModel):
    """An Ed25519 key."""

    public: Sha256 = Field(description="32 bytes in hexadecimal")


class OperatorKey(MachineModel):
    """A public key whose signatures are accepted, as TUF and securesystemslib write it."""

    keytype: Literal["ed25519"]
    scheme: Literal["ed25519"]
    keyval: KeyValue


class OperatorKeys(MachineModel):
    """``operator-keys.json``: one valid signature of any of them is enough."""

    keys: dict[str, OperatorKey] = Field(min_length=1, max_length=_MOST_SLOTS, description="by key id")


class WrongField(MachineModel):
    """A field of a document that is wrong, or that does not work."""

    path: str = Field(description="cameras, lines and zones by their names: config.camera.gate.fps")
    problem: str = Field(description="what was expected and what came")


class RefusedDocument(MachineModel):
    """The newest desired document that was not taken; what it says of itself, as far as it could be read."""

    epoch: int | None = None
    config_revision: int | None = None
    model_revision: int | None = None
    code: RefusalCode
    reason: str
    errors: tuple[WrongField, ...] = ()
    errors_left_out: int = 0


class RunningModel(MachineModel):
    """What a slot runs: the artifact as signed, the file as it is mapped, and the bundle that they are of.

    ``manifest`` is the digest of the bytes of the bundle's manifest.json, as in `DesiredModel`: what to ask for to get
    this bundle again. The bundle is None where an older agent does not tell it.
    """

    artifact_digest: str
    loaded_digest: str | None = None
    name: Id | None = None
    version: Version | None = None
    manifest: Sha256 | None = None

    @property
    def release(self) -> str | None:
        """``name@version`` of the bundle; None where it is not told."""
        return None if self.name is None or self.version is None else f"{self.name}@{self.version}"


class Reported(MachineModel):
    """What runs, and what was asked and is not; retained.

    ``epoch``, ``config_revision`` and ``config_digest`` are those of the document that runs, None where none does.
    ``code``, ``reason`` and ``errors`` explain ``state``. ``refused`` is the newest document that was not taken, None
    once a later one was. ``page`` is what was set on the box's own page, as part of agent.toml: where the document sets
    the same it does not run, and is a proposal. ``seq`` counts the reports of a boot, from 1: a lower one is older.
    """

    device: Id
    boot_id: str
    seq: Annotated[int, Field(ge=1, le=_LARGEST)] | None = None
    at: str
    epoch: int | None
    config_revision: int | None
    config_digest: str | None
    model_revision: int | None = None
    models: dict[str, RunningModel] = Field(default_factory=dict)
    state: RunningState
    code: str
    reason: str
    errors: tuple[WrongField, ...] = ()
    errors_left_out: int = 0
    refused: RefusedDocument | None = None
    page: dict[str, object] = Field(default_factory=dict)
    update: UpdateReport | None = Field(None, description="the newest attempt to change the models")


def canonical(document: object) -> bytes:
    """JSON with sorted keys and no spaces, UTF-8: the same bytes for the same content.

    Raises:
        ValueError: it holds what JSON cannot: NaN, infinity, half of a surrogate pair.
    """
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()
