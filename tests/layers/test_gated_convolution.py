"""Gated convolutions, held against loops; their weights, the variance of what they make, and scaled gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.testing import assert_close

from seqloom.layers.gated_convolution import GatedBlock, GatedConvolution, joined, normalized, shapes
from seqloom.layers.gradient import scale_gradient

Array = NDArray[np.float64]


def weights_of(linear: nn.Linear) -> tuple[Array, Array]:
    """Weights [out, in] and bias of a normalized layer, by equation 2 of Salimans and Kingma."""
    parameters = {name.rpartition(".")[2]: value.detach().numpy() for name, value in linear.named_parameters()}
    gains, directions = parameters["original0"][:, 0], parameters["original1"]
    rows = [gain * direction / np.sqrt((direction**2).sum()) for gain, direction in zip(gains, directions, strict=True)]
    return np.stack(rows), parameters["bias"]


def gated(x: Array, layer: GatedConvolution) -> Array:
    """Rows [T + kernel - 1, D], of which each `kernel` make a row of the result, term by term."""
    weight, bias = weights_of(layer.linear)
    size, width = len(bias) // 2, x.shape[1]
    result = []
    for place in range(len(x) - layer.kernel + 1):
        total = bias.copy()
        for tap in range(layer.kernel):
            total += weight[:, tap * width : (tap + 1) * width] @ x[place + tap]
        result.append(total[:size] / (1 + np.exp(-total[size:])))
    return np.array(result)


def disturbed(module: nn.Module) -> nn.Module:
    """The same module with parameters that no initial value has."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double().eval()


@pytest.mark.parametrize(("input_size", "size", "kernel"), [(3, 3, 3), (3, 5, 4), (4, 2, 1)])
def test_a_block_is_what_loops_find(input_size: int, size: int, kernel: int) -> None:
    torch.manual_seed(1)
    block = disturbed(GatedBlock(input_size, size, kernel, dropout=0.3))
    assert isinstance(block, GatedBlock)
    lengths, S = [6, 1, 4], 7
    x = torch.randn(3, S, input_size, dtype=torch.float64)
    real = (torch.arange(S)[None] < torch.tensor(lengths)[:, None])[..., None].double()
    result = block(x, real).detach().numpy()
    before = (kernel - 1) // 2
    for row, length in enumerate(lengths):
        sentence = x[row, :length].numpy()
        inside = np.pad(sentence, ((before, kernel - 1 - before), (0, 0)))
        around = sentence
        if input_size != size:
            weight, bias = weights_of(block.around)  # type: ignore[arg-type]
            around = sentence @ weight.T + bias
        wanted = (gated(inside, block.convolution) + around) * np.sqrt(0.5)
        np.testing.assert_allclose(result[row, :length], wanted, rtol=1e-6, atol=1e-6)


def test_it_is_the_convolution_of_pytorch_too() -> None:
    layer = disturbed(GatedConvolution(4, 6, 3, dropout=0.0))
    x = torch.randn(2, 9, 4, dtype=torch.float64)
    weight = layer.linear.weight.unflatten(1, (3, 4)).mT  # type: ignore[union-attr]
    whole = nn.functional.conv1d(x.mT, weight, layer.linear.bias).mT  # type: ignore[union-attr,arg-type]
    assert_close(layer(x), nn.functional.glu(whole, -1))


def test_only_the_gain_decides_how_long_a_weight_is() -> None:
    torch.manual_seed(1)
    linear = normalized(300, 20, dropout=0.1, gain=4)
    before, drawn = linear.weight.detach().clone(), dict(linear.named_parameters())
    assert_close(float(before.std()), (4 * 0.9 / 300) ** 0.5, rtol=0.05, atol=0)
    assert linear.bias.abs().max() == 0
    gain, direction = drawn["parametrizations.weight.original0"], drawn["parametrizations.weight.original1"]
    assert gain.numel() == 20 and sum(value.numel() for value in drawn.values()) == 300 * 20 + 20 + 20
    with torch.no_grad():
        direction *= 7
        gain[3] *= 2
    before[3] *= 2
    assert_close(linear.weight, before)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize(("input_size", "size", "kernel"), [(256, 256, 3), (512, 1024, 3), (1024, 512, 1)])
def test_a_block_keeps_the_variance(input_size: int, size: int, kernel: int, dropout: float) -> None:
    torch.manual_seed(1)
    block = GatedBlock(input_size, size, kernel, dropout=dropout).train()
    x = 0.14 * torch.randn(8, 40, input_size)  # as much as an embedding and a position
    y = block(x, torch.ones(8, 40, 1))
    assert_close(float(y.var() / x.var()), 1.0, rtol=0.2, atol=0)
    assert_close(float(joined(x, torch.randn_like(x) * 0.14).var() / x.var()), 1.0, rtol=0.05, atol=0)


def test_a_scaled_gradient_is_exactly_that() -> None:
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    y = scale_gradient(x, 1 / 30)
    assert torch.equal(y, x)
    (y**2).sum().backward()
    assert x.grad is not None
    assert_close(x.grad, 2 * x.detach() / 30, rtol=0, atol=1e-15)


def test_layers_are_counted_out() -> None:
    assert list(shapes(((4, 3, 2), (6, 2, 1), (5, 1, 1)))) == [(4, 4, 3), (4, 4, 3), (4, 6, 2), (6, 5, 1)]
    with pytest.raises(ValueError, match="layers must name the size, kernel and number of at least one layer"):
        list(shapes(()))
