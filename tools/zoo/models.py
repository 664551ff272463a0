"""Building the networks that a recipe names. Importing this module pulls in torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from tools.zoo.recipes import Recipe

DENSITY_UNIT = 1 / 16
"""What an activation of 1 stands for, in vehicles per cell: keeps the head's weights at the size of the others'."""


class ConvBlock(nn.Sequential):
    """Convolution, batch norm, ReLU; depthwise and pointwise where ``separable``."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, separable: bool = False) -> None:
        depthwise: list[nn.Module] = []
        if separable:
            depthwise = [
                nn.Conv2d(inputs, inputs, kernel, stride, kernel // 2, groups=inputs, bias=False),
                nn.BatchNorm2d(inputs),
            ]
            kernel, stride = 1, 1
        pointwise = [
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        ]
        super().__init__(*depthwise, *pointwise)


class Trunk(nn.Module):
    """A timm EfficientNet-like backbone cut after the last stage that is used, its batch norm statistics kept.

    Args:
        name: of the timm model.
        stages: indices of the blocks whose outputs are returned.
        frozen: blocks, and the stem before them, that are not trained.
    """

    def __init__(self, name: str, stages: Sequence[int], frozen: int) -> None:
        from tools.zoo.weights import pretrained

        super().__init__()
        whole = pretrained(name)
        self.stem = nn.Sequential(whole.conv_stem, whole.bn1)
        self.blocks = nn.ModuleList(whole.blocks[: max(stages) + 1])
        self.stages, self.frozen = tuple(stages), frozen
        self.channels = [int(block[-1].conv_pwl.out_channels) for block in (whole.blocks[i] for i in stages)]
        self.strides = [self._stride(i) for i in stages]
        for part in (self.stem, *self.blocks[:frozen]):
            part.requires_grad_(requires_grad=False)

    def _stride(self, stage: int) -> int:
        """Input pixels per cell after a stage, found by running it once."""
        with torch.no_grad():
            x = self.stem.eval()(torch.zeros(1, 3, 64, 64))
            for block in self.blocks[: stage + 1]:
                x = block.eval()(x)
        return 64 // int(x.shape[-1])

    def train(self, mode: bool = True) -> Trunk:
        """Batches are small, so batch norm keeps ImageNet's statistics while everything else trains."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, x: Tensor) -> list[Tensor]:
        """Feature maps of the chosen stages, finest first."""
        x = self._frozen(x)
        outputs = []
        for index, block in enumerate(self.blocks):
            x = block(x) if index >= self.frozen else x
            if index in self.stages:
                outputs.append(x)
        return outputs

    def _frozen(self, x: Tensor) -> Tensor:
        """The untrained part; in training without a graph and in bfloat16, which needs less than half the time."""
        reduced = self.training and self.frozen > 0
        with (
            torch.set_grad_enabled(torch.is_grad_enabled() and not reduced),
            torch.autocast("cpu", torch.bfloat16, enabled=reduced),
        ):
            x = self.stem(x)
            for block in self.blocks[: self.frozen]:
                x = block(x)
        return x.float() if reduced else x


class DensityNet(nn.Module):
    """Trunk, a two-level feature pyramid, separable convolutions and a head that paints vehicles per cell."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        width = recipe.decoder
        self.trunk = Trunk(recipe.backbone, recipe.stages, recipe.frozen)
        self.lateral = nn.ModuleList(ConvBlock(channels, width, 1) for channels in self.trunk.channels)
        self.join = nn.Sequential(*(ConvBlock(width, width, 5, separable=True) for _ in range(2)))
        self.head = density_head(width)

    def forward(self, image: Tensor) -> Tensor:
        """Normalised RGB ``(n, 3, h, w)`` to vehicles per cell ``(n, 1, h/8, w/8)``."""
        maps = [lateral(x) for lateral, x in zip(self.lateral, self.trunk(image), strict=True)]
        merged = maps[-1]
        for finer in reversed(maps[:-1]):
            merged = finer + nn.functional.interpolate(merged, scale_factor=2.0, mode="nearest")
        return torch.relu(self.head(self.join(merged))) * DENSITY_UNIT


class PlainNet(nn.Module):
    """The prototype: a stack of convolutions from scratch, 97 thousand parameters, output stride 8."""

    def __init__(self, _recipe: Recipe) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvBlock(3, 16, stride=2),
            ConvBlock(16, 24, stride=2),
            ConvBlock(24, 43, stride=2),
            *(ConvBlock(43, 43) for _ in range(5)),
        )
        self.head = density_head(43)

    def forward(self, image: Tensor) -> Tensor:
        """As `DensityNet.forward`."""
        return torch.relu(self.head(self.body(image))) * DENSITY_UNIT


def density_head(channels: int) -> nn.Conv2d:
    """One value per cell; starts slightly positive because a ReLU that starts at zero may never learn."""
    head = nn.Conv2d(channels, 1, 1)
    nn.init.normal_(head.weight, std=0.02)
    nn.init.constant_(head.bias, 0.1)
    return head


BUILDERS: dict[str, Callable[[Recipe], nn.Module]] = {"plain": PlainNet}


def build(recipe: Recipe) -> nn.Module:
    """The network that a recipe describes, with its initial weights; any backbone not listed is asked of timm."""
    torch.manual_seed(recipe.seed)
    model = BUILDERS.get(recipe.backbone, DensityNet)(recipe)
    return model.to(memory_format=torch.channels_last)


def parameter_count(model: nn.Module) -> int:
    """Weights and biases, batch norm's included."""
    return sum(p.numel() for p in model.parameters())
