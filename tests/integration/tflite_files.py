"""TFLite files for tests, so that an interpreter alone can be tested where neither LiteRT nor a toolchain is.

``python -m tests.integration.tflite_files FOLDER`` writes `write_double`'s file and, where the toolchains are
installed, vehicle-density in each precision with frames and what LiteRT gave for them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.synthetic_road import RoadSettings, SyntheticRoad

ROOT = Path(__file__).parents[2]
SHAPE = (1, 4, 4, 3)
PRECISIONS = ("fp32", "fp16", "int8")


def write_double(path: Path) -> Path:
    """A network that doubles its uint8 input: ``image`` to float32 ``doubled``, both ``SHAPE``."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    def tensor(name: str, kind: int) -> schema.TensorT:
        made = schema.TensorT()
        made.name, made.type, made.shape, made.buffer = name.encode(), kind, list(SHAPE), 0
        return made

    def operator(code: int, options: int, inputs: list[int], output: int) -> schema.OperatorT:
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs, made.builtinOptionsType = code, inputs, [output], options
        made.builtinOptions = {schema.BuiltinOptions.AddOptions: schema.AddOptionsT}.get(options, schema.CastOptionsT)()
        return made

    def code(number: int) -> schema.OperatorCodeT:
        made = schema.OperatorCodeT()
        made.builtinCode = made.deprecatedBuiltinCode = number
        made.version = 1
        return made

    def end(name: str, index: int) -> schema.TensorMapT:
        made = schema.TensorMapT()
        made.name, made.tensorIndex = name.encode(), index
        return made

    kinds, options = schema.TensorType, schema.BuiltinOptions
    graph, signature, model = schema.SubGraphT(), schema.SignatureDefT(), schema.ModelT()
    graph.tensors = [tensor("image", kinds.UINT8), tensor("x", kinds.FLOAT32), tensor("doubled", kinds.FLOAT32)]
    graph.operators = [operator(0, options.CastOptions, [0], 1), operator(1, options.AddOptions, [1, 1], 2)]
    graph.inputs, graph.outputs = [0], [2]
    signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
    signature.inputs, signature.outputs = [end("image", 0)], [end("doubled", 2)]
    model.version, model.subgraphs, model.buffers = 3, [graph], [schema.BufferT()]
    model.operatorCodes = [code(schema.BuiltinOperator.CAST), code(schema.BuiltinOperator.ADD)]
    model.signatureDefs = [signature]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(builder.Output())
    return path


def write_density(folder: Path) -> None:
    """vehicle-density in each precision, each with ``expected.npy``, what LiteRT gave for ``frames.npy``."""
    import onnx

    from converters.families import tflite
    from converters.families.base import Job, Recipe
    from converters.fold import fold
    from converters.read import read_onnx
    from runtime.backends.table import open_lane
    from runtime.model_dir import read_model_dir

    directory = read_model_dir(ROOT / "models" / "vehicle-density")
    spec, source = directory.spec, directory.model_file
    onnx.save(fold(read_onnx(source, spec.input), spec.input), folder / "folded.onnx")
    frames = pictures(8, spec.input.height, spec.input.width)
    np.save(folder / "frames.npy", frames)
    job = Job(spec, source, folder / "folded.onnx", {}, folder, calibration=folder / "frames.npy")
    for precision in PRECISIONS:
        (folder / precision).mkdir()
        entry = tflite.emit(job, Recipe(precision, "minmax" if precision == "int8" else ""), folder / precision).entry
        lane = open_lane("tflite", entry)
        np.save(
            folder / precision / "expected.npy", [lane.infer({"image": frame[None]})["density"] for frame in frames]
        )


def pictures(count: int, height: int, width: int) -> NDArray[np.uint8]:
    """uint8 ``(count, height, width, 3)``: the synthetic road, each with other vehicles."""
    road = SyntheticRoad(RoadSettings(width=width, height=height, seed=7))
    return np.stack([road.frame(97 * index) for index in range(count)])


def main(folder: Path) -> None:
    """Write all that can be written here."""
    from converters.toolchains.environment import installed
    from converters.toolchains.table import TOOLCHAINS

    write_double(folder / "double.tflite")
    if all(installed(TOOLCHAINS[name]) for name in ("onnx2tf", "ai-edge-quantizer")):
        write_density(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
