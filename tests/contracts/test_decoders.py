"""What every decoder promises, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from seqloom.decoders import Decoder
from seqloom.structures import Encoded, Output, State

SourceOf = Callable[..., Encoded]
TOKENS = torch.tensor([[1, 4, 2, 5, 3], [1, 3, 3, 5, 0]])
NEXT = torch.tensor([[4], [5]])


def logits(decoder: Decoder, tokens: Tensor, state: State, *, weights: bool = False) -> tuple[Tensor, Output, State]:
    output, state = decoder(tokens, state, weights=weights)
    return decoder.project(output.features), output, state


def in_pieces(decoder: Decoder, pieces: tuple[Tensor, ...], state: State) -> tuple[Tensor, Tensor | None, State]:
    """The logits and the attention of all pieces, and the state after the last."""
    seen: list[Tensor] = []
    shares: list[Tensor | None] = []
    for piece in pieces:
        scores, output, state = logits(decoder, piece, state, weights=True)
        seen.append(scores)
        shares.append(output.attention)
    joined = None if shares[0] is None else torch.cat([share for share in shares if share is not None], 3)
    return torch.cat(seen, 1), joined, state


@pytest.mark.parametrize("sizes", [(1, 4), (2, 3), (3, 2), (4, 1), (1, 1, 1, 1, 1), (2, 1, 2)])
def test_a_target_in_pieces_gives_what_it_gives_whole(
    decoder: Decoder, source: SourceOf, sizes: tuple[int, ...]
) -> None:
    whole, attention, after_whole = in_pieces(decoder, (TOKENS,), decoder.start(source()))
    pieces, attention_of_pieces, after_pieces = in_pieces(decoder, TOKENS.split(sizes, 1), decoder.start(source()))
    assert_close(pieces, whole)
    assert (attention is None) == (attention_of_pieces is None)
    if attention is not None:
        assert_close(attention_of_pieces, attention)
    assert_close(logits(decoder, NEXT, after_pieces)[0], logits(decoder, NEXT, after_whole)[0])


@pytest.mark.parametrize("rows", [[1, 0], [1, 1, 0, 1], [1], [0, 0]])
def test_rows_of_a_state_can_be_repeated_reordered_and_dropped(
    decoder: Decoder, source: SourceOf, rows: list[int]
) -> None:
    chosen = torch.tensor(rows)
    _, _, state = logits(decoder, TOKENS[:, :3], decoder.start(source()))
    scores, output, after = logits(decoder, TOKENS[:, 3:], state, weights=True)
    moved, moved_output, moved_after = logits(decoder, TOKENS[chosen, 3:], state.select(chosen), weights=True)
    assert_close(moved, scores[chosen])
    if output.attention is not None:
        assert_close(moved_output.attention, output.attention[chosen])
    assert_close(logits(decoder, NEXT[chosen], moved_after)[0], logits(decoder, NEXT, after)[0][chosen])


def test_groups_of_rows_go_on_as_rows_do(decoder: Decoder, source: SourceOf) -> None:
    """Who says which groups of rows a selection takes changes nothing but what is copied."""
    alone, told = (decoder.start(source()) for _ in range(2))
    steps = [([0, 0, 1, 1], [0, 1]), ([1, 0, 3, 3], [0, 1]), ([3, 2], [1]), ([1, 1, 0], None)]
    with torch.inference_mode():
        for place, (rows, groups) in enumerate(steps):
            chosen, tokens = torch.tensor(rows), TOKENS[0, place].expand(len(rows), 1)
            alone = alone.select(chosen)
            told = told.select(chosen, None if groups is None else torch.tensor(groups))
            wanted, _, alone = logits(decoder, tokens, alone)
            scores, _, told = logits(decoder, tokens, told)
            assert_close(scores, wanted)


def test_selecting_from_the_source_is_selecting_from_the_start(decoder: Decoder, source: SourceOf) -> None:
    rows = torch.tensor([1, 0, 1])
    early, *_ = logits(decoder, TOKENS[rows], decoder.start(source().select(rows)))
    late, *_ = logits(decoder, TOKENS[rows], decoder.start(source()).select(rows))
    assert_close(early, late)


def test_each_row_is_decoded_as_if_alone(decoder: Decoder, source: SourceOf) -> None:
    together, *_ = logits(decoder, TOKENS, decoder.start(source()))
    for row in range(2):
        alone = source().select(torch.tensor([row]))
        assert_close(logits(decoder, TOKENS[row : row + 1], decoder.start(alone))[0][0], together[row])


def test_padding_of_the_source_changes_nothing(decoder: Decoder, source: SourceOf) -> None:
    plain, output, _ = logits(decoder, TOKENS, decoder.start(source()), weights=True)
    padded, wide, _ = logits(decoder, TOKENS, decoder.start(source(padding=4, garbage=9.0)), weights=True)
    assert_close(padded, plain)
    if output.attention is not None:
        assert_close(wide.attention, nn.functional.pad(output.attention, (0, 4)))


def test_the_source_matters(decoder: Decoder, source: SourceOf) -> None:
    other = source().select(torch.tensor([1, 0]))
    difference = logits(decoder, TOKENS, decoder.start(source()))[0] - logits(decoder, TOKENS, decoder.start(other))[0]
    assert (difference.abs().amax(-1) > 1e-6).all()


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("changed", range(5))
def test_a_token_changes_nothing_before_it(decoder: Decoder, source: SourceOf, changed: int, weights: bool) -> None:
    other = TOKENS.clone()
    other[:, changed] = (other[:, changed] + 1) % 6
    before, after = (decoder(tokens, decoder.start(source()), weights=weights)[0] for tokens in (TOKENS, other))
    assert_close(before.features[:, :changed], after.features[:, :changed], rtol=0, atol=1e-13)
    assert ((before.features[:, changed:] - after.features[:, changed:]).abs() > 1e-12).flatten(2).any(2).all()
    if before.attention is not None:
        assert_close(before.attention[:, :, :, :changed], after.attention[:, :, :, :changed], rtol=0, atol=1e-13)


def test_no_gradient_comes_from_later_tokens(decoder: Decoder, source: SourceOf) -> None:
    used: list[Tensor] = []
    table = decoder.get_submodule("embedding.table")
    handle = table.register_forward_hook(lambda module, args, result: used.append(result) or result.retain_grad())
    output, _ = decoder(TOKENS, decoder.start(source()))
    handle.remove()
    decoder.project(output.features)[:, 2].square().sum().backward()
    gradient = torch.stack([embedded.grad for embedded in used if embedded.grad is not None]).abs().sum(0)
    assert gradient[:, 3:].max() == 0
    assert (gradient[:, :3].amax(-1) > 0).all()


def test_attention_is_a_distribution_over_real_tokens(decoder: Decoder, decoder_case: Any, source: SourceOf) -> None:
    output, _ = decoder(TOKENS, decoder.start(source(padding=2, garbage=9.0)), weights=True)
    assert (output.attention is not None) == decoder_case.attends
    if output.attention is None:
        return
    N, L, H, T, S = output.attention.shape
    assert (N, T, S) == (2, 5, 7) and L > 0 and H > 0
    assert output.attention.min() >= 0
    assert_close(output.attention.sum(-1), torch.ones(N, L, H, T, dtype=output.attention.dtype))
    assert output.attention[0, ..., 5:].abs().max() == 0 and output.attention[1, ..., 3:].abs().max() == 0
    assert output.attention[0, ..., :5].min() > 0


def test_asking_for_weights_changes_no_logit(decoder: Decoder, source: SourceOf) -> None:
    without, output, after_without = logits(decoder, TOKENS, decoder.start(source()))
    with_weights, _, after_with = logits(decoder, TOKENS, decoder.start(source()), weights=True)
    assert output.attention is None
    assert_close(with_weights, without)
    assert_close(logits(decoder, NEXT, after_with)[0], logits(decoder, NEXT, after_without)[0])


@pytest.mark.parametrize("training", [False, True])
def test_nothing_is_written_on_the_module(
    decoder: Decoder, source: SourceOf, contents: Callable[[nn.Module], dict[str, Any]], training: bool
) -> None:
    decoder.train(training)
    before = contents(decoder)
    for weights in (False, True):
        _, _, state = logits(decoder, TOKENS, decoder.start(source()), weights=weights)
        logits(decoder, NEXT, state.select(torch.tensor([1, 0])), weights=weights)
    assert contents(decoder) == before


def test_decodings_at_the_same_time_do_not_disturb_each_other(decoder: Decoder, source: SourceOf) -> None:
    sources, targets = [source(), source((2, 4))], [TOKENS, TOKENS.flip(0)]
    alone = [in_pieces(decoder, targets[i].split(1, 1), decoder.start(sources[i]))[0] for i in range(2)]
    states, steps = [decoder.start(one) for one in sources], ([], [])  # type: ignore[var-annotated]
    for place in range(TOKENS.size(1)):
        for i in range(2):
            scores, _, states[i] = logits(decoder, targets[i][:, place : place + 1], states[i])
            steps[i].append(scores)
    for i in range(2):
        assert_close(torch.cat(steps[i], 1), alone[i])


def test_a_state_can_be_gone_on_from_more_than_once(decoder: Decoder, source: SourceOf) -> None:
    _, _, state = logits(decoder, TOKENS[:, :2], decoder.start(source()))
    first, *_ = logits(decoder, TOKENS[:, 2:], state)
    logits(decoder, TOKENS.flip(1), state)
    assert torch.equal(logits(decoder, TOKENS[:, 2:], state)[0], first)


def test_every_parameter_is_learnt_from(decoder: Decoder, source: SourceOf) -> None:
    for training in (False, True):
        scores, output, _ = logits(decoder.train(training), TOKENS, decoder.start(source()))
        (scores.log_softmax(-1)[..., 3].sum() + output.penalty).backward()
    for name, parameter in decoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 1e-8, name


def test_the_readout_is_how_features_become_logits(decoder: Decoder, source: SourceOf) -> None:
    scores, output, _ = logits(decoder, TOKENS, decoder.start(source()))
    assert scores.shape == (2, 5, 6)
    assert torch.equal(scores, decoder.readout(output.features))
