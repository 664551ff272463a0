"""agent.toml: what a box watches, with which model, and where it reports to."""

from __future__ import annotations

import contextlib
import ipaddress
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator
from typing_extensions import Self

from contracts.documents import Id, WrittenModel
from contracts.errors import WrittenError, did_you_mean
from contracts.model_spec import Label
from contracts.polygons import polygon_problem
from contracts.update_config import UpdateConfig

Unit = Annotated[float, Field(ge=0, le=1)]
Point = tuple[Unit, Unit]
"""x and y in 0 to 1 of the picture, from its top left corner."""

Anchor = Literal["center", "bottom"]
"""Which point of a box stands for it: its centre, or the middle of its lower edge."""

Blurred = Literal["faces", "plates", "people"]
"""What can be made unrecognisable in a picture."""

LogLevel = Literal["debug", "info", "warning", "error"]
"""What is said on stderr."""

Goal = Literal["throughput", "latency"]
"""What a setting of the runtime is to be best at: most frames a second, or a frame soonest."""

PictureSize = tuple[Annotated[int, Field(ge=16, le=16384)], Annotated[int, Field(ge=16, le=16384)]]
"""Width and height in pixels."""

_OPTIONS_OF = {
    "size": ("/dev/video", "csi:", "gst:"),
    "capture_fps": ("/dev/video", "csi:"),
    "input_format": ("/dev/video",),
}
MAIN = "main"
"""The slot of the model that counts every camera which names no other."""

_NO_NUL = r"^[^\x00]*$"  # no path or URL holds that character
_DISCOVERY_PREFIX = r"^[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64}){0,7}$"
_MOST_PORT = 65535
_PAGE_PORT = 8080
_SHORTEST_PASSWORD = 8


class LineConfig(WrittenModel):
    """A line that is crossed. From its left to its right, looking from ``start`` to ``end``, is ``in``."""

    name: Id
    start: Point
    end: Point
    labels: tuple[Label, ...] = Field((), description="count only these; all where empty")
    anchor: Anchor = "center"

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if self.start == self.end:
            raise ValueError(f"line {self.name!r} should have two different ends, both are {list(self.start)}")
        return self


class ZoneConfig(WrittenModel):
    """A polygon in which things are counted."""

    name: Id
    polygon: tuple[Point, ...] = Field(min_length=3)
    labels: tuple[Label, ...] = Field((), description="count only these; all where empty")
    anchor: Anchor = "center"

    @model_validator(mode="after")
    def _is_an_area(self) -> Self:
        _check_polygon(f"zone {self.name!r}", self.polygon)
        return self


class MaskConfig(WrittenModel):
    """A part of the view that nobody may see: black in every picture that is shown; counting goes on under it."""

    polygon: tuple[Point, ...] = Field(min_length=3, max_length=64)

    @model_validator(mode="after")
    def _is_an_area(self) -> Self:
        _check_polygon("mask", self.polygon)
        return self


class StatesConfig(WrittenModel):
    """When a classifier's answer becomes the camera's state; a camera whose model finds things has none."""

    hold_seconds: float = Field(
        1.0, ge=0.1, le=3600, description="how much longer another answer must come than not, before it is the state"
    )
    unknown_seconds: float = Field(
        3.0, ge=0.1, le=3600, description="the same without the state's own answer, before it is unknown"
    )
    stay_score: float | None = Field(
        None, gt=0, lt=1, description="the state's own answer counts down to this; 3/4 of `score` where left out"
    )

    @model_validator(mode="after")
    def _unknown_comes_last(self) -> Self:
        if self.unknown_seconds < self.hold_seconds:
            raise ValueError(
                f"'unknown_seconds' should be at least 'hold_seconds' ({self.hold_seconds:g}), got "
                f"{self.unknown_seconds:g}: every change would be one to unknown first"
            )
        return self


