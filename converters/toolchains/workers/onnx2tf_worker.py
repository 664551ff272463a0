"""ONNX to a float32 TFLite file with onnx2tf: ``python onnx2tf_worker.py JOB RESULT``, both JSON.

The job: ``model`` (ONNX), ``entry`` (the .tflite to write), ``input`` (its name; its layout is kept as it is).
The result: ``toolchain`` (name to version) and ``records``, one an output of an ONNX node: ``output``, its name, and
``tensor``, that of the TFLite tensor which onnx2tf says it became.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
import sys
from pathlib import Path


def convert(job: dict[str, str]) -> dict[str, object]:
    """Do the job."""
    import onnx2tf  # type: ignore[import-not-found, unused-ignore]

    folder = Path.cwd() / "onnx2tf"
    onnx2tf.convert(
        input_onnx_file_path=job["model"],
        output_folder_path=str(folder),
        batch_size=1,
        keep_shape_absolutely_input_names=[job["input"]],
        not_use_onnxsim=True,  # the graph was simplified and compared before; its names have to stay
        not_use_opname_auto_generate=True,
        non_verbose=True,
        verbosity="error",
    )
    (written,) = folder.glob("*_float32.tflite")
    (report,) = folder.glob("*_tensor_correspondence_report.json")
    records = json.loads(report.read_text(encoding="utf-8"))["records"]
    shutil.copyfile(written, job["entry"])
    return {
        "toolchain": {"onnx2tf": importlib.metadata.version("onnx2tf"), "onnx2tf_python": platform.python_version()},
        "records": [
            {"output": record["onnx_output_name"], "tensor": record["resolved_tflite_tensor_name"]}
            for record in records
        ],
    }


def main() -> None:
    """Write the result, or the reason why there is none."""
    job, result = (Path(argument) for argument in sys.argv[1:3])
    try:
        document = convert(json.loads(job.read_text(encoding="utf-8")))
    except Exception as error:  # noqa: BLE001 - whatever the tool raises is its answer
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        document = {"error": f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"}
    whole = result.with_suffix(".part")
    whole.write_text(json.dumps(document), encoding="utf-8")
    whole.rename(result)


if __name__ == "__main__":
    main()
