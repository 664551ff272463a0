"""From release to counting: keys, a signed repository behind a web server, a signed document, and a running box."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.desired import Reported
from contracts.messages import CountReport, Hello
from contracts.topics import Channel, Topic
from contracts.update import UpdateReport
from tests.e2e.agents import ROOT, Agent, reports, run_cli
from tests.integration.brokers import Mosquitto, Watcher, mosquitto
from tests.integration.nginx import nginx
from tests.integration.squares import camera, crossed_after, write_bundle, write_pictures
from tests.unit.agent.remote.boxes import desired, time_text

__all__ = ["mosquitto"]
DESIRED = str(Topic("box-1", Channel.DESIRED))


class Operator:
    """Who releases models and writes documents, with the commands that users have.

    Args:
        folder: for keys, bundles and the repository.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys, self.repository = folder / "keys", folder / "models"
        self.run("keys", "create", "--dir", self.keys, "--unencrypted")
        self.run("repository", "init", self.repository, "--keys", self.keys, "--root-keys", self.keys / "root")

    def run(self, *arguments: object) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("EDGETALLY_")}
        command = [sys.executable, "-m", "fleet.cli", *map(str, arguments)]
        run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
        assert run.returncode in {0, 3}, run.stderr
        return run.stdout

    def release(self, version: str, **flaws: Any) -> str:
        """Release a model; returns the digest of its manifest."""
        bundle = write_bundle(self.folder / f"bundle-{version}", version=version, **flaws)
        found = json.loads(self.run("publish", bundle, "--repository", self.repository, "--keys", self.keys, "--json"))
        return str(found["manifest"]["sha256"] if isinstance(found["manifest"], dict) else found["manifest"])

    def document(self, watcher: Watcher, version: str, manifest: str, revision: int) -> None:
        """A signed document that asks for a model, as it is published, retained."""
        now = time.time()
        models = {"main": {"name": "squares", "version": version, "manifest": manifest}}
        text = desired(
            {},
            config_revision=revision,
            model_revision=revision,
            models=models,
            issued=time_text(now),
            expires=time_text(now + 3600),
        )
        file = self.folder / f"desired-{revision}.json"
        file.write_text(json.dumps(text))
        watcher.publish(DESIRED, self.run("sign", file, "--keys", self.keys).encode(), retain=True)


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    (tmp_path / "operator").mkdir()
    return Operator(tmp_path / "operator")


@pytest.fixture
def server(operator: Operator) -> Iterator[str]:
    with nginx(operator.repository) as url:
        yield url


@pytest.fixture
def settings(tmp_path: Path, mosquitto: Mosquitto, operator: Operator, server: str) -> dict[str, Any]:
    (tmp_path / "state").mkdir()
    shutil.copy(operator.keys / "root.json", tmp_path / "state/root.json")
    return {
        "bundle": str(write_bundle(tmp_path / "squares.bundle")),
        "broker": {"host": "127.0.0.1", "port": mosquitto.port},
        "state_seconds": 0.2,
        "runtime": {"lanes": 1, "tune": False},
        "update": {"server": [server], "probation": {"seconds": 2, "frames": 30}, "keep_free_mb": 0},
        "camera": [camera(write_pictures(tmp_path / "road"))],
    }


def answered(watcher: Watcher, check: Callable[[Reported], object]) -> Reported:
    def found() -> list[Reported]:
        answers = [Reported.model_validate_json(payload) for payload in watcher.payloads("/reported")]
        return [one for one in answers if check(one)]

    watcher.wait_for(found)
    return found()[0]


def ended(watcher: Watcher, revision: int) -> Reported:
    """The first answer in which the attempt of a document has come to its end."""
    over = {"committed", "rejected", "failed", "rolled_back", "rollback_failed"}
    return answered(
        watcher,
        lambda one: one.update is not None and one.update.model_revision == revision and one.update.state in over,
    )


