"""The two stacks of convolutions, held against loops, and as large as google/seq2seq's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.testing import assert_close

from seqloom.encoders import ConvolutionalEncoder
from seqloom.encoders.convolutional import ConvolutionStack
from seqloom.layers.embedding import Embedding
from seqloom.layers.positions import slopes
from seqloom.structures import Sequences, Widths

LENGTHS = [6, 1, 3]
S = 8
Array = NDArray[np.float64]


def convolved(x: Array, layer: nn.Conv1d) -> Array:
    """One layer over one sentence [S, D] with zeros on both sides, term by term."""
    assert layer.bias is not None
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()  # [out, in, k], [out]
    kernel, before = weight.shape[2], (weight.shape[2] - 1) // 2
    result = np.tile(bias, (len(x), 1))
    for place in range(len(x)):
        for tap in range(kernel):
            if 0 <= place + tap - before < len(x):
                result[place] += weight[:, :, tap] @ x[place + tap - before]
    return result


def stacked(x: Array, stack: ConvolutionStack) -> Array:
    for depth, layer in enumerate(stack.layers):
        assert isinstance(layer, nn.Conv1d)
        x = np.tanh(convolved(x, layer) + (x if depth else 0))
    return x


@pytest.mark.parametrize("key_kernel, value_kernel, positions", [(3, 3, "multiply"), (5, 2, "add"), (4, 1, "none")])
def test_it_is_what_loops_over_one_sentence_find(key_kernel: int, value_kernel: int, positions: str) -> None:
    torch.manual_seed(1)
    sizes = {"key_size": 4, "key_layers": 3, "value_size": 5, "value_layers": 2}
    kernels = {"key_kernel": key_kernel, "value_kernel": value_kernel}
    options = sizes | kernels | {"positions": positions, "max_positions": 4, "dropout": 0.0}
    model = ConvolutionalEncoder(Embedding(8, 3), **options).double().eval()  # type: ignore[arg-type]
    nn.init.normal_(model.keys.layers[1].bias)  # type: ignore[arg-type]
    ids = torch.randint(3, 8, (len(LENGTHS), S))
    result = model(Sequences(ids, torch.arange(S)[None] < torch.tensor(LENGTHS)[:, None]))
    places = slopes(S, 3, longest=4, device=torch.device("cpu")).double().numpy()
    for row, length in enumerate(LENGTHS):
        x = model.embedding(ids[row]).detach().numpy()
        x = {"none": x, "add": x + places, "multiply": x * places}[positions][:length]
        keys, values = stacked(x, model.keys), stacked(x, model.values)
        assert_close(result.keys[row, :length], torch.from_numpy(keys))
        assert_close(result.values[row, :length], torch.from_numpy(values))
        assert_close(result.summary[row], torch.from_numpy(values.mean(0)))


def test_it_is_as_large_as_the_original() -> None:
    with torch.device("meta"):
        model = ConvolutionalEncoder(Embedding(23, 512))
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    assert (count["keys"], count["values"]) == (11_804_160, 1_180_928)
    assert model.widths == Widths(512, 256, 256)


def test_a_deep_stack_passes_signal_and_gradient_on() -> None:
    torch.manual_seed(1)
    stack = ConvolutionStack(32, 32, layers=15, kernel=3)
    x = torch.randn(4, 32, 20, requires_grad=True)
    y = stack(x, torch.ones(4, 1, 20))
    y.pow(2).mean().backward()
    assert x.grad is not None
    assert 0.1 < y.std() < 1 and y.abs().mean() < 0.99
    assert all(layer.weight.grad.norm() > 1e-4 for layer in stack.layers)  # type: ignore[union-attr]