class CameraConfig(WrittenModel):
    """One camera.

    ``source`` is a file, a folder of pictures, ``rtsp://...``, ``http://...``, ``/dev/videoN``, ``csi:N`` (Jetson),
    ``gst:PIPELINE`` (GStreamer) or ``synthetic[:key=value,...]``.
    """

    id: Id
    source: str = Field(min_length=1, pattern=_NO_NUL)
    model: Id = Field(MAIN, description="which model counts it: `main` is of `bundle`, others are of `models`")
    fps: float | None = Field(None, gt=0, le=240, description="count at most this many frames a second")
    loop: bool = Field(default=False, description="begin a file again at its end")
    realtime: bool = Field(default=True, description="play a file at its own rate, as a camera would")
    stale_after: float = Field(2.0, gt=0, description="seconds without a frame before the counts are stale")
    frozen_after: float = Field(
        60.0, ge=0, description="seconds of one same picture before it is called frozen; 0: never"
    )
    transport: Literal["tcp", "udp"] = Field("tcp", description="RTSP only")
    size: PictureSize | None = Field(
        None, description="width, height: asked of /dev/video and csi; what gst comes from"
    )
    capture_fps: float | None = Field(None, gt=0, le=240, description="frames a second asked of /dev/video and csi")
    input_format: str | None = Field(None, pattern=r"^[a-z0-9_]{1,32}$", description="asked of /dev/video, as mjpeg")
    score: float | None = Field(None, gt=0, lt=1, description="instead of the model's own threshold")
    events: bool = Field(default=False, description="publish each crossing too, not only sums; costs bytes")
    scale: float = Field(1.0, ge=0.01, le=100, description="density counts are multiplied with it: see docs/counts.md")
    smoothing_seconds: float | None = Field(
        None, gt=0, le=3600, description="time constant of a mean over frames, for the counts shown now; not in reports"
    )
    states: StatesConfig | None = Field(None, description="when a classifier's answers change the camera's state")
    line: tuple[LineConfig, ...] = ()
    zone: tuple[ZoneConfig, ...] = ()
    mask: tuple[MaskConfig, ...] = ()

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        _refuse_doubles(f"camera {self.id!r}: lines", [line.name for line in self.line])
        _refuse_doubles(f"camera {self.id!r}: zones", [zone.name for zone in self.zone])
        return self

    @model_validator(mode="after")
    def _options_are_the_sources(self) -> Self:
        for option, prefixes in _OPTIONS_OF.items():
            if getattr(self, option) is not None and not self.source.startswith(prefixes):
                kinds = " and ".join(prefixes)
                raise ValueError(f"camera {self.id!r}: {option!r} is for sources that begin with {kinds}; take it out")
        return self


class TlsConfig(WrittenModel):
    """TLS towards the broker; where ``ca`` is missing the system's certificates are trusted."""

    ca: str | None = Field(None, description="PEM file")
    certificate: str | None = Field(None, description="PEM file of this client")
    key: str | None = Field(None, description="PEM file of this client's private key")

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("'certificate' and 'key' should be given together")
        return self


class BrokerConfig(WrittenModel):
    """The MQTT broker."""

    host: str = Field(min_length=1)
    port: int = Field(1883, ge=1, le=_MOST_PORT)
    username: str | None = None
    password: SecretStr | None = None
    tls: TlsConfig | None = None
    protocol: Literal["auto", "5", "3.1.1"] = Field("auto", description="auto: 5, and 3.1.1 where that is refused")
    keepalive: int = Field(30, ge=5, le=600, description="seconds")

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"{self.host}:{self.port}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that nobody may be shown."""
        return () if self.password is None else (self.password.get_secret_value(),)


class RuntimeConfig(WrittenModel):
    """How the artifact is run; what is left out the agent chooses, and what is set it never changes."""

    artifact: str | None = Field(None, description="take this artifact, or refuse")
    execution_precision: str | None = Field(None, description="run with this precision, or refuse")
    lanes: int | None = Field(None, ge=1, le=64, description="inferences at once")
    threads: int | None = Field(None, ge=1, le=64, description="threads a lane")
    tune: bool = Field(default=True, description="measure on this box what of the rest is best, and take it")
    goal: Goal | None = Field(
        None,
        description="what is best; else least CPU that keeps up with the cameras' `fps`, without these throughput",
    )