def counted(watcher: Watcher) -> list[CountReport]:
    return [report for report in reports(watcher) if report.frames_seen]


def test_a_released_model_that_a_document_asks_for_counts_and_the_box_says_which_digest_runs(
    tmp_path: Path, mosquitto: Mosquitto, operator: Operator, settings: dict[str, Any]
) -> None:
    manifest = operator.release("1.1.0")
    with Watcher(mosquitto.port) as watcher:
        with Agent(tmp_path, settings) as agent:
            watcher.wait_for(lambda: counted(watcher))
            operator.document(watcher, "1.1.0", manifest, 1)
            report = ended(watcher, 1)
            assert report.update is not None
            assert (report.update.state, report.model_revision) == ("committed", 1), report.update
            running = report.models["main"]
            assert (running.release, running.manifest) == ("squares@1.1.0", manifest)
            bundle = json.loads((tmp_path / "operator/bundle-1.1.0/manifest.json").read_text())
            assert running.loaded_digest == bundle["artifacts"][0]["files"][0]["sha256"]
            agent.stop()
            agent.start()
            watcher.wait_for(lambda: Hello.model_validate_json(watcher.payloads("/hello")[-1]).model_revision == 1)
            count = len(counted(watcher))
            watcher.wait_for(lambda: len(counted(watcher)) > count)
            assert counted(watcher)[-1].artifact_digest == running.artifact_digest
        found = reports(watcher)
        assert [one.seq for one in found] == list(range(1, len(found) + 1))


def test_what_is_withdrawn_foreign_or_changed_is_refused_with_its_code_and_nothing_changes(
    tmp_path: Path, mosquitto: Mosquitto, operator: Operator, settings: dict[str, Any]
) -> None:
    manifest = operator.release("1.1.0")
    with Watcher(mosquitto.port) as watcher:
        with Agent(tmp_path, settings):
            watcher.wait_for(lambda: counted(watcher))
            operator.document(watcher, "1.1.0", "0" * 64, 1)
            first = ended(watcher, 1).update
            assert first is not None
            assert (first.state, first.code) == ("rejected", "manifest_mismatch")
            operator.document(watcher, "1.2.0", manifest, 2)
            second = ended(watcher, 2).update
            assert second is not None
            assert (second.state, second.code) == ("rejected", "unknown_release")
            operator.run(
                "withdraw", "squares", "1.1.0", "--reason", "counts vans twice", "--repository", operator.repository,
                "--keys", operator.keys,
            )  # fmt: skip
            operator.document(watcher, "1.1.0", manifest, 3)
            third = ended(watcher, 3).update
            assert third is not None
            assert (third.state, third.code) == ("rejected", "withdrawn")
            assert "counts vans twice" in third.reason
        found = reports(watcher)
        frames = sum(report.frames_seen for report in found)
        assert (found[-1].lines["mid"].total_in, found[-1].lines["mid"].total_out) == crossed_after(frames)
        assert len({report.artifact_digest for report in found if report.artifact_digest}) == 1


def test_the_operators_keys_come_with_the_metadata_and_an_unsigned_document_is_refused_from_then_on(
    tmp_path: Path, mosquitto: Mosquitto, operator: Operator, settings: dict[str, Any]
) -> None:
    manifest = operator.release("1.1.0")
    with Watcher(mosquitto.port) as watcher, Agent(tmp_path, settings):
        watcher.wait_for(lambda: counted(watcher))
        operator.document(watcher, "1.1.0", manifest, 1)
        assert ended(watcher, 1).model_revision == 1
        assert (tmp_path / "state/operator-keys.json").exists()
        now = time.time()
        plain = desired({"window_seconds": 2}, 2, issued=time_text(now), expires=time_text(now + 3600))
        watcher.publish(DESIRED, json.dumps(plain).encode(), retain=True)
        refused = answered(watcher, lambda one: one.refused is not None).refused
        assert refused is not None
        assert refused.code == "signature_missing"


