"""Compiles one context binary and runs it once, in a process of its own: the compiler is native code and may crash.

``python -m converters.qnn.worker JOB.json``; what went wrong is on stderr, with the nodes that HTP does not take.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import onnxruntime_qnn
from pydantic import BaseModel, ConfigDict

PROVIDER = "QNNExecutionProvider"
_ERRORS_ONLY = 3  # where the provider names the nodes that it leaves to others


class CompileJob(BaseModel):
    """What to compile.

    Attributes:
        model: the quantised or FP32 ONNX, uint8 in.
        context: the ONNX file to write, beside it the binary.
        graph: an existing folder for the graph as QNN got it (JSON).
        settings: of the provider (``htp_arch``, ``soc_model``…).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Path
    context: Path
    graph: Path
    settings: dict[str, str]


def main(job_file: str) -> None:
    """Compile, then load what was written and run it on zeros."""
    job = CompileJob.model_validate_json(Path(job_file).read_text(encoding="utf-8"))
    ort.register_execution_provider_library(PROVIDER, onnxruntime_qnn.get_library_path())
    dump = {"dump_json_qnn_graph": "1", "json_qnn_graph_dir": str(job.graph)}
    _session(job.model, {**job.settings, **dump}, job.context)
    session = _session(job.context, job.settings)
    zeros = {value.name: np.zeros(value.shape, np.uint8) for value in session.get_inputs()}
    for value in session.run(None, zeros):
        if not np.isfinite(value).all():
            sys.exit("the compiled model gives NaN or infinity on a black picture")


def _session(model: Path, settings: dict[str, str], context: Path | None = None) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    entries = {"session.disable_cpu_ep_fallback": "1"}
    if context is not None:
        entries |= {"ep.context_enable": "1", "ep.context_embed_mode": "0", "ep.context_file_path": str(context)}
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    device = next(device for device in ort.get_ep_devices() if device.ep_name == PROVIDER)
    options.add_provider_for_devices([device], {"backend_path": onnxruntime_qnn.get_qnn_htp_path(), **settings})
    return ort.InferenceSession(str(model), options, enable_fallback=0)


if __name__ == "__main__":
    main(sys.argv[1])
