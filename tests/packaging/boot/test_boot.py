"""A real boot: the packages on a Debian with systemd; what cuts a box off, hangs it or breaks its file, and the bill.

The road is known, so each total is held against the frames that were counted (`tests.integration.boxes.check_road`).
"""

from __future__ import annotations

import json
import re
import time

import pytest

from tests.integration.brokers import wait_until
from tests.packaging.boot.box import CONFIG, SERVICE, Box
from tests.packaging.boot.machine import PATIENCE

pytestmark = pytest.mark.boot

PERMITTED = {"write its state", "write its cache", "write its own /tmp", "connect to any broker"}
MOST_EXPOSED = 1.5
PROBE = "/run/systemd/system/edgetally-probe.service"
HANGS = """\
[Service]
ExecStart=
ExecStart=/opt/edgetally/current/bin/python -m tests.integration.faulty_agent lane-hangs run --config {config}
Environment=PYTHONPATH=/mnt/python
"""


def test_once_installed_and_configured_the_service_counts_and_publishes(box: Box) -> None:
    assert box.shown("Type") == "notify"
    assert (box.shown("ActiveState"), box.shown("SubState")) == ("active", "running")
    assert box.shown("UnitFileState") == "enabled"
    box.wait_for_status("^counting 1 of 1 cameras, .*; broker connected$")
    box.check_bill()


def test_an_agent_that_is_killed_is_back_by_itself_and_the_bill_is_right(box: Box) -> None:
    restarts, lives = box.restarts, box.lives()
    box.machine.run(f"systemctl kill -s KILL {SERVICE}")
    box.wait_for_a_life_after(lives)
    box.wait_for_reports()
    assert box.restarts == restarts + 1
    box.check_bill()


def test_after_the_power_was_cut_it_counts_again_by_itself_and_the_bill_is_right(box: Box) -> None:
    lives = box.lives()
    box.machine.cut_power()
    began = time.monotonic()
    box.machine.switch_on()
    box.wait_for_a_life_after(lives)
    box.figures["from power after a cut until its first report is at the broker"] = time.monotonic() - began
    box.wait_for_reports()
    assert "recovery complete" in box.machine.run("dmesg").text, "the disk was not put away in order"
    box.check_bill()


def test_an_agent_that_stands_still_is_ended_by_the_watchdog_and_started_anew(box: Box) -> None:
    mark, restarts, lives = box.mark(), box.restarts, box.lives()
    box.machine.run(f"kill -STOP {box.pid}")
    box.wait_for_a_life_after(lives)
    box.wait_for_reports()
    assert box.restarts == restarts + 1
    assert "Watchdog timeout" in box.journal(mark)
    box.check_bill()


def test_a_lane_that_hangs_starves_the_watchdog_and_the_journal_says_where_it_hung(box: Box) -> None:
    mark = box.mark()
    with box.drop_in(HANGS.format(config=CONFIG)):
        box.wait_for_journal("Preparer.prepare hangs from here on", mark)
        box.wait_for_journal("the watchdog is not fed any more", mark)
        box.wait_for_journal("Watchdog timeout", mark)
        box.wait_for_journal("Scheduled restart job", mark)
    assert "Fatal Python error: Aborted" in box.journal(mark)
    assert "faulty_agent.py" in box.journal(mark), "where each thread stood"
    box.wait_for_reports()
    box.check_bill()


def test_neither_a_broker_nor_a_network_is_needed_to_count(box: Box) -> None:
    pid = box.pid
    box.broker.stop()
    try:
        box.wait_for_status("broker away, reports wait")
        box.wait_for_numbers()
        assert box.shown("StatusText").startswith("counting 1 of 1 cameras")
    finally:
        box.broker.start()
    box.wait_for_reports()
    box.machine.run("networkctl down $(ls /sys/class/net | grep -v lo)")
    box.wait_for_numbers()
    box.machine.run("networkctl up $(ls /sys/class/net | grep -v lo)")
    box.wait_for_reports(4)
    assert box.pid == pid, "nothing of it was a reason to be started anew, nor was it to look into its database"
    box.check_bill()


def test_a_box_that_comes_up_without_a_network_counts_and_delivers_later(box: Box) -> None:
    box.machine.shut_down()
    box.machine.switch_on(network=False)
    box.machine.wait_until(f"systemctl is-active {SERVICE}")
    box.wait_for_numbers()
    silent = box.numbered
    box.machine.cut_power()
    box.machine.switch_on()
    wait_until(lambda: box.reports()[-1].seq >= silent, PATIENCE)
    box.check_bill()


def test_the_unit_keeps_its_process_from_all_that_it_does_not_need(box: Box) -> None:
    unit = box.machine.run(f"systemctl cat {SERVICE}").text
    probe = re.sub(r"(?m)^ExecStart=.*", "ExecStart=/usr/bin/python3 /mnt/probe.py", unit)
    probe = re.sub(r"(?m)^Type=.*", "Type=oneshot", re.sub(r"(?m)^(Restart|WatchdogSec)=.*", "", probe))
    box.machine.write(PROBE, probe + "\n[Service]\nStandardOutput=file:/run/probed.json\n")
    box.machine.run("systemctl daemon-reload; systemctl start edgetally-probe")
    found = json.loads(box.machine.run("cat /run/probed.json").text)
    assert {name for name, came in found.items() if came == "done"} == PERMITTED, found
    assert len(found) > len(PERMITTED)


def test_systemd_finds_the_running_service_hardly_exposed(box: Box) -> None:
    told = box.machine.run(f"systemd-analyze security --no-pager {SERVICE}", check=False).text
    [level] = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", told)
    assert float(level) <= MOST_EXPOSED
    status = box.machine.run(f"cat /proc/{box.pid}/status").text
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert (fields["NoNewPrivs"], fields["Seccomp"], int(fields["CapBnd"], 16)) == ("1", "2", 0)
    assert int(fields["CapEff"], 16) == 0
    user = box.machine.run("id -u edgetally").text.strip()
    assert fields["Uid"].split() == [user] * 4


def test_a_broken_file_is_left_for_the_last_that_counted_and_the_service_says_so(box: Box) -> None:
    box.machine.wait_until("cmp /var/lib/edgetally/last-good/agent.toml " + CONFIG)
    mark = box.mark()
    box.machine.write(CONFIG, box.settings.replace("window_seconds", "windw_seconds"))
    box.machine.run(f"systemctl restart {SERVICE}", check=False)
    box.wait_for_status("the last good one runs; counting 1 of 1 cameras")
    box.wait_for_reports()
    said = box.journal(mark)
    assert "windw_seconds" in said, "what is wrong with it"
    assert "did not come up 5 times" in said
    box.machine.write(CONFIG, box.settings)
    box.machine.run(f"systemctl restart {SERVICE}")
    box.wait_for_reports()
    assert "last good" not in box.shown("StatusText")
    box.check_bill()
