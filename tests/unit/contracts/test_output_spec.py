"""The output table of model.toml: the examples of docs/models.md hold, and options without effect are refused."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from contracts.documents import read_document
from contracts.errors import DocumentError
from contracts.model_spec import ModelSpec
from contracts.output_spec import OutputSpec
from runtime.decoders.table import DECODERS, open_decoder

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGE = (Path(__file__).parents[3] / "docs/models.md").read_text()
EXAMPLES = [tomllib.loads(block) for block in re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)]
KNOWN = [get_args(model.model_fields["decoder"].annotation)[0] for model in get_args(get_args(OutputSpec)[0])]


def document(output: dict[str, Any], labels: tuple[str, ...] = ("car", "truck")) -> dict[str, Any]:
    named = {"name": "m", "version": "1.0.0", "labels": list(labels), "output": output}
    return named | {"input": {"width": 64, "height": 64}}


def read(output: dict[str, Any], labels: tuple[str, ...] = ("car", "truck")) -> ModelSpec:
    return read_document(ModelSpec, document(output, labels), "model.toml")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example["name"]))
def test_an_example_of_the_page_is_a_model_whose_decoder_opens(example: dict[str, Any]) -> None:
    model = read_document(ModelSpec, example, "docs/models.md")
    open_decoder(model)
    again = ModelSpec.model_validate_json(model.model_dump_json())
    assert again == model, "a bundle's manifest holds it as JSON"


def test_the_page_has_an_example_and_a_section_for_every_decoder() -> None:
    shown = {example["output"]["decoder"] for example in EXAMPLES}
    assert shown == set(KNOWN) == set(DECODERS)
    assert set(re.findall(r"^## (\S+)$", PAGE, re.MULTILINE)) == shown
    assert set(re.findall(r"^\| `([a-z-]+)` \| [^|]*\| [^|]*\| (?:yes|no)", PAGE, re.MULTILINE)) == shown


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({"decoder": "yolo"}, "missing key 'output.yolo.layout'"),
        ({"decoder": "yolo", "layout": "v8"}, "'anchors', 'anchor-free' or 'end-to-end'"),
        ({"decoder": "yolo", "layout": "end-to-end", "scores": "logits"}, "'scores' should be 'probabilities'"),
        ({"decoder": "yolo", "layout": "end-to-end", "nms": {"iou": 0.6}}, "'nms' should be left out"),
        ({"decoder": "yolo", "layout": "anchors", "nms": {"groups": [["car", "bus"]]}}, "names 'bus'"),
        ({"decoder": "nanodet", "nms": {"groups": [["car", "bus"]]}}, "names 'bus'"),
        ({"decoder": "nanodet", "strides": []}, "strides"),
        ({"decoder": "yolox", "strides": [0]}, "greater than or equal to 1"),
        ({"decoder": "ssd-tflite", "order": ["boxes", "boxes", "scores", "count"]}, "once each"),
        ({"decoder": "ssd-tflite", "names": {"box": "a"}}, "did you mean 'boxes'?"),
        ({"decoder": "detr"}, "missing key 'output.detr.activation'"),
        ({"decoder": "faces", "layout": "yunet"}, "one label, for a face, got 2"),
        ({"decoder": "landmark"}, "did you mean 'landmarks'?"),
        ({"decoder": "classes", "head": [{"output": "a", "labels": ["car"]}]}, "at least 2"),
    ],
)
def test_what_cannot_be_meant_is_refused(output: dict[str, Any], said: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read(output)
    assert said in str(caught.value)


def test_every_output_but_a_density_has_a_threshold_to_tune() -> None:
    for model in get_args(get_args(OutputSpec)[0]):
        assert ("score" in model.model_fields) != (model.__name__ == "DensityOutput")
