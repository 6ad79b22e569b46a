"""The mixture of experts: its choice, its losses, and that grouping positions by expert is nothing but faster."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.testing import assert_close

from seqloom.layers.experts import (
    LEAST_NOISE,
    MixtureOfExperts,
    NoisyTopKGate,
    Routing,
    importances,
    smooth_load,
    squared_variation,
)

SIZE = 6


def mixture(*, experts: int = 5, k: int = 2, seed: int = 0, **options: Any) -> MixtureOfExperts:
    """A layer in float64 whose gate has opinions."""
    torch.manual_seed(seed)
    layer = MixtureOfExperts(SIZE, experts=experts, k=k, inner_size=7, **options).double()
    for linear in (layer.gate.clean, layer.gate.noise):
        nn.init.normal_(linear.weight)
    return layer


def inputs(*shape: int) -> Tensor:
    return torch.randn(*shape, SIZE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def expert(layer: MixtureOfExperts, i: int, x: Tensor) -> Tensor:
    """Expert i, written down once more."""
    return F.relu(x @ layer.inner[i].T + layer.inner_bias[i]) @ layer.outer[i].T + layer.outer_bias[i]


def test_sorting_by_expert_is_a_loop_over_positions() -> None:
    layer, x = mixture().eval(), inputs(3, 4)
    y, penalty = layer(x, None)
    assert penalty == 0
    for place in np.ndindex(3, 4):
        scores = x[place] @ layer.gate.clean.weight.T
        best = sorted(range(5), key=lambda i: -scores[i].item())[:2]
        shares = np.exp([scores[i].item() for i in best])
        wanted = sum(share * expert(layer, i, x[place]) for share, i in zip(shares / shares.sum(), best, strict=True))
        assert_close(y[place], wanted)


@pytest.mark.parametrize("counts", [[3, 3, 3, 3, 3], [0, 15, 0, 0, 0], [1, 0, 9, 2, 3], [0, 0, 0, 0, 0]])
def test_experts_together_say_what_they_say_one_by_one(counts: list[int]) -> None:
    layer, x = mixture().eval(), inputs(sum(counts)).requires_grad_()
    answers = [way(x, torch.tensor(counts)) for way in (layer._padded, layer._one_by_one)]
    assert_close(*answers)
    weights = [x, layer.inner, layer.inner_bias, layer.outer, layer.outer_bias]
    assert_close(*(torch.autograd.grad(answer.square().sum(), weights) for answer in answers))


def test_all_experts_without_noise_are_the_dense_mixture() -> None:
    layer, x = mixture(k=5).eval(), inputs(20).requires_grad_()
    wanted = layer.gate.clean(x).softmax(-1)  # [R, E]
    dense = sum(wanted[:, i, None] * expert(layer, i, x) for i in range(5))
    assert isinstance(dense, Tensor)
    direction = inputs(20)
    weights = [x, *(p for name, p in layer.named_parameters() if "noise" not in name)]
    y, _ = layer(x, None)
    assert_close(y, dense, atol=1e-6, rtol=0)
    pairs = zip(torch.autograd.grad(y, weights, direction), torch.autograd.grad(dense, weights, direction), strict=True)
    for one, other in pairs:
        assert_close(one, other, atol=1e-6, rtol=0)


def test_the_load_is_what_chance_makes_of_it() -> None:
    """Of 10,000 draws of an expert's noise, the others' kept, the share in which it is among the best."""
    torch.manual_seed(3)
    R, E, k, draws = 6, 8, 3, 10_000
    clean, deviation = torch.randn(R, E), F.softplus(torch.randn(R, E)) + LEAST_NOISE
    noisy = clean + torch.randn(R, E) * deviation
    for row in range(R):
        load = smooth_load(clean[row : row + 1], noisy[row : row + 1], deviation[row : row + 1], k)
        for i in range(E):
            drawn = noisy[row].repeat(draws, 1)
            drawn[:, i] = clean[row, i] + torch.randn(draws) * deviation[row, i]
            chosen = (drawn.topk(k).indices == i).any(1).float().mean()
            assert load[i].item() == pytest.approx(chosen.item(), abs=0.02)


def test_the_load_of_all_experts_is_every_position() -> None:
    scores = torch.randn(7, 4)
    assert smooth_load(scores, scores, scores.exp(), 4).tolist() == [7, 7, 7, 7]


def test_losses_are_the_papers() -> None:
    layer, x = mixture(importance=0.3, load=0.7), inputs(30)
    torch.manual_seed(5)
    routing = layer.gate(x)
    torch.manual_seed(5)
    draws = torch.randn(30, 5, dtype=torch.float64).numpy()
    clean, raw = (x.numpy() @ linear.weight.detach().numpy().T for linear in (layer.gate.clean, layer.gate.noise))
    deviation = np.log1p(np.exp(raw)) + LEAST_NOISE
    noisy = clean + draws * deviation
    importance, load = np.zeros(5), np.zeros(5)
    for row in range(30):
        best = np.argsort(-noisy[row])[:2]
        importance[best] += np.exp(noisy[row][best]) / np.exp(noisy[row][best]).sum()
        for i in range(5):
            to_beat = np.sort(np.delete(noisy[row], i))[-2]
            z = torch.tensor((clean[row, i] - to_beat) / deviation[row, i])
            load[i] += torch.distributions.Normal(0.0, 1.0).cdf(z).item()
    wanted = 0.3 * (importance.std() / importance.mean()) ** 2 + 0.7 * (load.std() / load.mean()) ** 2
    assert_close(importances(routing, 5).detach(), torch.from_numpy(importance))
    assert routing.penalty.item() == pytest.approx(wanted, abs=1e-6)


def test_a_new_gate_is_noise_alone() -> None:
    gate = NoisyTopKGate(SIZE, experts=4, k=1, importance=0.1, load=0.1)
    routing = gate(inputs(4000).float())
    assert importances(routing, 4).div(4000).tolist() == pytest.approx([0.25] * 4, abs=0.03)
    assert gate(inputs(3).float()).experts.shape == (3, 1)


def test_both_matrices_of_the_gate_learn() -> None:
    layer = mixture()
    layer(inputs(30), None)[1].backward()
    for linear in (layer.gate.clean, layer.gate.noise):
        assert linear.weight.grad is not None and linear.weight.grad.abs().sum() > 0


def test_one_expert_a_position_learns_its_gate_from_the_losses_alone() -> None:
    layer = mixture(k=1)
    y, penalty = layer(inputs(30), None)
    y.sum().backward(retain_graph=True)
    assert layer.gate.clean.weight.grad is None or layer.gate.clean.weight.grad.abs().max() < 1e-12
    penalty.backward()
    assert layer.gate.clean.weight.grad.abs().max() > 1e-3


def test_evaluation_is_the_same_every_time_and_training_is_not() -> None:
    layer, x = mixture(), inputs(30)
    assert not torch.equal(layer(x, None)[0], layer(x, None)[0])
    layer.eval()
    assert torch.equal(layer(x, None)[0], layer(x, None)[0])


def test_padding_is_sent_nowhere_and_counts_nothing() -> None:
    layer, x = mixture(capacity=1.0), inputs(3, 5)
    real = torch.arange(5)[None] < torch.tensor([4, 1, 5])[:, None]
    torch.manual_seed(7)
    y, penalty = layer(x.where(real[..., None], 9.0), real)
    torch.manual_seed(7)
    alone, wanted = layer(x[real], None)
    assert_close(y[real], alone)
    assert_close(penalty, wanted)
    assert y[~real].abs().max() == 0


def test_nothing_real_costs_nothing() -> None:
    layer, x = mixture(), inputs(2, 3).requires_grad_()
    y, penalty = layer(x, torch.zeros(2, 3, dtype=torch.bool))
    assert y.abs().max() == 0 and penalty == 0
    (y.sum() + penalty).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in layer.parameters())


@pytest.mark.parametrize(("capacity", "most"), [(0.5, 3), (1.0, 6), (10.0, 15)])
def test_no_expert_takes_more_than_its_capacity(capacity: float, most: int) -> None:
    """15 positions, 2 of 5 experts each: an even share is 6; first choices come before second ones."""
    layer, x = mixture(capacity=capacity), inputs(15)
    torch.manual_seed(2)
    routing: Routing = layer.gate(x)
    torch.manual_seed(2)
    y, _ = layer(x, None)
    taken, wanted = [0] * 5, torch.zeros_like(x)
    for choice in range(2):
        for row in range(15):
            i = int(routing.experts[row, choice])
            if taken[i] < most:
                wanted[row] += routing.shares[row, choice] * expert(layer, i, x[row])
                taken[i] += 1
    assert_close(y, wanted)
    unlimited = mixture().eval()
    unlimited.load_state_dict(layer.state_dict())
    assert_close(layer.eval()(x, None)[0], unlimited(x, None)[0])  # it's for training only


def test_the_way_out_may_be_a_sigmoid() -> None:
    plain, bent = mixture().eval(), mixture(output="sigmoid").eval()
    assert_close(bent(inputs(4), None)[0], plain(inputs(4), None)[0].sigmoid())


def test_low_precision_never_chooses() -> None:
    layer, x = mixture().float().eval(), inputs(50).float()
    with torch.autocast("cpu", torch.bfloat16):
        low = layer.gate(x)
    assert torch.equal(low.experts, layer.gate(x).experts) and low.shares.dtype == torch.float32


@pytest.mark.parametrize("amounts", [[1.0, 2.0, 6.0], [5.0, 5.0, 5.0], [0.0, 0.0, 0.0]])
def test_squared_variation(amounts: list[float]) -> None:
    wanted = (np.std(amounts) / np.mean(amounts)) ** 2 if any(amounts) else 0.0
    assert squared_variation(torch.tensor(amounts)).item() == pytest.approx(wanted, abs=1e-6)


def test_what_can_t_be_is_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"k can't be above them; got 4 of 3"):
        MixtureOfExperts(SIZE, experts=3, k=4)
    with pytest.raises(ValueError, match=r"a capacity of 0 leaves the experts nothing"):
        MixtureOfExperts(SIZE, capacity=0.0)
