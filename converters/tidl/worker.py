"""Compiles a TFLite file with TIDL, in the Python 3.10 environment that TI's set-up makes; imports nothing of ours.

``python worker.py job.json`` in the job's folder, with TIDL_TOOLS_PATH set. All that TIDL says goes to stdout.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main(job_file: str) -> None:
    """Import the network through TIDL's delegate by running it on the calibration pictures."""
    import numpy as np
    import tflite_runtime.interpreter as tflite

    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    tools = os.environ["TIDL_TOOLS_PATH"]
    options = {"tidl_tools_path": tools, "artifacts_folder": job["artifacts"], **job["options"]}
    delegate = tflite.load_delegate(str(Path(tools, "tidl_model_import_tflite.so")), options)
    interpreter = tflite.Interpreter(job["model"], experimental_delegates=[delegate])
    interpreter.allocate_tensors()
    (frame,) = interpreter.get_input_details()
    for picture in np.load(job["pictures"], mmap_mode="r", allow_pickle=False):
        interpreter.set_tensor(frame["index"], picture[np.newaxis].astype(frame["dtype"]))
        interpreter.invoke()


if __name__ == "__main__":
    main(sys.argv[1])