class ModelConfig(WrittenModel):
    """A further model of the box, for cameras that name it."""

    bundle: str = Field(min_length=1, pattern=_NO_NUL, description="folder that edgetally-convert made")
    runtime: RuntimeConfig | None = Field(None, description="instead of the box's `runtime`")


class OutboxConfig(WrittenModel):
    """Reports that wait for the broker."""

    max_reports: int = Field(100_000, ge=10, description="oldest are dropped, and counted, beyond this")
    daily_write_mb: float | None = Field(None, gt=0, description="warn where the disk is written more than this a day")


class HomeAssistantConfig(WrittenModel):
    """Discovery by Home Assistant; where the table is missing nothing is published for it."""

    prefix: str = Field("homeassistant", pattern=_DISCOVERY_PREFIX, description="of its discovery topics")


class PageConfig(WrittenModel):
    """The box's own page; without this table there is none."""

    address: str = Field("127.0.0.1:8080", description="HOST:PORT; other than loopback needs a password")
    password: SecretStr | None = Field(None, description="asked of who looks; at least 8 characters")
    hosts: tuple[str, ...] = Field((), description="names that it may be asked under, beside addresses and the box's")
    certificate: str | None = Field(None, description="PEM file; with it the page speaks HTTPS")
    key: str | None = Field(None, description="PEM file of the certificate's private key")
    pictures: bool | None = Field(None, description="show pictures; where left out, only on a loopback address")
    picture_fps: float = Field(5.0, gt=0, le=30, description="pictures made a second, over all cameras, at most")
    viewers: int = Field(8, ge=1, le=64, description="who may watch at once")

    @property
    def listens(self) -> tuple[str, int]:
        """Host and port."""
        host, port = parse_address("'page.address'", self.address)
        return host.strip("[]"), port or _PAGE_PORT

    @property
    def is_local(self) -> bool:
        """Whether only this box itself can reach it."""
        host = self.listens[0]
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(host).is_loopback
        return host == "localhost"

    @property
    def shows_pictures(self) -> bool:
        """Whether the cameras' pictures may be looked at."""
        return self.is_local if self.pictures is None else self.pictures

    @model_validator(mode="after")
    def _is_guarded(self) -> Self:
        try:
            local = self.is_local
        except WrittenError as error:
            raise ValueError(str(error)) from None
        if (self.certificate is None) != (self.key is None):
            raise ValueError("'certificate' and 'key' should be given together")
        if self.password is not None and len(self.password.get_secret_value()) < _SHORTEST_PASSWORD:
            raise ValueError(f"'password' should have at least {_SHORTEST_PASSWORD} characters")
        if self.password is None and not local:
            raise ValueError(f"'address' {self.address} is open to others; set a 'password', or take 127.0.0.1")
        return self


class SheddingConfig(WrittenModel):
    """Taking fewer frames while the box is hot or throttled; docs/telemetry.md."""

    enabled: bool = Field(default=True, description="false takes all frames, however hot the box is")
    hot_celsius: float | None = Field(
        None, ge=30, le=120, description="hot from here on, at every sensor; none: below each sensor's own trip point"
    )
    floor: float = Field(0.25, gt=0, le=1, description="share of the frames that is taken at the least")
    least_fps: float = Field(5.0, gt=0, le=240, description="no camera is shed below this rate")
    hold_seconds: float = Field(30.0, ge=1, le=3600, description="between two steps")


class PrivacyConfig(WrittenModel):
    """What is made unrecognisable in every picture that is shown or sent; what is counted stays the same."""

    blur: tuple[Blurred, ...] = Field((), description="where one cannot be told the whole picture is blurred")
    faces: str | None = Field(
        None, min_length=1, pattern=_NO_NUL, description="bundle of a face detector, run on each picture shown"
    )

    @model_validator(mode="after")
    def _faces_are_blurred(self) -> Self:
        if self.faces is not None and "faces" not in self.blur:
            raise ValueError(
                "'faces' is a detector of what 'blur' should name; add \"faces\" to 'blur', or leave it out"
            )
        return self


