"""A real browser, driven through Chromium's DevTools protocol over a pipe: no driver, no dependency."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from typing_extensions import Self

PATIENCE = 30.0  # seconds; only a failing test waits that long
_LOOKS = 40  # of half a second
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",  # tests may run as root, and open only our own page
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)


def require_chromium() -> str:
    """The browser's path; skips the test where there is none, and fails it in CI."""
    path = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if path is not None:
        return path
    reason = "no Chromium here; run: apt-get install --no-install-recommends chromium"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


class NavigatedError(Exception):
    """The page went elsewhere while it was asked."""


class Browser:
    """Chromium, from `__enter__` to `__exit__`.

    Args:
        folder: for its profile.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._program = require_chromium()
        self._next = 0
        self._rest = b""
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        commands, self._write = os.pipe()
        self._read, answers = os.pipe()
        # Chromium reads commands from file 3 and answers on file 4; only a shell can put them there.
        place = f'exec "$@" 3<&{commands} 4>&{answers}'
        self._process = subprocess.Popen(
            ["bash", "-c", place, "bash", self._program, *_FLAGS, f"--user-data-dir={self._folder}", "about:blank"],
            pass_fds=(commands, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(commands)
        os.close(answers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)  # with its children; it is a session of its own
        self._process.wait(PATIENCE)
        os.close(self._write)
        os.close(self._read)

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Give a command and wait for its answer; events that come meanwhile are kept."""
        self._next += 1
        command: dict[str, Any] = {"id": self._next, "method": method, "params": parameters}
        if session is not None:
            command["sessionId"] = session
        os.write(self._write, json.dumps(command).encode() + b"\0")
        while True:
            message = self._message()
            if message.get("id") == self._next:
                error = message.get("error", {}).get("message", "")
                if "navigated" in error or "context was destroyed" in error:
                    raise NavigatedError(error)
                assert not error, f"{method}: {error}"
                result: dict[str, Any] = message["result"]
                return result
            if "method" in message:
                self.events.append(message)

    def open(self, url: str, width: int = 1280, height: int = 800, *, dark: bool = False) -> Tab:
        """Open a page in a tab of its own, without anything of the others'; a narrow one is a phone with a finger."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, session, context)
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.call(f"{domain}.enable")
        phone = width < 500
        tab.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        tab.call("Emulation.setTouchEmulationEnabled", enabled=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        tab.call("Emulation.setEmulatedMedia", features=[scheme])
        tab.call("Page.navigate", url=url)
        return tab

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], 2 * PATIENCE)
            assert ready, "Chromium does not answer"
            piece = os.read(self._read, 1 << 16)
            assert piece, "Chromium has ended"
            self._rest += piece
        text, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message


class Tab:
    """One page in the browser; leaving its block closes it."""

    def __init__(self, browser: Browser, session: str, context: str) -> None:
        self._browser = browser
        self._session = session
        self._context = context

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._browser.call("Target.disposeBrowserContext", browserContextId=self._context)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give a command."""
        return self._browser.call(method, self._session, **parameters)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; a promise is waited for."""
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, expression: str) -> Any:
        """Wait until a JavaScript expression is true; returns its value."""
        value = None
        for _ in range(_LOOKS):
            try:
                value = self.evaluate(
                    "new Promise((resolve) => { const end = Date.now() + 500; const look = () => {"
                    f"let value = null; try {{ value = ({expression}); }} catch {{ value = null; }}"
                    "if (value || Date.now() > end) resolve(value instanceof Node ? true : value);"
                    "else setTimeout(look, 20); }; look(); })"
                )
            except NavigatedError:
                continue
            if value:
                break
        assert value, f"never came true: {expression}\n{self.evaluate('document.body.innerText')}"
        return value

    def click(self, expression: str) -> None:
        """Click an element, as a mouse would, once it is there."""
        self.wait(expression)
        self.evaluate(f"({expression}).scrollIntoView({{block: 'center'}})")
        x, y = self.middle(expression)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def write(self, text: str) -> None:
        """Type into what has the focus."""
        self.call("Input.insertText", text=text)

    def middle(self, expression: str) -> tuple[float, float]:
        """Where an element's middle is, in pixels of the window."""
        box = self.evaluate(
            f"(() => {{ const b = ({expression}).getBoundingClientRect();"
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        return float(box[0]), float(box[1])

    def press(self, key: str) -> None:
        """Press a key that writes nothing."""
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press, move in steps, and let go."""
        self._mouse("mousePressed", start, 1)
        for step in range(1, 6):
            at = (start[0] + (end[0] - start[0]) * step / 5, start[1] + (end[1] - start[1]) * step / 5)
            self._mouse("mouseMoved", at, 1)
        self._mouse("mouseReleased", end, 0)

    def touch_drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """The same with a finger."""
        points = [
            start,
            *((start[0] + (end[0] - start[0]) * k / 5, start[1] + (end[1] - start[1]) * k / 5) for k in range(1, 6)),
        ]
        for number, (x, y) in enumerate(points):
            kind = "touchMove" if number else "touchStart"
            self.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y}])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def screenshot(self, path: Path) -> None:
        """What is seen now, as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def complaints(self) -> list[str]:
        """What the browser complained about so far: errors, exceptions, and whatever the content policy stopped."""
        self.call("Runtime.evaluate", expression="0")  # what was said before is here after it
        return [
            text
            for event in self._browser.events
            if event.get("sessionId") == self._session
            if (text := _complaint(event))
        ]

    def _mouse(self, kind: str, at: tuple[float, float], buttons: int) -> None:
        self.call("Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], button="left", buttons=buttons, clickCount=1)


def _complaint(event: dict[str, Any]) -> str | None:
    parameters = event["params"]
    if event["method"] == "Log.entryAdded" and parameters["entry"]["level"] in {"error", "warning"}:
        return f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}"
    if event["method"] == "Runtime.exceptionThrown":
        return json.dumps(parameters["exceptionDetails"])
    if event["method"] == "Runtime.consoleAPICalled" and parameters["type"] in {"error", "warning", "assert"}:
        return json.dumps(parameters["args"])
    return None
