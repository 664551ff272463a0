"""The ``[update]`` table of agent.toml: from where a box takes models, when, and what makes it take one back."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator
from typing_extensions import Self

from contracts.documents import WrittenModel

_NO_NUL = r"^[^\x00]*$"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]"

Server = Annotated[str, Field(max_length=500, pattern=r"^https?://[^\s@?#]+$")]


class ShadowConfig(WrittenModel):
    """A new model runs beside the old one on the cameras' own frames, and counts nothing, before it takes over."""

    seconds: float = Field(300.0, ge=1, le=86_400, description="that it runs beside the old one")
    fps: float = Field(1.0, gt=0, le=60, description="frames of each camera that both are asked about")
    frames: int = Field(60, ge=1, le=100_000, description="that must have been compared, however long it takes")
    max_difference: float = Field(
        0.2, gt=0, le=1, description="of the two sums of counts, as a share of the old one's, before it is refused"
    )


class ProbationConfig(WrittenModel):
    """What a model that took over has to show before it is kept."""

    seconds: float = Field(600.0, ge=1, le=86_400, description="that it counts before it is kept")
    frames: int = Field(100, ge=1, le=1_000_000, description="of every camera that gave any before, at the least")
    min_fps_share: float = Field(0.9, gt=0, le=1, description="of each camera's rate before")
    max_errors: float = Field(0.01, ge=0, le=1, description="share of the frames that the model failed on")
    max_memory_mb: float = Field(
        500.0, gt=0, description="that the agent may take more than before, in MB of 10^6 bytes"
    )
    max_celsius: float | None = Field(None, ge=30, le=120, description="none: what shedding calls hot")
    max_difference: float = Field(
        0.5, gt=0, le=1, description="of what is counted from what is usual at this hour, before it is taken back"
    )
    offline: bool = Field(
        default=True, description="keep it without an answer of the broker where the box had no broker before either"
    )


class UpdateConfig(WrittenModel):
    """From where models come, when they take over, and what takes one back; docs/updates.md."""

    server: tuple[Server, ...] = Field(
        (), max_length=8, description="base URLs of one repository; the next is asked where one does not answer"
    )
    root: str | None = Field(
        None, min_length=1, pattern=_NO_NUL, description="TUF root that is trusted first; none: STATE_DIR/root.json"
    )
    unsigned_documents: bool = Field(
        default=False,
        description="take `desired` documents and requests without a signature although a TUF root is here, until "
        "signed metadata names the operators' keys",
    )
    ca: str | None = Field(None, description="PEM file; none: the system's certificates")
    certificate: str | None = Field(None, description="PEM file of this client")
    key: str | None = Field(None, description="PEM file of this client's private key")
    max_kbit: float | None = Field(None, gt=0, description="of the link that a download takes; none: all of it")
    quota_mb: float = Field(2000.0, gt=0, description="that models may take on the disk, in MB of 10^6 bytes")
    keep_free_mb: float = Field(200.0, ge=0, description="that a download leaves free on the disk")
    patience_hours: float = Field(
        24.0, gt=0, le=8760, description="without any progress, before an attempt is given up"
    )
    tune_minutes: float = Field(
        10.0,
        ge=0,
        le=1440,
        description="that new models are measured before they take over, where `runtime.tune` is on; 0: only after it",
    )
    window: str | None = Field(
        None,
        pattern=rf"^{_TIME}-{_TIME}$",
        description="in which a model may take over, by the box's own time: `02:00-05:00`",
    )
    interfaces: tuple[Annotated[str, Field(min_length=1, max_length=15)], ...] = Field(
        (), description="over which a download may go; all where empty"
    )
    max_celsius: float | None = Field(None, ge=30, le=120, description="a hotter box waits before it changes its model")
    shadow: ShadowConfig | None = None
    probation: ProbationConfig = ProbationConfig()

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("'certificate' and 'key' should be given together")
        return self

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.window is not None and self.window[:5] == self.window[6:]:
            raise ValueError("'window' should begin and end at different times")
        return self
