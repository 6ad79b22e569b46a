"""What every attention promises, whatever it compares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from seqloom.attention import Attention
from seqloom.attention.base import in_time
from seqloom.structures import Encoded

LookedAt = Callable[..., Encoded]


@pytest.fixture
def query() -> Tensor:
    return torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_weights_are_a_distribution_over_real_tokens(
    attention: Attention, attention_case: Any, looked_at: LookedAt, query: Tensor
) -> None:
    seen = attention(query, attention.memory(looked_at()), weights=True)
    context, weights = seen.context, seen.weights
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
    without = attention(query, memory)
    assert without.weights is None
    assert_close(attention(query, memory, weights=True).context, without.context)


def test_padding_changes_nothing(attention: Attention, looked_at: LookedAt, query: Tensor) -> None:
    plain = attention(query, attention.memory(looked_at()), weights=True)
    padded = attention(query, attention.memory(looked_at(padding=3, garbage=9.0)), weights=True)
    assert_close(padded.context, plain.context)
    assert_close(padded.weights, nn.functional.pad(plain.weights, (0, 3)))


def test_a_memory_without_a_mask_is_all_real(attention: Attention, looked_at: LookedAt, query: Tensor) -> None:
    memory = attention.memory(looked_at((4, 4)))
    bare = replace(memory, mask=None)
    assert_close(attention(query, bare).context, attention(query, memory).context)


def test_queries_at_once_and_one_by_one_see_the_same(attention: Attention, looked_at: LookedAt, query: Tensor) -> None:
    memory = attention.memory(looked_at())
    together, single = attention(query, memory, weights=True), []
    for one in query.split(1, 1):
        single.append(attention(one, memory, weights=True))
        memory = single[-1].memory
    one_by_one = in_time(single)
    assert_close(one_by_one.context, together.context)
    assert_close(one_by_one.weights, together.weights)


def test_rows_of_a_memory_can_be_selected(attention: Attention, looked_at: LookedAt, query: Tensor) -> None:
    rows = torch.tensor([1, 0, 1])
    memory = attention.memory(looked_at())
    memory = attention(query[:, :2], memory).memory  # what it remembers of queries is selected too
    assert_close(attention(query[rows], memory.select(rows)).context, attention(query, memory).context[rows])


def test_rows_of_a_group_see_what_they_would_see_alone(
    attention: Attention, looked_at: LookedAt, query: Tensor
) -> None:
    """As hypotheses of one sentence do: repeated, reordered, some sentences gone, and at last rows without groups."""
    memory, shared = (attention.memory(looked_at()) for _ in range(2))
    for rows, groups in [([0, 0, 0, 1, 1, 1], [0, 1]), ([2, 0, 0, 5, 4, 3], [0, 1]), ([4, 4, 3], [1]), ([1, 0], None)]:
        places = torch.tensor(rows)
        memory = memory.select(places)
        shared = shared.select(places, None if groups is None else torch.tensor(groups))
        asked = torch.randn(len(rows), 2, 8, generator=torch.Generator().manual_seed(len(rows)), dtype=torch.float64)
        wanted, seen = (attention(asked, each, weights=True) for each in (memory, shared))
        assert_close(seen.context, wanted.context)
        assert_close(seen.weights, wanted.weights)
        memory, shared = wanted.memory, seen.memory


def test_where_one_position_is_real_its_value_is_the_context(
    attention: Attention, attention_case: Any, looked_at: LookedAt, query: Tensor
) -> None:
    memory = attention.memory(looked_at((5, 1)))
    seen = attention(query, memory, weights=True)
    context, weights = seen.context, seen.weights
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
    context = attention(query, attention.memory(looked_at())).context
    numbers = torch.Generator().manual_seed(4)
    (context * torch.randn(context.shape, generator=numbers, dtype=context.dtype)).sum().backward()
    for name, parameter in [("query", query), *attention.named_parameters()]:
        assert parameter.grad is not None and parameter.grad.abs().max() > 1e-8, name
