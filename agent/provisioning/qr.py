"""Reading an invitation from a QR code that is held before a camera. Other codes are passed over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np

from agent.cameras.frame import Wanted
from agent.cameras.table import open_source
from contracts.config import CameraConfig
from contracts.enrolment import SCHEME, Invitation, read_invitation
from contracts.errors import RuntimeMissingError, WrittenError
from contracts.model_spec import InputSpec
from runtime.results import Picture

_SPEC = InputSpec(width=1280, height=720, resize="letterbox")  # a code of 53 modules: 6 pixels each at half height

Decode = Callable[[Picture], Iterator[str]]
"""The texts of the QR codes in a picture."""


def read_code(camera: CameraConfig, seconds: float, decode: Decode | None = None) -> Invitation:
    """The first invitation that a camera sees.

    Args:
        camera: that is looked through.
        seconds: after which it is given up.
        decode: finds codes; None: the library.

    Raises:
        CameraError: the camera does not open, or fails.
        WrittenError: it saw none in that time; where it saw another text, that is said.
        RuntimeMissingError: the extra is not installed.
    """
    found_in = decode or _library()
    wrong = ""
    for text in (text for picture in _pictures(camera, seconds) for text in found_in(picture)):
        found = _invitation(text)
        if isinstance(found, Invitation):
            return found
        wrong = found
    seen = f"; one was seen that is none: {wrong}" if wrong else ""
    raise WrittenError(
        f"camera {camera.id} saw no invitation in {seconds:.0f} s{seen}; hold the code of `edgetally-fleet enrol qr` "
        "before it so that it fills half of the picture, in good light"
    )


def _invitation(text: str) -> Invitation | str:
    """The invitation in a text, or why it is none."""
    try:
        return read_invitation(text, "the QR code")
    except WrittenError as error:
        return str(error)


def _pictures(camera: CameraConfig, seconds: float) -> Iterator[Picture]:
    ends, stop = time.monotonic() + seconds, threading.Event()
    timer = threading.Timer(seconds, stop.set)
    source = open_source(camera, Wanted(_SPEC), stop)
    timer.start()
    try:
        while time.monotonic() < ends and (frame := source.read()) is not None:
            yield frame.image
    finally:
        timer.cancel()
        source.close()


def _library() -> Decode:
    try:
        import zxingcpp
    except ImportError as error:
        raise RuntimeMissingError("reading QR codes", "zxingcpp", "provision") from error

    only = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)

    def decode(picture: Picture) -> Iterator[str]:
        for code in zxingcpp.read_barcodes(np.ascontiguousarray(picture), only):
            if code.text.startswith(f"{SCHEME}:"):
                yield code.text

    return decode
