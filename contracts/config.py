"""agent.toml: what a box watches, with which model, and where it reports to."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator
from typing_extensions import Self

from contracts.documents import Id, WrittenModel
from contracts.errors import WrittenError
from contracts.model_spec import Label

Unit = Annotated[float, Field(ge=0, le=1)]
Point = tuple[Unit, Unit]
"""x and y in 0 to 1 of the picture, from its top left corner."""

Anchor = Literal["center", "bottom"]
"""Which point of a box stands for it: its centre, or the middle of its lower edge."""

_NO_NUL = r"^[^\x00]*$"  # no path or URL holds that character
_MOST_PORT = 65535
_SMALLEST_AREA = 1e-6  # of the picture; below it a polygon is a line


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
        if _crosses_itself(self.polygon):
            raise ValueError(f"zone {self.name!r}: its polygon should not cross itself")
        if abs(_area(self.polygon)) < _SMALLEST_AREA:
            raise ValueError(f"zone {self.name!r}: its polygon should enclose an area")
        return self


class CameraConfig(WrittenModel):
    """One camera.

    ``source`` is a file, a folder of pictures, ``rtsp://...``, ``/dev/videoN`` or ``synthetic[:key=value,...]``.
    """

    id: Id
    source: str = Field(min_length=1, pattern=_NO_NUL)
    fps: float | None = Field(None, gt=0, le=240, description="count at most this many frames a second")
    loop: bool = Field(default=False, description="begin a file again at its end")
    realtime: bool = Field(default=True, description="play a file at its own rate, as a camera would")
    stale_after: float = Field(2.0, gt=0, description="seconds without a frame before the counts are stale")
    transport: Literal["tcp", "udp"] = Field("tcp", description="RTSP only")
    score: float | None = Field(None, gt=0, lt=1, description="instead of the model's own threshold")
    line: tuple[LineConfig, ...] = ()
    zone: tuple[ZoneConfig, ...] = ()

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        _refuse_doubles(f"camera {self.id!r}: lines", [line.name for line in self.line])
        _refuse_doubles(f"camera {self.id!r}: zones", [zone.name for zone in self.zone])
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


class RuntimeConfig(WrittenModel):
    """How the artifact is run; None lets the agent choose."""

    artifact: str | None = Field(None, description="take this artifact, or refuse")
    execution_precision: str | None = Field(None, description="run with this precision, or refuse")
    lanes: int | None = Field(None, ge=1, le=64, description="inferences at once")
    threads: int = Field(1, ge=1, le=64, description="threads a lane")


class OutboxConfig(WrittenModel):
    """Reports that wait for the broker."""

    max_reports: int = Field(100_000, ge=10, description="oldest are dropped, and counted, beyond this")


class AgentConfig(WrittenModel):
    """The whole of agent.toml."""

    device: Id
    bundle: str = Field(min_length=1, pattern=_NO_NUL, description="folder that edgetally-convert made")
    state_dir: str = Field("/var/lib/edgetally", min_length=1, pattern=_NO_NUL)
    window_seconds: float = Field(10.0, ge=1, le=3600)
    state_seconds: float = Field(1.0, ge=0.1, le=3600, description="how often a camera's state is published")
    health_seconds: float = Field(10.0, ge=0.2, le=3600)
    labels: dict[Id, str] = Field(default_factory=dict, description="site and the like: data, not identity")
    broker: BrokerConfig
    runtime: RuntimeConfig = RuntimeConfig()
    outbox: OutboxConfig = OutboxConfig()
    camera: tuple[CameraConfig, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _cameras_differ(self) -> Self:
        _refuse_doubles("cameras", [camera.id for camera in self.camera])
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


def _area(polygon: tuple[Point, ...]) -> float:
    """Signed area by the shoelace formula, in parts of the picture."""
    pairs = zip(polygon, (*polygon[1:], polygon[0]), strict=True)
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairs) / 2


def _crosses_itself(polygon: tuple[Point, ...]) -> bool:
    edges = list(zip(polygon, (*polygon[1:], polygon[0]), strict=True))
    count = len(edges)
    return any(_cross(*edges[i], *edges[j]) for i in range(count) for j in range(i + 2, count) if (j + 1) % count != i)


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the open segments a-b and c-d cross properly."""
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: Point, b: Point, p: Point) -> float:
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])
