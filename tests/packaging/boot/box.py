"""A box whose service counts a road that is known, at a broker of this machine's loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from contracts.messages import CountReport
from tests.integration.boxes import check_road, intake_of, missing, reports
from tests.integration.brokers import Mosquitto, Watcher, wait_until
from tests.packaging.boot.machine import HOST, PATIENCE, Machine

SERVICE = "edgetally-agent.service"
CONFIG = "/etc/edgetally/agent.toml"
SETTINGS = """\
device = "box-1"
bundle = "/mnt/bundle"
window_seconds = 2
[broker]
host = "{host}"
port = {port}
[runtime]
lanes = 1
[[camera]]
id = "gate"
source = "/mnt/road"
loop = true
realtime = false
fps = 30
[[camera.line]]
name = "mid"
start = [0.0, 0.5]
end = [1.0, 0.5]
"""
_NUMBERED = """\
python3 -c 'import sqlite3; print(*sqlite3.connect("file:/var/lib/edgetally/edgetally.db?mode=ro", uri=True)
.execute("SELECT next_seq FROM identity").fetchone())'
"""


class Box:
    """See above.

    Args:
        machine: the packages are installed on it.
        broker: where it publishes.
        watcher: hears all of it.

    Attributes:
        figures: what was measured on it, in seconds.
    """

    def __init__(self, machine: Machine, broker: Mosquitto, watcher: Watcher) -> None:
        self.machine = machine
        self.broker = broker
        self.watcher = watcher
        self.figures: dict[str, str | float] = {}
        self.settings = SETTINGS.format(host=HOST, port=broker.port)

    def count(self, windows: int = 2) -> None:
        """Have it on, as it is meant to be, and counting; whatever was done to it before.

        Args:
            windows: in which something was counted, to be waited for.
        """
        if not self.machine.is_on:
            self.machine.switch_on()
        self.machine.write(CONFIG, self.settings)
        self.machine.run(f"systemctl reset-failed {SERVICE} || true; systemctl start {SERVICE}")
        self.wait_for_reports(windows)

    def shown(self, name: str) -> str:
        """A property of the service, as systemd has it."""
        return self.machine.run(f"systemctl show --value -p {name} {SERVICE}").text.strip()

    @property
    def pid(self) -> int:
        """Of the agent; 0 where it does not run."""
        return int(self.shown("MainPID"))

    @property
    def restarts(self) -> int:
        """How often systemd started it anew by itself."""
        return int(self.shown("NRestarts"))

    @property
    def numbered(self) -> int:
        """The number that its next report or event gets; what it has committed is below."""
        return int(self.machine.run(_NUMBERED).text)

    def reports(self) -> list[CountReport]:
        """All that ever came."""
        return reports(self.watcher)

    def lives(self) -> int:
        """How many lives of the agent's have counted and reported."""
        return len({report.boot_id for report in self.reports() if report.frames_seen})

    def wait_for_reports(self, more: int = 2) -> None:
        """Wait until so many more of windows in which something was counted have come."""
        before = self._counted()
        wait_until(lambda: self._counted() >= before + more, PATIENCE)

    def wait_for_a_life_after(self, lives: int) -> None:
        """Wait until a new life has counted and reported."""
        wait_until(lambda: self.lives() > lives, PATIENCE)

    def wait_for_status(self, words: str) -> None:
        """Wait until the service says that of itself; a regular expression, for what it says is 15 s old at most."""
        self.machine.wait_until(f"systemctl show --value -p StatusText {SERVICE} | grep -q '{words}'")

    def wait_for_numbers(self, more: int = 3) -> None:
        """Wait until it has committed so much more, whoever hears of it."""
        before = self.numbered
        wait_until(lambda: self.numbered >= before + more, PATIENCE)

    def journal(self, since: str) -> str:
        """What the service and systemd said of it after a mark."""
        return self.machine.run(f"journalctl --no-pager -o short-monotonic -u {SERVICE} --after-cursor='{since}'").text

    def mark(self) -> str:
        """The end of what was said; of the service's own, for after another's mark journalctl leaves one line out."""
        told = self.machine.run(f"journalctl -n 1 -o json --no-pager -u {SERVICE}").text
        return str(json.loads(told)["__CURSOR"])

    def wait_for_journal(self, words: str, since: str) -> None:
        """Wait until that was said."""
        wait_until(lambda: words in self.journal(since), PATIENCE)

    def check_bill(self) -> None:
        """No number is missing or stands for two things, and totals are those of the frames that were counted."""
        made = check_road(intake_of(self.watcher))
        gaps = missing(made)
        assert gaps == [], "every number came"

    @contextmanager
    def drop_in(self, text: str) -> Iterator[None]:
        """Another setting of the unit, for a while."""
        path = f"/run/systemd/system/{SERVICE}.d/tried.conf"
        self.machine.write(path, text)
        self.machine.run(f"systemctl daemon-reload; systemctl restart --no-block {SERVICE}")
        try:
            yield
        finally:
            self.machine.run(f"rm {path}; systemctl daemon-reload; systemctl restart --no-block {SERVICE}")

    def _counted(self) -> int:
        return sum(report.frames_seen > 0 for report in self.reports())
