"""``python -m tests.packaging.measuring DEBS BUNDLE [RELEASE]``: from a bare system to the first count, and the sizes.

DEBS is a folder with one agent and one runtime for this machine's processor. Run as root; it needs mmdebstrap.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.packaging.conftest import BUILD, RELEASES
from tests.packaging.roots import Root, bootstrap

RUNS = 3


@dataclass(frozen=True)
class Took:
    """Seconds on the clock, and of processors, which other work on the machine changes less."""

    clock: float
    processors: float

    def __str__(self) -> str:
        return f"{self.clock:.1f} s ({self.processors:.1f} s of processors)"


def measure(debs: list[Path], bundle: Path, release: str) -> tuple[Took, Took, int]:
    """Installing, the first count after it, and KiB more on the disk."""
    [wanted] = [one for one in RELEASES if one.name == release]
    with tempfile.TemporaryDirectory(prefix="edgetally-measuring-") as folder:
        root = Root.unpack(bootstrap(wanted, BUILD), Path(folder) / "root")
        inside = root.put(*debs)
        root.put(bundle)
        before = used(root)
        install = took(root, "dpkg", "--install", *inside)
        clip = "synthetic:frames=1,width=640,height=360"
        return (
            install,
            took(root, "edgetally-agent", "count", clip, "--bundle", f"/root/{bundle.name}"),
            used(root) - before,
        )


def took(root: Root, *command: str) -> Took:
    """Run it inside."""
    begun, spent = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    root.run(*command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processors = after.ru_utime + after.ru_stime - spent.ru_utime - spent.ru_stime
    return Took(time.monotonic() - begun, processors)


def used(root: Root) -> int:
    """KiB of the disk."""
    return int(
        subprocess.run(["du", "-sk", str(root.path)], capture_output=True, text=True, check=True).stdout.split()[0]
    )


def main() -> None:
    """Print a line for each run."""
    folder, bundle, *release = sys.argv[1:]
    debs = sorted(Path(folder).glob("*.deb"))
    sizes = ", ".join(f"{deb.name} {deb.stat().st_size / 1e6:.0f} MB" for deb in debs)
    sys.stdout.write(f"{sizes}\n")
    for _ in range(RUNS):
        install, count, disk = measure(debs, Path(bundle), *release or ["bookworm"])
        sys.stdout.write(f"installed in {install}, counted in {count}, {disk * 1024 / 1e6:.0f} MB on the disk\n")


if __name__ == "__main__":
    main()
