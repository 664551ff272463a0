"""A running agent is given other models: the good one takes over without a gap, the others are found out in time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from contracts.desired import Reported
from contracts.messages import CountReport
from contracts.update import UpdateReport
from tests.e2e.agents import Agent, reports, run_cli
from tests.integration.brokers import Mosquitto, Watcher, mosquitto
from tests.integration.squares import camera, crossed_after, write_bundle, write_pictures

__all__ = ["mosquitto"]
PROBATION = {"seconds": 3, "frames": 30, "max_celsius": 120}


@pytest.fixture
def settings(tmp_path: Path, mosquitto: Mosquitto) -> dict[str, Any]:
    return {
        "bundle": str(write_bundle(tmp_path / "squares.bundle")),
        "broker": {"host": "127.0.0.1", "port": mosquitto.port},
        "state_seconds": 0.2,
        "runtime": {"lanes": 1, "tune": False},
        "update": {"probation": PROBATION, "keep_free_mb": 0},
        "camera": [camera(write_pictures(tmp_path / "road"))],
    }


def update(tmp_path: Path, *arguments: object) -> tuple[int, UpdateReport]:
    """What `edgetally-agent update` ends with."""
    run = run_cli("agent.cli", "update", *arguments, "--config", tmp_path / "agent.toml", "--json")
    assert run.stdout, run.stderr
    return run.returncode, UpdateReport.model_validate_json(run.stdout)


def counted(watcher: Watcher) -> list[CountReport]:
    return [report for report in reports(watcher) if report.frames_seen]


def digests_of(found: list[CountReport]) -> list[str]:
    """What counted the windows, in their order."""
    return [one.artifact_digest for one in found if one.artifact_digest is not None]


def check_bill(watcher: Watcher) -> list[CountReport]:
    """No number is missing, and the totals are those of the road, every frame of it."""
    found = reports(watcher)
    assert [report.seq for report in found] == list(range(1, len(found) + 1))
    assert len({report.lines["mid"].counter_id for report in found}) == 1
    frames = sum(report.frames_seen for report in found)
    assert (found[-1].lines["mid"].total_in, found[-1].lines["mid"].total_out) == crossed_after(frames)
    assert not any(report.frames_dropped for report in found)
    return found


def test_a_good_model_takes_over_without_losing_a_frame_and_is_kept(
    tmp_path: Path, mosquitto: Mosquitto, settings: dict[str, Any]
) -> None:
    new = write_bundle(tmp_path / "new", version="1.1.0")
    with Watcher(mosquitto.port) as watcher:
        with Agent(tmp_path, settings):
            watcher.wait_for(lambda: len(counted(watcher)) >= 2)
            code, report = update(tmp_path, new)
            assert (code, report.state, report.code) == (0, "committed", "committed"), report
            watcher.wait_for(lambda: len(set(digests_of(counted(watcher)))) == 2)
        found = check_bill(watcher)
    assert len(set(digests_of(found))) == 2


def test_what_runs_after_a_restart_is_what_was_committed_and_it_goes_back_when_asked(
    tmp_path: Path, mosquitto: Mosquitto, settings: dict[str, Any]
) -> None:
    new = write_bundle(tmp_path / "new", version="1.1.0")
    agent = Agent(tmp_path, settings)
    with Watcher(mosquitto.port) as watcher:
        with agent:
            watcher.wait_for(lambda: counted(watcher))
            assert update(tmp_path, new)[0] == 0
        with agent:
            count = len(counted(watcher))
            watcher.wait_for(lambda: len(counted(watcher)) > count + 1)
            status = json.loads(
                run_cli("agent.cli", "update", "--status", "--config", tmp_path / "agent.toml", "--json").stdout
            )
            assert status["running"]["models"]["main"]["version"] == "1.1.0"
            code, report = update(tmp_path, "--back")
            assert (code, report.state) == (0, "committed"), report
        digests = digests_of(counted(watcher))
    assert digests[0] == digests[-1]
    assert len(set(digests)) == 2


@pytest.mark.parametrize(
    ("flaw", "state", "code", "words"),
    [
        ({"wrong": True}, "rejected", "golden_mismatch", "golden"),
        pytest.param({"work": 400}, "rejected", "too_slow", "frames a second", marks=pytest.mark.slow),
    ],
    ids=["wrong on the golden samples", "slow"],
)
def test_a_bad_model_never_takes_over_and_the_reason_says_why(
    tmp_path: Path,
    mosquitto: Mosquitto,
    settings: dict[str, Any],
    flaw: dict[str, Any],
    state: str,
    code: str,
    words: str,
) -> None:
    bad = write_bundle(tmp_path / "bad", version="1.1.0", **flaw)
    with Watcher(mosquitto.port) as watcher:
        with Agent(tmp_path, settings):
            watcher.wait_for(lambda: len(counted(watcher)) >= 4)
            exit_code, report = update(tmp_path, bad)
            assert (exit_code, report.state, report.code) == (3, state, code), report
            assert words in report.reason
        found = check_bill(watcher)
    assert len(set(digests_of(found))) == 1


@pytest.mark.slow
def test_a_model_that_counts_nothing_is_taken_back_on_probation(
    tmp_path: Path, mosquitto: Mosquitto, settings: dict[str, Any]
) -> None:
    blind = write_bundle(tmp_path / "blind", version="1.1.0", blind_below=22)
    settings["update"] = {"probation": PROBATION | {"seconds": 10}, "keep_free_mb": 0}
    with Watcher(mosquitto.port) as watcher, Agent(tmp_path, settings):
        for least in (33, 66):  # a minute of windows is what it is held against
            watcher.wait_for(lambda least=least: len(counted(watcher)) >= least)  # type: ignore[misc]
        code, report = update(tmp_path, blind)
        assert (code, report.state, report.code) == (3, "rolled_back", "counts_differ"), report
        told = [Reported.model_validate_json(payload) for payload in watcher.payloads("/reported")]
        assert any(one.update is not None and one.update.state == "probation" for one in told)
        assert len(set(digests_of(counted(watcher)))) == 2


def test_a_model_that_misses_most_is_found_out_beside_the_old_one_and_never_counts(
    tmp_path: Path, mosquitto: Mosquitto, settings: dict[str, Any]
) -> None:
    blind = write_bundle(tmp_path / "blind", version="1.1.0", blind_from=12)
    settings["update"] |= {"shadow": {"seconds": 3, "fps": 60, "frames": 100}}
    with Watcher(mosquitto.port) as watcher:
        with Agent(tmp_path, settings):
            watcher.wait_for(lambda: counted(watcher))
            code, report = update(tmp_path, blind)
            assert (code, report.state, report.code) == (3, "rejected", "counts_differ"), report
            assert "gate" in report.reason
        found = check_bill(watcher)
    assert len(set(digests_of(found))) == 1


@pytest.mark.slow
def test_a_good_model_goes_through_the_shadow(tmp_path: Path, mosquitto: Mosquitto, settings: dict[str, Any]) -> None:
    new = write_bundle(tmp_path / "new", version="1.1.0")
    settings["update"] |= {"shadow": {"seconds": 3, "fps": 60, "frames": 100}}
    with Watcher(mosquitto.port) as watcher, Agent(tmp_path, settings):
        watcher.wait_for(lambda: counted(watcher))
        assert update(tmp_path, new)[1].state == "committed"
        told = [Reported.model_validate_json(payload) for payload in watcher.payloads("/reported")]
        assert any(one.update is not None and one.update.state == "shadow" for one in told)


def test_a_model_that_wants_other_frames_has_its_cameras_opened_anew_and_totals_go_on(
    tmp_path: Path, mosquitto: Mosquitto, settings: dict[str, Any]
) -> None:
    new = write_bundle(tmp_path / "new", version="1.1.0", pad_value=0)
    with Watcher(mosquitto.port) as watcher, Agent(tmp_path, settings):
        watcher.wait_for(lambda: len(counted(watcher)) >= 2)
        assert update(tmp_path, new)[1].state == "committed"
        watcher.wait_for(lambda: len(set(digests_of(counted(watcher)))) == 2)
        found = reports(watcher)
        assert [report.seq for report in found] == list(range(1, len(found) + 1))
        lines = [report.lines["mid"] for report in found]
        assert len({line.counter_id for line in lines}) == 1
        assert lines[-1].total_in == sum(line.in_ for line in lines)


@pytest.mark.slow
def test_who_is_on_site_can_hold_a_model_back_and_let_it_go_on(
    tmp_path: Path, mosquitto: Mosquitto, settings: dict[str, Any]
) -> None:
    new = write_bundle(tmp_path / "new", version="1.1.0")
    config = tmp_path / "agent.toml"

    def told(watcher: Watcher) -> list[UpdateReport]:
        answers = [Reported.model_validate_json(payload) for payload in watcher.payloads("/reported")]
        return [one.update for one in answers if one.update is not None]

    with Watcher(mosquitto.port) as watcher, Agent(tmp_path, settings):
        watcher.wait_for(lambda: counted(watcher))
        held = run_cli("agent.cli", "update", "--hold", "a wedding in the street", "--config", config)
        assert "a wedding in the street" in held.stdout
        run_cli("agent.cli", "update", new, "--no-wait", "--config", config)
        watcher.wait_for(lambda: any("a wedding in the street" in one.reason for one in told(watcher)))
        assert told(watcher)[-1].state == "selftest"
        run_cli("agent.cli", "update", "--cancel", "--config", config)
        watcher.wait_for(lambda: told(watcher)[-1].state == "failed")
        assert told(watcher)[-1].code == "cancelled"
        run_cli("agent.cli", "update", "--resume", "--config", config)
        assert update(tmp_path, new)[1].state == "committed"


@pytest.mark.slow
def test_a_model_is_measured_before_it_takes_over_also_where_the_box_is_killed_in_that(
    tmp_path: Path, mosquitto: Mosquitto, settings: dict[str, Any]
) -> None:
    new = write_bundle(tmp_path / "new", version="1.1.0")
    settings["runtime"] = {"tune": True, "threads": 1}  # leaves a choice of few lanes
    agent = Agent(tmp_path, settings, until_end=False)

    def measures(watcher: Watcher) -> bool:
        told = [Reported.model_validate_json(payload).update for payload in watcher.payloads("/reported")]
        progress = [one.progress for one in told if one is not None and one.state == "prepare"]
        return any(one is not None and "measuring which setting of squares 1.1.0" in one.text for one in progress)

    with Watcher(mosquitto.port) as watcher:
        with agent:
            watcher.wait_for(lambda: counted(watcher))
            run_cli("agent.cli", "update", new, "--no-wait", "--config", tmp_path / "agent.toml")
            watcher.wait_for(lambda: measures(watcher))
            agent.wait_for_log("measuring which setting is best here")
            agent.kill()
        with agent:
            for stage in ("measured here: ", "update 1: selftest", "update 1: committed"):
                agent.wait_for_log(stage)  # what counts is measured first
            watcher.wait_for(lambda: len(set(digests_of(counted(watcher)))) == 2)
    log = agent.log.read_text()
    known = log.rindex("measured here: ", 0, log.index("update 1: selftest"))
    assert log.index("update 1: prepare") < known, "known before its self-test"
    assert "update 1: activate" in log[known:]
