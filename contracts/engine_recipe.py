"""recipe.json: how a device builds its TensorRT engine from the ONNX that lies beside it.

An engine fits one TensorRT release and one GPU, so what is shipped is an ONNX made for a generation of TensorRT and
this description; the device's own TensorRT does the rest.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator
from typing_extensions import Self

from contracts.documents import MachineModel
from contracts.facts import FactName, Requirement
from contracts.manifest import TensorInfo

RECIPE_NAME = "recipe.json"
RECIPE_VERSION = 1

Generation = Literal["8.2", "8.5", "8.6", "10.3", "10.13", "11"]
"""The TensorRT releases that ONNX files are made for; named by the first release of each."""

BuilderFlag = Literal["FP16", "INT8"]
"""Names in ``tensorrt.BuilderFlag``; TensorRT 11 has neither."""

EnginePrecision = Literal["fp32", "fp16", "int8"]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")]
"""A file beside the recipe: no folder, no leading dot."""


class LowMemory(MachineModel):
    """What to build with on a small board.

    Attributes:
        below_mb: where the device has less than this much memory (fact ``memory_mb``).
        workspace_mib: at most this much scratch memory a layer.
        builder_optimization_level: lower tries fewer kernels; None leaves TensorRT's own (it exists from 8.6 on).
    """

    below_mb: int = Field(gt=0)
    workspace_mib: int = Field(gt=0)
    builder_optimization_level: int | None = Field(None, ge=0, le=5)


class Expected(MachineModel):
    """How many layers that do the work (convolutions, deconvolutions, matrix products) the engine must have at least.

    An engine that computes fewer of them so fell back silently. TensorRT may merge and split layers, so these are what
    is intended less what fusing may take away.

    Attributes:
        int8: in int8.
        half: in FP16 or int8.
        total: such layers in the ONNX, for the error's text ("0 of 53 convolutions are int8").
    """

    int8: int = Field(0, ge=0)
    half: int = Field(0, ge=0)
    total: int = Field(0, ge=0)


class EngineRecipe(MachineModel):
    """The whole of recipe.json.

    Attributes:
        schema_version: of this document; a device refuses one that is newer than it knows.
        generation: the TensorRT that the ONNX was made for.
        requires: what ``runtime.tensorrt`` has to be, as in the manifest.
        onnx: the ONNX file, beside the recipe.
        precision: what the engine shall compute in.
        strongly_typed: whether the types stand in the ONNX and the network is created STRONGLY_TYPED (the flag exists
            from TensorRT 10.0 to 10.x, 11 knows nothing else); then ``flags`` is empty.
        flags: BuilderFlags to set where types are weak: FP16 for fp16, FP16 and INT8 for int8 (scales come from the
            Q/DQ nodes of the ONNX; there is no calibrator).
        inputs: the engine's inputs; float32 where this TensorRT takes no uint8, the values 0 to 255 as they are:
            ``(1, height, width, 3)`` BGR in both cases, so that the device only casts.
        outputs: the engine's outputs, float32.
        workspace_mib: scratch memory that a layer may take while it is built and run.
        builder_optimization_level: 0 to 5; None leaves TensorRT's own, and below 8.6, which has none.
        low_memory: what to use instead on small boards, smallest ``below_mb`` first; the first that applies wins.
        timing_cache_key: the facts by which a timing cache is kept; a cache of others may give wrong timings.
        expected: what the engine's layers must show.
        float_layers: names of ONNX nodes that have to compute in FP32, because FP16 cannot hold their values; only
            where types are weak (``layer.precision`` and OBEY_PRECISION_CONSTRAINTS), elsewhere their types say so.
    """

    schema_version: int = RECIPE_VERSION
    generation: Generation
    requires: tuple[Requirement, ...]
    onnx: FileName
    precision: EnginePrecision
    strongly_typed: bool
    flags: tuple[BuilderFlag, ...] = ()
    inputs: tuple[TensorInfo, ...] = Field(min_length=1)
    outputs: tuple[TensorInfo, ...] = Field(min_length=1)
    workspace_mib: int = Field(gt=0)
    builder_optimization_level: int | None = Field(None, ge=0, le=5)
    low_memory: tuple[LowMemory, ...] = ()
    timing_cache_key: tuple[FactName, ...] = ("runtime.tensorrt", "gpu.sm", "cuda", "power_mode")
    expected: Expected = Expected()
    float_layers: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.strongly_typed and self.flags:
            raise ValueError(f"a strongly typed network takes no precision flags, got {', '.join(self.flags)}")
        if self.strongly_typed and self.float_layers:
            raise ValueError("a strongly typed network has its types in the ONNX, got 'float_layers' beside it")
        sizes = [variant.below_mb for variant in self.low_memory]
        if sizes != sorted(set(sizes)):
            raise ValueError(f"'low_memory' should go from the smallest below_mb up, got {sizes}")
        return self

    def for_memory(self, memory_mb: int | None) -> LowMemory:
        """Workspace and optimisation level for a device with this much memory; None where it is not known."""
        for variant in self.low_memory:
            if memory_mb is not None and memory_mb < variant.below_mb:
                return variant
        return LowMemory(
            below_mb=2**31, workspace_mib=self.workspace_mib, builder_optimization_level=self.builder_optimization_level
        )
