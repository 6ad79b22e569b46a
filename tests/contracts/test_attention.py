"""What every attention promises, whatever it compares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from seqloom.attention import Attention
from seqloom.structures import Encoded

LookedAt = Callable[..., Encoded]


@pytest.fixture
def query() -> Tensor:
    return torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_weights_are_a_distribution_over_real_tokens(
    attention: Attention, attention_case: Any, looked_at: LookedAt, query: Tensor
) -> None:
    context, weights = attention(query, attention.memory(looked_at()), weights=True)
    assert context.shape == (2, 4, attention.output_size)
    assert weights is not None and weights.ndim == 4 and weights.size(1) > 0
    assert weights.shape == (2, weights.size(1), 4, 5)
    assert weights.min() >= 0 and weights.max() <= 1
    sums = weights.sum(-1)
    assert torch.allclose(sums, torch.ones_like(sums)) == attention_case.sums
    assert weights[1, ..., 3:].abs().max() == 0
    if attention_case.positive:
        assert weights[0].min() > 0


def test_asking_for_weights_changes_no_context(attention: Attention, looked_at: LookedAt, query: Tensor) -> None:
    memory = attention.memory(looked_at())
    without, none = attention(query, memory)
    assert none is None
    assert_close(attention(query, memory, weights=True)[0], without)


def test_padding_changes_nothing(attention: Attention, looked_at: LookedAt, query: Tensor) -> None:
    plain, weights = attention(query, attention.memory(looked_at()), weights=True)
    padded, wide = attention(query, attention.memory(looked_at(padding=3, garbage=9.0)), weights=True)
    assert_close(padded, plain)
    assert_close(wide, nn.functional.pad(weights, (0, 3)))


def test_a_memory_without_a_mask_is_all_real(attention: Attention, looked_at: LookedAt, query: Tensor) -> None:
    memory = attention.memory(looked_at((4, 4)))
    bare = type(memory)(memory.keys, memory.values, None)
    assert_close(attention(query, bare)[0], attention(query, memory)[0])


def test_queries_at_once_and_one_by_one_see_the_same(attention: Attention, looked_at: LookedAt, query: Tensor) -> None:
    memory = attention.memory(looked_at())
    together, weights = attention(query, memory, weights=True)
    single = [attention(one, memory, weights=True) for one in query.split(1, 1)]
    assert_close(torch.cat([context for context, _ in single], 1), together)
    assert_close(torch.cat([share for _, share in single], 2), weights)


def test_rows_of_a_memory_can_be_selected(attention: Attention, looked_at: LookedAt, query: Tensor) -> None:
    rows = torch.tensor([1, 0, 1])
    memory = attention.memory(looked_at())
    assert_close(attention(query[rows], memory.select(rows))[0], attention(query, memory)[0][rows])


def test_where_one_position_is_real_its_value_is_the_context(
    attention: Attention, attention_case: Any, looked_at: LookedAt, query: Tensor
) -> None:
    memory = attention.memory(looked_at((5, 1)))
    context, weights = attention(query, memory, weights=True)
    assert weights is not None
    if not attention_case.sums:  # it says for itself how much of the value
        assert context.isfinite().all()
        return
    assert_close(weights[1, ..., 0], torch.ones_like(weights[1, ..., 0]))
    assert_close(context[1], context[1, :1].expand_as(context[1]))  # whatever the query


@pytest.mark.parametrize("training", [False, True])
def test_nothing_is_written_on_the_module(
    attention: Attention,
    looked_at: LookedAt,
    query: Tensor,
    contents: Callable[[nn.Module], dict[str, Any]],
    training: bool,
) -> None:
    attention.train(training)
    before = contents(attention)
    for weights in (False, True):
        attention(query, attention.memory(looked_at()), weights=weights)
    assert contents(attention) == before


def test_every_parameter_is_learnt_from(attention: Attention, looked_at: LookedAt, query: Tensor) -> None:
    query.requires_grad_()
    context, _ = attention(query, attention.memory(looked_at()))
    numbers = torch.Generator().manual_seed(4)
    (context * torch.randn(context.shape, generator=numbers, dtype=context.dtype)).sum().backward()
    for name, parameter in [("query", query), *attention.named_parameters()]:
        assert parameter.grad is not None and parameter.grad.abs().max() > 1e-8, name