def test_a_box_with_a_root_takes_no_unsigned_document_before_it_has_read_who_may_sign(
    tmp_path: Path, mosquitto: Mosquitto, operator: Operator, settings: dict[str, Any]
) -> None:
    operator.release("1.1.0")
    stick = tmp_path / "stick"
    operator.run(
        "export", "squares", "1.1.0", "--to", stick, "--target", "x86-onnxruntime", "--repository", operator.repository,
        "--keys", operator.keys,
    )  # fmt: skip
    del settings["update"]["server"]
    now = time.time()
    plain = desired({"window_seconds": 2}, 2, issued=time_text(now), expires=time_text(now + 3600))

    def refused_with(code: str) -> Callable[[Reported], bool]:
        return lambda one: one.refused is not None and one.refused.code == code

    with Watcher(mosquitto.port) as watcher, Agent(tmp_path, settings):
        watcher.wait_for(lambda: counted(watcher))
        watcher.publish(DESIRED, json.dumps(plain).encode(), retain=True)
        refused = answered(watcher, refused_with("keys_awaited")).refused
        assert refused is not None
        assert "looked at again" in refused.reason
        run_cli("agent.cli", "update", stick, "--model", "squares@1.1.0", "--config", tmp_path / "agent.toml")
        assert answered(watcher, refused_with("signature_missing")).state == "local"
        assert (tmp_path / "state/operator-keys.json").exists()


def test_a_model_that_crashes_the_agent_again_and_again_is_taken_back(
    tmp_path: Path, mosquitto: Mosquitto, operator: Operator, settings: dict[str, Any]
) -> None:
    manifest = operator.release("1.1.0")
    settings["update"]["probation"] = {"seconds": 3600, "frames": 30}
    with Watcher(mosquitto.port) as watcher, Agent(tmp_path, settings) as agent:
        watcher.wait_for(lambda: counted(watcher))
        before = counted(watcher)[-1].artifact_digest
        operator.document(watcher, "1.1.0", manifest, 1)
        answered(watcher, lambda one: one.update is not None and one.update.state == "probation")
        for _ in range(4):  # as a runtime does that crashes a while after it was loaded
            agent.kill()
            count = len(counted(watcher))
            agent.start()
            watcher.wait_for(lambda count=count: len(counted(watcher)) > count)  # type: ignore[misc]
        report = ended(watcher, 1).update
        assert report is not None
        assert (report.state, report.code) == ("rolled_back", "does_not_start"), report
        count = len(counted(watcher))
        watcher.wait_for(lambda: len(counted(watcher)) > count + 1)
        assert counted(watcher)[-1].artifact_digest == before


def test_a_stick_with_an_exported_release_is_taken_and_an_unsigned_bundle_is_not(
    tmp_path: Path, mosquitto: Mosquitto, operator: Operator, settings: dict[str, Any]
) -> None:
    operator.release("1.1.0")
    stick = tmp_path / "stick"
    operator.run(
        "export", "squares", "1.1.0", "--to", stick, "--target", "x86-onnxruntime", "--repository", operator.repository,
        "--keys", operator.keys,
    )  # fmt: skip
    del settings["update"]["server"]
    config = ("--config", tmp_path / "agent.toml", "--json")
    with Watcher(mosquitto.port) as watcher, Agent(tmp_path, settings):
        watcher.wait_for(lambda: counted(watcher))
        bare = run_cli("agent.cli", "update", tmp_path / "operator/bundle-1.1.0", *config)
        refused = UpdateReport.model_validate_json(bare.stdout)
        assert (bare.returncode, refused.state, refused.code) == (3, "rejected", "not_trusted")
        signed = run_cli("agent.cli", "update", stick, "--model", "squares@1.1.0", *config)
        assert UpdateReport.model_validate_json(signed.stdout).state == "committed", signed.stdout
        assert signed.returncode == 0
