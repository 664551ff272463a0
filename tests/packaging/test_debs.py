"""Packages are installed, upgraded, broken, removed and purged in bare systems of Debian, without a network."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from contracts.version import VERSION
from tests.packaging.conftest import OLDER, RELEASES, Debs
from tests.packaging.roots import Release, Root

pytestmark = pytest.mark.packaging

CONFIG = """\
device = "box-1"
bundle = "/root/bundle"
window_seconds = 1
[broker]
host = "127.0.0.1"
[[camera]]
id = "gate"
source = "synthetic:frames=90,width=640,height=360"
"""
IDENTITY = """
import sqlite3
print(*sqlite3.connect("/var/lib/edgetally/edgetally.db").execute("SELECT store_id, next_seq FROM identity").fetchone())
"""
LEFT_BY_THE_SYSTEM = {"render"}
"""A group that the unit names and other packages (udev) would make as well; it stays."""


def install(root: Root, debs: tuple[Path, ...], *, check: bool = True) -> subprocess.CompletedProcess[str]:
    return root.run("dpkg", "--install", *root.put(*debs), check=check)


def version(root: Root) -> str:
    return root.run("edgetally-agent", "--version").stdout.split()[-1]


def counted(root: Root) -> dict[str, object]:
    command = ["edgetally-agent", "count", "synthetic:frames=20,width=640,height=360", "--bundle", "/root/bundle"]
    found: dict[str, object] = json.loads(root.run(*command, "--json").stdout)
    return found


def left(root: Root, before: set[str], accounts: set[str]) -> tuple[set[str], set[str]]:
    files = (root.files() ^ before) - {"/opt"}  # dpkg takes an empty folder away that was no package's before
    names = {line for line in root.accounts() ^ accounts if line.partition(":")[0] not in LEFT_BY_THE_SYSTEM}
    return files, names


def test_a_bare_box_counts_after_one_command_and_is_bare_again_after_a_purge(
    root: Root, release: Release, debs: Debs, model_bundle: Path
) -> None:
    before, accounts = root.files(), root.accounts()
    install(root, debs.new)
    root.put(model_bundle)
    assert version(root) == VERSION
    assert f"-cp{release.python.replace('.', '')}-" in root.run("readlink", "/opt/edgetally/current").stdout
    assert counted(root)["artifact"] == "x86-onnxruntime/fp32"
    assert root.run("stat", "-c", "%U:%G %a", "/var/lib/edgetally").stdout == "edgetally:edgetally 700\n"
    assert root.run("stat", "-c", "%U:%G %a", "/var/cache/edgetally").stdout == "edgetally:edgetally 700\n"
    assert root.run("stat", "-c", "%U:%G %a", "/etc/edgetally").stdout == "root:root 755\n"
    groups = root.run("id", "-Gn", "edgetally").stdout.split()
    assert groups == ["edgetally", "video", "render"]
    root.run("setpriv", "--reuid=edgetally", "--regid=edgetally", "--init-groups", "edgetally-agent", "--version")
    root.run("dpkg", "--verify", "edgetally-agent")
    root.run("dpkg", "--purge", "edgetally-runtime-onnxruntime", "edgetally-agent")
    assert left(root, before, accounts) == (set(), set())


def test_an_upgrade_keeps_configuration_and_totals_and_so_does_removing(
    root: Root, debs: Debs, model_bundle: Path
) -> None:
    before, accounts = root.files(), root.accounts()
    install(root, debs.old)
    root.put(model_bundle)
    assert version(root) == OLDER
    config = root.path / "etc" / "edgetally" / "agent.toml"
    config.write_text(CONFIG)
    first = run_agent(root)
    install(root, debs.new)
    assert version(root) == VERSION
    assert config.read_text() == CONFIG
    second = run_agent(root)
    assert second.store == first.store
    assert second.next_seq > first.next_seq > 1
    root.run("dpkg", "--remove", "edgetally-runtime-onnxruntime", "edgetally-agent")
    assert not (root.path / "opt" / "edgetally").exists()
    assert config.read_text() == CONFIG
    assert list((root.path / "var" / "lib" / "edgetally").iterdir())
    install(root, debs.new)
    third = run_agent(root)
    assert third.store == first.store
    assert third.next_seq > second.next_seq
    root.run("dpkg", "--purge", "edgetally-runtime-onnxruntime", "edgetally-agent")
    assert left(root, before, accounts) == (set(), set())


@dataclass(frozen=True)
class Numbering:
    """What bills are checked by: it goes on where it was."""

    store: str
    next_seq: int


def run_agent(root: Root) -> Numbering:
    """Run the service's command as the service's user until its clip has ended."""
    user = ["setpriv", "--reuid=edgetally", "--regid=edgetally", "--init-groups"]
    root.run(*user, "edgetally-agent", "run", "--until-end")
    store, next_seq = root.run("python3", "-c", IDENTITY).stdout.split()
    return Numbering(store, int(next_seq))


def test_a_runtime_that_comes_or_goes_makes_the_environment_anew(root: Root, debs: Debs) -> None:
    agent, runtime = root.put(*debs.new)
    root.run("dpkg", "--install", agent)
    bare = root.run("readlink", "/opt/edgetally/current").stdout
    told = root.run("dpkg", "--install", runtime).stdout
    assert told.count("edgetally-agent: made") == 1
    root.run("/opt/edgetally/current/bin/python", "-c", "import onnxruntime")
    root.run("dpkg", "--remove", "edgetally-runtime-onnxruntime")
    assert root.run("readlink", "/opt/edgetally/current").stdout == bare
    assert root.run("dpkg", "--audit").stdout == ""


@pytest.mark.parametrize("release", RELEASES[:1], indirect=True, ids=lambda release: release.name)
def test_an_upgrade_whose_environment_cannot_be_made_leaves_the_old_one_running(
    root: Root, debs: Debs, tmp_path: Path
) -> None:
    install(root, debs.old)
    agent, runtime = debs.new
    broken = damaged(agent, tmp_path / "damaged", tmp_path / "broken.deb")
    done = root.run("dpkg", "--install", *root.put(broken, runtime), check=False)
    assert done.returncode == 1
    assert "what ran before runs on" in done.stderr
    assert version(root) == OLDER
    install(root, debs.new)
    assert version(root) == VERSION
    assert root.run("dpkg", "--audit").stdout == ""


def damaged(deb: Path, folder: Path, out: Path) -> Path:
    """The package with one wheel cut short."""
    subprocess.run(["dpkg-deb", "-R", str(deb), str(folder)], check=True)
    for wheel in folder.glob("opt/edgetally/components/agent/wheels/numpy-*.whl"):
        wheel.write_bytes(wheel.read_bytes()[:1000])
    subprocess.run(["dpkg-deb", "-Znone", "-b", str(folder), str(out)], check=True, capture_output=True)
    return out


# Stand-ins for systemd's commands, which need it to run: the service is active, and the new version does not start.
SYSTEMCTL = """\
#!/bin/sh
echo "systemctl $*" >>/root/said
[ "$1" != is-active ] || echo active
"""
INVOKE = """\
#!/bin/sh
echo "$1 $(readlink /opt/edgetally/current)" >>/root/said
case "$(readlink /opt/edgetally/current)" in *NEW-cp*) exit 1 ;; esac
"""


@pytest.mark.parametrize("release", RELEASES[:1], indirect=True, ids=lambda release: release.name)
def test_a_new_version_that_does_not_start_is_followed_by_the_one_before(root: Root, debs: Debs) -> None:
    install(root, debs.old)
    (root.path / "run" / "systemd" / "system").mkdir(parents=True)
    for name, text in {"systemctl": SYSTEMCTL, "deb-systemd-invoke": INVOKE.replace("NEW", VERSION)}.items():
        path = root.path / "usr" / "local" / "bin" / name
        path.write_text(text)
        path.chmod(0o755)
    done = install(root, debs.new, check=False)
    assert done.returncode == 1
    assert "edgetally-agent.service does not start any more; going back" in done.stderr
    assert version(root) == OLDER
    restarts = [line for line in (root.path / "root" / "said").read_text().splitlines() if line.startswith("restart")]
    assert [line.split("/")[1].partition("-")[0] for line in restarts] == [VERSION, OLDER]


@pytest.mark.parametrize("release", RELEASES[:1], indirect=True, ids=lambda release: release.name)
def test_without_packages_install_sh_installs_upgrades_uninstalls_and_purges(
    root: Root, archives: tuple[Path, Path], model_bundle: Path
) -> None:
    before, accounts = root.files(), root.accounts()
    old, new = root.put(*archives)
    root.put(model_bundle)
    for archive in (old, new):
        root.run("tar", "-xf", archive, "-C", "/root")
    root.run(f"{old.removesuffix('.tar')}/install.sh", "--runtime", "onnxruntime")
    assert version(root) == OLDER
    config = root.path / "etc" / "edgetally" / "agent.toml"
    config.write_text(CONFIG)
    first = run_agent(root)
    root.run(f"{new.removesuffix('.tar')}/install.sh")
    assert version(root) == VERSION
    second = run_agent(root)
    assert (second.store, second.next_seq > first.next_seq) == (first.store, True)
    root.run("/opt/edgetally/install.sh", "--uninstall")
    assert left(root, before, accounts)[0] >= {"/etc/edgetally/agent.toml", "/var/lib/edgetally/edgetally.db"}
    assert not [path for path in left(root, before, accounts)[0] if path.startswith(("/opt", "/usr"))]
    root.run(f"{new.removesuffix('.tar')}/install.sh", "--purge")
    assert left(root, before, accounts) == (set(), set())


@pytest.mark.parametrize("release", RELEASES[:1], indirect=True, ids=lambda release: release.name)
def test_install_sh_and_the_package_do_not_get_in_each_others_way(
    root: Root, archives: tuple[Path, Path], debs: Debs
) -> None:
    _, archive = root.put(*archives)
    root.run("tar", "-xf", archive, "-C", "/root")
    script = f"{archive.removesuffix('.tar')}/install.sh"
    root.run(script)
    done = install(root, debs.new, check=False)
    assert "first run /opt/edgetally/install.sh --uninstall" in done.stderr
    root.run("/opt/edgetally/install.sh", "--uninstall")
    install(root, debs.new)
    done = root.run(script, check=False)
    assert done.returncode == 2
    assert "the package edgetally-agent is installed" in done.stderr


@pytest.mark.parametrize("release", RELEASES[:1], indirect=True, ids=lambda release: release.name)
@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--runtime", "tensorflow"], "unknown runtime tensorflow; expected one of: onnxruntime"),
        (["--force"], "unknown --force"),
        (["--uninstall"], "this script did not install"),
    ],
)
def test_install_sh_says_what_it_cannot_do_and_changes_nothing(
    root: Root, archives: tuple[Path, Path], flags: list[str], problem: str
) -> None:
    _, archive = root.put(*archives)
    root.run("tar", "-xf", archive, "-C", "/root")
    before = root.files()
    done = root.run(f"{archive.removesuffix('.tar')}/install.sh", *flags, check=False)
    assert done.returncode == 2
    assert problem in done.stderr
    assert root.files() == before