class RpcConfig(WrittenModel):
    """What may be asked of the box over MQTT."""

    self_test: bool = Field(default=True, description="try the model, disk, clock and cameras while counting")
    snapshot: bool = Field(default=False, description="send a camera's picture; see [privacy] for what it hides")
    restart: bool = Field(default=False, description="end the agent, so that its service manager starts it anew")
    drift_reset: bool = Field(default=False, description="forget what is usual for a camera, and learn it anew")
    restart_unmanaged: bool = Field(
        default=False, description="allow it although no service manager is seen that would start it"
    )


class AgentConfig(WrittenModel):
    """The whole of agent.toml."""

    device: Id
    bundle: str = Field(min_length=1, pattern=_NO_NUL, description="folder that edgetally-convert made")
    state_dir: str = Field("/var/lib/edgetally", min_length=1, pattern=_NO_NUL)
    window_seconds: float = Field(10.0, ge=1, le=3600)
    state_seconds: float = Field(1.0, ge=0.1, le=3600, description="how often a camera's state is published")
    health_seconds: float = Field(10.0, ge=0.2, le=3600)
    log_level: LogLevel = "info"
    labels: dict[Id, str] = Field(default_factory=dict, description="site and the like: data, not identity")
    broker: BrokerConfig
    runtime: RuntimeConfig = RuntimeConfig()
    models: dict[Id, ModelConfig] = Field(default_factory=dict, description="models beside `bundle`, by name")
    outbox: OutboxConfig = OutboxConfig()
    home_assistant: HomeAssistantConfig | None = None
    page: PageConfig | None = None
    shedding: SheddingConfig = SheddingConfig()
    privacy: PrivacyConfig = PrivacyConfig()
    rpc: RpcConfig = RpcConfig()
    update: UpdateConfig = UpdateConfig()
    camera: tuple[CameraConfig, ...] = Field(min_length=1)

    @property
    def slots(self) -> dict[str, ModelConfig]:
        """Every model of the box by its name, `MAIN` first."""
        return {MAIN: ModelConfig(bundle=self.bundle), **self.models}

    @model_validator(mode="after")
    def _cameras_differ(self) -> Self:
        _refuse_doubles("cameras", [camera.id for camera in self.camera])
        return self

    @model_validator(mode="after")
    def _models_are_there(self) -> Self:
        if MAIN in self.models:
            raise ValueError(f"'models' should not hold {MAIN!r}, which is the model of 'bundle'; choose another name")
        for camera in self.camera:
            if camera.model not in self.slots:
                known = ", ".join(map(repr, self.slots))
                meant = did_you_mean(camera.model, list(self.slots))
                raise ValueError(f"camera {camera.id!r}: 'model' should be one of {known}, got {camera.model!r}{meant}")
        return self


def parse_address(flag: str, text: str) -> tuple[str, int | None]:
    """``HOST`` or ``HOST:PORT``; the port is None where none was given.

    Args:
        flag: where it was written, for the error's text.
        text: what was written.

    Raises:
        WrittenError: it is neither.
    """
    host, colon, port = text.rpartition(":") if ":" in text else (text, "", "")
    is_port = port.isascii() and port.isdecimal() and 1 <= int(port) <= _MOST_PORT
    if not host or (colon and not is_port):
        raise WrittenError(f"{flag} should be HOST or HOST:PORT with a port of 1 to {_MOST_PORT}, got {text!r}")
    return host, int(port) if colon else None


def _refuse_doubles(what: str, names: list[str]) -> None:
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ValueError(f"{what} should have different names, {doubled[0]!r} stands more than once")


def _check_polygon(what: str, polygon: tuple[Point, ...]) -> None:
    problem = polygon_problem(polygon)
    if problem is not None:
        raise ValueError(f"{what}: {problem}")
