"""Doing what a device does before an artifact counts, so that no bundle leaves that its own samples refuse."""

from __future__ import annotations

from runtime.artifact_lanes import open_artifact_lanes
from runtime.bundle import Bundle
from runtime.golden import check_golden


def self_test(bundle: Bundle) -> None:
    """Check every file, and run the golden samples through every artifact that was run here before.

    Raises:
        BundleError: a file is not what the manifest says.
        GoldenError: an artifact does not give what the samples expect.
    """
    bundle.check()
    for artifact in bundle.manifest.artifacts:
        # What another backend stood in for does not run here; its parity says so.
        tried = {parity.execution_precision for parity in artifact.parity if artifact.ran_on_its_backend}
        for execution_precision in artifact.execution_precisions:
            if execution_precision not in tried:
                continue
            (lane,) = open_artifact_lanes(bundle, artifact, execution_precision=execution_precision)
            try:
                check_golden(lane, bundle, artifact, execution_precision)
            finally:
                lane.close()
