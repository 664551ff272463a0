"""What of a camera's picture may be shown: `Redactor` is a `agent.page.ports.Redact`.

Whatever it cannot do it makes up for by hiding more: where one cannot tell what to hide, nothing can be recognised.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

from agent.limited_log import LimitedLog
from agent.page.ports import Look
from agent.privacy.faces import Faces
from agent.privacy.hiding import WHOLE, Box, blacken, hide_boxes
from agent.privacy.regions import parts_of
from contracts.config import CameraConfig, PrivacyConfig
from contracts.errors import ArtifactError, EdgetallyError
from runtime.results import Picture

_limited = LimitedLog(logging.getLogger(__name__), seconds=600.0)


class Redactor:
    """Hides what the configuration names; called by any thread.

    Args:
        config: what is blurred.
        cameras: those that run now, with their masks.
        faces: finds faces where the model that counts does not; None where there is no such detector.
    """

    def __init__(
        self, config: PrivacyConfig, cameras: Callable[[], Sequence[CameraConfig]], faces: Faces | None = None
    ) -> None:
        self._config = config
        self._cameras = cameras
        self._faces = faces

    def __call__(self, look: Look) -> Picture:
        """The picture as it may be shown; the look's own where nothing is hidden.

        Raises:
            ArtifactError: there is no such camera any more, so nobody knows its masks.
        """
        camera = next((one for one in self._cameras() if one.id == look.camera), None)
        if camera is None:
            raise ArtifactError(f"camera {look.camera!r} is not configured any more, so its masks are not known")
        if not (self._config.blur or camera.mask):
            return look.image
        picture = look.image.copy()
        hide_boxes(picture, self._hidden(look))
        blacken(picture, [mask.polygon for mask in camera.mask])
        return picture

    def _hidden(self, look: Look) -> list[Box]:
        """What is blurred; all of it where that cannot be told."""
        try:
            return list(self._found(look))
        except EdgetallyError as error:
            _limited.error("pictures of camera %s are blurred as a whole: %s", look.camera, error)
        except Exception:  # noqa: BLE001 - a fault of ours must not show anybody
            _limited.exception("pictures of camera %s are blurred as a whole", look.camera)
        return [WHOLE]

    def _found(self, look: Look) -> Iterator[Box]:
        for what in self._config.blur:
            seen = parts_of(look, what)
            own = self._faces if what == "faces" else None
            if seen is None and own is None:
                raise ArtifactError(
                    f"the model that counts does not tell where {what} are"
                    + ("; set 'privacy.faces' to the bundle of a face detector" if what == "faces" else "")
                )
            yield from seen or ()
            if own is not None:
                yield from own.find(look.image, look.aspect)
