"""The image encoder: a small convolutional network whose last map is what attention looks at."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqloom.bounds import Positive, Rate
from seqloom.errors import DataError
from seqloom.layers.dropout import Dropout
from seqloom.registry import register
from seqloom.structures import Encoded, Widths


@register("image")
class ImageEncoder(nn.Module):
    """Turns images into features of each place and one summary of the whole; https://arxiv.org/abs/1502.03044, 3.1.1.

    Each block is a 3 x 3 convolution, a normalisation over the whole image (https://arxiv.org/abs/1803.08494, with one
    group), ReLU, and a maximum over squares of 2 x 2.  A vector learnt for each place of the last map is added, so that
    "left of" can be said.  Keys and values are the map's places, row by row; the summary is their mean.
    """

    given: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        *,
        height: Positive = 32,
        width: Positive = 32,
        channels: tuple[Positive, ...] = (32, 64, 128),
        dropout: Rate = 0.1,
        weights: Path | None = None,
    ):
        """A block for each of `channels`, each of which halves the sides; ValueError if nothing is left of them.

        `dropout` acts on the last map.  `weights` is a safetensors file that training starts from.  Without one,
        convolutions start as He et al. do (https://arxiv.org/abs/1502.01852, equation 10).
        """
        super().__init__()
        if not channels:
            raise ValueError("channels must name the width of at least one block")
        self.height, self.width, self.file = height, width, weights
        self.rows, self.columns = height >> len(channels), width >> len(channels)
        if not self.rows or not self.columns:
            raise ValueError(f"{len(channels)} blocks halve {height}x{width} pixels to nothing; name fewer channels")
        self.widths = Widths(keys=channels[-1], values=channels[-1], summary=channels[-1])
        self.blocks = nn.ModuleList(_Block(a, b) for a, b in zip((3, *channels), channels, strict=False))
        self.places = nn.Parameter(torch.zeros(self.rows * self.columns, channels[-1]))
        self.dropout = Dropout(dropout)

    def forward(self, images: Tensor) -> Encoded:
        """Red, green and blue from 0 to 1, [B, 3, height, width] -> `Encoded`, all of whose positions are real."""
        x = images - 0.5  # inputs around 0, as He's weights expect
        for block in self.blocks:
            x = block(x)
        x = self.dropout(x.flatten(2).mT + self.places)  # [B, S, D]
        mask = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        return Encoded(x, x, mask, x.mean(1))

    def begin(self) -> None:
        """Take the weights of the file, if one was named.  Raises DataError if it is not there or doesn't fit."""
        if self.file is None:
            return
        try:
            found = safetensors.torch.load_file(self.file)
        except FileNotFoundError:
            raise DataError(f"{self.file}: no such file") from None
        except (OSError, safetensors.SafetensorError) as error:
            raise DataError(f"{self.file} is not a safetensors file that can be read") from error
        own = dict(self.named_parameters())
        for name in sorted(own.keys() | found.keys()):
            here, there = _shape(own.get(name)), _shape(found.get(name))
            if here != there:
                raise DataError(f"{self.file} has other weights: {name} is {there} there and {here} in this encoder")
        self.load_state_dict(found)


class _Block(nn.Module):
    def __init__(self, input_size: int, size: int):
        super().__init__()
        self.convolution = nn.Conv2d(input_size, size, 3, padding=1)
        self.norm = nn.GroupNorm(1, size)
        nn.init.kaiming_normal_(self.convolution.weight, nonlinearity="relu")
        nn.init.zeros_(self.convolution.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, D, H / 2, W / 2]."""
        return F.max_pool2d(F.relu(self.norm(self.convolution(x))), 2)


def _shape(tensor: Tensor | None) -> str:
    return "missing" if tensor is None else "x".join(map(str, tensor.shape)) or "a number"
