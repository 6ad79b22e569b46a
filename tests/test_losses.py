"""The loss that never holds all logits is the loss that does, in value and in every gradient."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.testing import assert_close

from seqloom.decoders import RNNDecoder, TransformerDecoder
from seqloom.encoders import RNNEncoder, TransformerEncoder
from seqloom.layers.embedding import Embedding
from seqloom.losses import CHUNK, cross_entropy
from seqloom.models import EncoderDecoder, VocabularySizes
from seqloom.models.encoder_decoder import EmbeddingOptions
from seqloom.structures import Batch, Loss, Sequences
from seqloom.tasks.translation import teacher_forced

SIZE, SYMBOLS = 6, 11
Criterion = Callable[[nn.Module, Tensor, Tensor, float], Tensor]


def ours(readout: nn.Module, features: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    return cross_entropy(readout, features, labels, label_smoothing=smoothing)


def theirs(readout: nn.Module, features: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    return F.cross_entropy(readout(features).float(), labels, reduction="sum", label_smoothing=smoothing)


def rows(count: int) -> tuple[nn.Linear, Tensor, Tensor]:
    torch.manual_seed(count)
    readout = nn.Linear(SIZE, SYMBOLS)
    return readout, torch.randn(count, SIZE, requires_grad=True), torch.randint(SYMBOLS, (count,))


def gradients(criterion: Criterion, count: int, smoothing: float, factor: float = 1.0) -> list[Tensor]:
    """The loss, and its gradients of features, weight and bias."""
    readout, features, labels = rows(count)
    loss = criterion(readout, features, labels, smoothing)
    (loss * factor).backward()
    found = [features.grad, readout.weight.grad, readout.bias.grad]
    return [loss.detach(), *(torch.zeros(()) if gradient is None else gradient for gradient in found)]


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("count", [0, 1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 1300])
def test_it_is_cross_entropy(count: int, smoothing: float) -> None:
    wanted = gradients(theirs, count, smoothing)
    for mine, expected in zip(gradients(ours, count, smoothing), wanted, strict=True):
        assert_close(mine, expected, rtol=1e-5, atol=2e-5)


def test_what_the_loss_is_multiplied_by_reaches_the_gradients() -> None:
    for mine, expected in zip(gradients(ours, 600, 0.1, 0.25), gradients(theirs, 600, 0.1, 0.25), strict=True):
        assert_close(mine, expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("count", [0, 1, CHUNK, CHUNK + 1, 1300])
def test_without_gradients_the_value_is_the_same(count: int, smoothing: float) -> None:
    readout, features, labels = rows(count)
    with torch.no_grad():
        got = ours(readout, features, labels, smoothing)
    assert not got.requires_grad and got.dtype == torch.float32
    assert_close(got, theirs(readout, features, labels, smoothing).detach(), rtol=1e-5, atol=1e-5)


def test_tied_weights_learn_from_both_of_their_uses() -> None:
    found = []
    for criterion in (ours, theirs):
        torch.manual_seed(0)
        embedding = Embedding(SYMBOLS, SIZE, tied=True)
        ids = torch.randint(SYMBOLS, (700,))
        criterion(embedding.projection(SIZE), embedding(ids).tanh(), ids.flip(0), 0.1).backward()
        found.append(embedding.table.weight.grad)
    assert_close(found[0], found[1], rtol=1e-5, atol=1e-4)


def test_frozen_weights_get_no_gradient_and_features_still_do() -> None:
    readout, features, labels = rows(600)
    readout.requires_grad_(False)
    ours(readout, features, labels, 0.1).backward()
    assert readout.weight.grad is None
    assert_close(features.grad, gradients(theirs, 600, 0.1)[1], rtol=1e-5, atol=1e-5)


def test_under_bf16_autocast_loss_and_gradients_stay_near() -> None:
    wanted = gradients(theirs, 1300, 0.1)
    with torch.autocast("cpu", torch.bfloat16):
        got = gradients(ours, 1300, 0.1)
    assert got[0].dtype == torch.float32
    for mine, expected in zip(got, wanted, strict=True):
        assert mine.dtype == torch.float32
        assert (mine - expected).norm() < 0.02 * expected.norm()


def test_losses_add_up() -> None:
    total = Loss(torch.tensor(2.0), 3) + Loss(torch.tensor(0.5), 4)
    assert (float(total.total), total.count) == (2.5, 7)


def recurrent() -> EncoderDecoder:
    return EncoderDecoder(
        VocabularySizes(SYMBOLS, SYMBOLS, joint=False),
        encoder=lambda embedding: RNNEncoder(embedding, size=8),
        decoder=lambda embedding, widths: RNNDecoder(embedding, widths, size=8),
        embedding=EmbeddingOptions(size=8),
    )


def transformer() -> EncoderDecoder:
    options = {"layers": 2, "heads": 2, "feedforward": 16, "dropout": 0.0}
    return EncoderDecoder(
        VocabularySizes(SYMBOLS, SYMBOLS, joint=True),
        encoder=lambda embedding: TransformerEncoder(embedding, **options),
        decoder=lambda embedding, widths: TransformerDecoder(embedding, widths, **options),
        embedding=EmbeddingOptions(size=8, tie="all"),
    )


def some(lengths: list[int], *, first: int) -> Sequences:
    torch.manual_seed(len(lengths))
    mask = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
    ids = torch.randint(4, SYMBOLS, mask.shape).where(mask, 0)
    ids[:, 0] = first
    return Sequences(ids, mask)


@pytest.mark.parametrize("build", [recurrent, transformer])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_many_small_batches_weigh_as_one_large(build: Callable[[], EncoderDecoder], smoothing: float) -> None:
    """What accumulation stands on: token by token, never batch by batch, and padding counts for nothing."""
    torch.manual_seed(0)
    model = build()
    batch = Batch(some([3, 6, 2, 4], first=5), some([7, 2, 5, 3], first=1))
    whole = teacher_forced(model, batch, label_smoothing=smoothing)
    whole.total.backward()
    wanted = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    parts = [batch.select(torch.tensor(chosen)) for chosen in ([2], [0, 3], [1])]
    losses = [teacher_forced(model, part, label_smoothing=smoothing) for part in parts]
    for loss in losses:
        loss.total.backward()
    assert whole.count == sum(loss.count for loss in losses) == 6 + 1 + 4 + 2
    assert_close(whole.total, sum((loss.total for loss in losses), torch.zeros(())))
    for name, parameter in model.named_parameters():
        assert_close(parameter.grad, wanted[name], rtol=1e-4, atol=1e-5)
