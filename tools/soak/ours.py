"""The soaking process: the agent, whole, and a thread that says every half second how it is, as a line of JSON."""

from __future__ import annotations

import logging
import sys
import threading
import time
from pathlib import Path

from agent.cameras.frame import Source, Wanted
from agent.cameras.table import open_source
from agent.counting.totals import definition_digest, in_all
from agent.daemon import Daemon
from agent.store import LineDefinition, Store
from contracts.config import CameraConfig
from tools.soak.churn import LooseCamera
from tools.soak.plan import LOOSE, STEADY, Plan
from tools.soak.sample import Sample, all_threads, open_files, resident_mb


def soak(plan: Plan) -> None:
    """Run to the end of the plan; the last line is of after the last frame."""
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)

    def opener(camera: CameraConfig, wanted: Wanted, stop: threading.Event) -> Source:
        if camera.id.startswith(LOOSE):
            return LooseCamera(camera.id, wanted, stop, plan.pictures_each, plan.rate)
        return open_source(camera, wanted, stop)

    daemon, over = Daemon(plan.config(), opener=opener), threading.Event()
    begun = time.monotonic()
    watch = threading.Thread(target=_watch, args=(daemon, plan, begun, over), name="watch", daemon=True)
    try:
        daemon.start()
        watch.start()
        daemon.run(until_end=False)
        over.set()
        watch.join()
    finally:
        daemon.close()
    _print(_look(daemon, plan, begun).model_copy(update=_kept(plan)))


def _kept(plan: Plan) -> dict[str, object]:
    """What the store holds after the end."""
    (line,) = plan.config().camera[0].line
    store = Store.open(Path(plan.state_dir), max_reports=plan.config().outbox.max_reports)
    try:
        counters = store.counters([LineDefinition(STEADY, line.name, definition_digest(STEADY, line))])
        totals = counters[STEADY, line.name].totals
        return {"crossed": (in_all(totals, "in"), in_all(totals, "out")), "waiting": store.status().waiting}
    finally:
        store.close()


def _watch(daemon: Daemon, plan: Plan, begun: float, over: threading.Event) -> None:
    try:
        while time.monotonic() - begun < plan.seconds:
            _print(_look(daemon, plan, begun))
            if over.wait(plan.sample_every):
                return
    finally:
        daemon.stop()


def _look(daemon: Daemon, plan: Plan, begun: float) -> Sample:
    now = time.monotonic()
    return Sample(
        at=now,
        rss_mb=resident_mb(),
        files=open_files(),
        threads=all_threads(),
        frames=sum(unit.counted for unit in daemon.units),
        windows=int((now - begun) / plan.window) * len(daemon.units),
        reconnects=sum(unit.health(now).reconnects for unit in daemon.units),
        steady_frames=sum(unit.counted for unit in daemon.units if unit.id == STEADY),
    )


def _print(sample: Sample) -> None:
    print(sample.model_dump_json(), flush=True)


if __name__ == "__main__":
    soak(Plan.model_validate_json(sys.argv[1]))
