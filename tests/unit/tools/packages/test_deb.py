"""The packages that come out: their control files, their contents, and that the same source gives the same bytes."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from contracts.errors import DocumentError, UnknownNameError
from tests.unit.tools.packages.tiny import ROOT, ingredients
from tools.packages.archive import build_archive
from tools.packages.catalogue import AGENT, CATALOGUE, FLEET, RUNTIMES, Package
from tools.packages.deb import build_deb, debian_version
from tools.packages.scripts import MAINTAINER_SCRIPTS, filled, maintainer_scripts
from tools.packages.tree import read_version

SCRIPTS = ROOT / "packaging" / "scripts"
SERVICES = [package for package in CATALOGUE.values() if package.service is not None]
needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not here")
ONNXRUNTIME = CATALOGUE["edgetally-runtime-onnxruntime"]


def build(package: Package, folder: Path, version: str = "1.2.3") -> Path:
    made_of = ingredients(folder, version)
    work = folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    return build_deb(package, made_of, work, folder / "out")


def field(deb: Path, name: str) -> str:
    return subprocess.run(["dpkg-deb", "-f", str(deb), name], capture_output=True, text=True, check=True).stdout.strip()


def listing(deb: Path) -> dict[str, tuple[str, str]]:
    """Path to mode and owner, of everything but folders."""
    told = subprocess.run(["dpkg-deb", "-c", str(deb)], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=5) for line in told.splitlines()]
    return {row[5].partition(" -> ")[0][1:]: (row[0], row[1]) for row in rows if not row[0].startswith("d")}


@needs_dpkg
@pytest.mark.parametrize("package", CATALOGUE.values(), ids=CATALOGUE)
def test_two_builds_are_the_same_bytes(package: Package, tmp_path: Path) -> None:
    first = build(package, tmp_path / "a")
    ingredients(tmp_path / "b")
    for path in (tmp_path / "b" / "source").rglob("*"):  # as another checkout, of somebody with another umask
        os.utime(path, (1, 1))
        path.chmod(path.stat().st_mode & ~0o077)
    second = build(package, tmp_path / "b")
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


@needs_dpkg
def test_the_archive_is_the_same_bytes_and_belongs_to_root(tmp_path: Path) -> None:
    built = []
    for name in ("a", "b"):
        (tmp_path / name / "work").mkdir(parents=True)
        made_of = ingredients(tmp_path / name)
        built.append(build_archive(AGENT, RUNTIMES, made_of, tmp_path / name / "work", tmp_path / name / "out"))
    assert built[0].read_bytes() == built[1].read_bytes()
    with tarfile.open(built[0]) as archive:
        assert {(member.uid, member.gid) for member in archive} == {(0, 0)}
        names = {member.name.partition("/")[2] for member in archive}
    assert {"install.sh", "SHA256SUMS", "machine", "runtimes/openvino", "files/usr/bin/edgetally-agent"} <= names


@needs_dpkg
def test_the_agent_asks_for_a_python_that_it_has_wheels_for_and_the_glibc_they_need(tmp_path: Path) -> None:
    deb = build(AGENT, tmp_path)
    assert deb.name == "edgetally-agent_1.2.3_amd64.deb"
    needs = field(deb, "Depends").split(", ")
    assert "python3 (>= 3.10) | python3.10 | python3.11" in needs
    assert "python3 (<< 3.12) | python3.10 | python3.11" in needs
    assert "libc6 (>= 2.28)" in needs
    assert field(deb, "Architecture") == "amd64"


@needs_dpkg
@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda one: one.component)
def test_a_runtime_belongs_to_one_version_of_the_agent_and_carries_only_its_own(
    runtime: Package, tmp_path: Path
) -> None:
    deb = build(runtime, tmp_path, "1.2.3-rc.1")
    assert field(deb, "Version") == "1.2.3~rc.1"
    assert field(deb, "Depends").startswith("edgetally-agent (= 1.2.3~rc.1)")
    files = listing(deb)
    assert f"/opt/edgetally/components/{runtime.component}/wheels/more-1.0-py3-none-any.whl" in files
    assert not any("ground" in path or path.startswith("/usr/lib") for path in files)


@needs_dpkg
@pytest.mark.parametrize("package", SERVICES, ids=lambda one: one.name)
def test_units_commands_accounts_and_pages_are_in_it(package: Package, tmp_path: Path) -> None:
    assert package.service is not None
    files = listing(build(package, tmp_path))
    for unit in (*package.service.units, *package.service.called):
        assert f"/usr/lib/systemd/system/{unit}" in files
        lines = (ROOT / "systemd" / unit).read_text().splitlines()
        programs = [line.partition("=")[2].split()[0] for line in lines if line.startswith("ExecStart=")]
        assert len(programs) == unit.endswith(".service")
        assert set(programs) <= set(files), f"{unit} starts {programs}, which the package does not bring"
    assert f"/usr/bin/{package.service.command}" in files
    assert f"/usr/lib/sysusers.d/{package.name}.conf" in files
    assert f"/usr/share/doc/{package.name}/service.md" in files


@needs_dpkg
def test_files_belong_to_root_and_only_programs_can_be_run(tmp_path: Path) -> None:
    files = listing(build(AGENT, tmp_path))
    assert {owner for _, owner in files.values()} == {"root/root"}
    modes = {path: mode for path, (mode, _) in files.items() if not mode.startswith("l")}
    assert modes.pop("/opt/edgetally/systemd/choose-drop-ins") == "-rwxr-xr-x"
    assert set(modes.values()) == {"-rw-r--r--"}


@needs_dpkg
def test_nothing_of_the_configuration_is_dpkgs_so_that_an_unattended_upgrade_asks_nothing(tmp_path: Path) -> None:
    deb = build(AGENT, tmp_path)
    assert not any(path.startswith(("/etc", "/var")) for path in listing(deb))


@needs_dpkg
def test_a_runtime_that_comes_or_goes_and_another_python_trigger_the_agent(tmp_path: Path) -> None:
    deb = build(AGENT, tmp_path)
    told = subprocess.run(["dpkg-deb", "-I", str(deb), "triggers"], capture_output=True, text=True, check=True).stdout
    assert told.splitlines() == ["interest /opt/edgetally/components", "interest-noawait /usr/bin/python3"]
    command = ["dpkg-deb", "-I", str(build(ONNXRUNTIME, tmp_path))]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert not any(script in told for script in MAINTAINER_SCRIPTS)


@pytest.mark.parametrize("package", SERVICES, ids=lambda one: one.name)
def test_every_script_is_filled_in_and_a_shell_can_read_it(package: Package) -> None:
    scripts = {**maintainer_scripts(package, SCRIPTS), "install.sh": filled(package, SCRIPTS.parent / "install.sh")}
    for name, text in scripts.items():
        assert text.startswith("#!/bin/sh\n")
        assert "@" not in text.replace('"$@"', ""), f"{name} has a slot left"
        done = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{name}: {done.stderr}"


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not here")
@pytest.mark.parametrize("package", SERVICES, ids=lambda one: one.name)
def test_shellcheck_has_nothing_to_say(package: Package) -> None:
    scripts = {**maintainer_scripts(package, SCRIPTS), "install.sh": filled(package, SCRIPTS.parent / "install.sh")}
    for name, text in scripts.items():
        # 2043: a loop over one name; 2317: not every script calls all that is shared.
        command = ["shellcheck", "-s", "sh", "-e", "SC2043,SC2317", "-"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{name}: {done.stdout}"


def test_a_slot_that_nothing_fills_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "x.sh"
    script.write_text("#!/bin/sh\necho @HOMES@\n")
    with pytest.raises(UnknownNameError, match="HOMES"):
        filled(AGENT, script)


def purged(package: Package, folder: Path) -> set[str]:
    assert package.service is not None
    find = f"find '{folder}' -mindepth 1 -maxdepth 1 \\( {package.service.config_files} \\) -printf '%f '"
    return set(subprocess.run(["sh", "-c", find], capture_output=True, text=True, check=True).stdout.split())


def test_purging_one_side_leaves_the_configuration_of_the_other_and_keys_are_never_purged(tmp_path: Path) -> None:
    for name in ("agent.toml", "page.key", "fleet.env", "fleet-passphrase", "console.env", "enrolment.toml"):
        (tmp_path / name).touch()
    for name in ("keys", "ca"):
        (tmp_path / name).mkdir()
    assert purged(AGENT, tmp_path) == {"agent.toml", "page.key"}
    assert purged(FLEET, tmp_path) == {"fleet.env", "console.env", "enrolment.toml"}


@pytest.mark.parametrize(
    ("version", "debian"), [("0.1.0", "0.1.0"), ("1.0.0-rc.1", "1.0.0~rc.1"), ("1.0.0-rc.1+b-2", "1.0.0~rc.1+b-2")]
)
def test_a_release_candidate_comes_before_its_release(version: str, debian: str) -> None:
    assert debian_version(version) == debian


def test_a_checkout_without_a_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "version.py").write_text("")
    with pytest.raises(DocumentError, match="VERSION"):
        read_version(tmp_path)
