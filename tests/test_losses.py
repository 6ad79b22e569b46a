"""The loss that never holds all logits is the loss that does, in value and in every gradient."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.testing import assert_close

import seqloom.attention.reinforce
from seqloom.attention import General, GeneralAttention, Reinforce
from seqloom.decoders import RNNDecoder, TransformerDecoder
from seqloom.encoders import RNNEncoder, TransformerEncoder
from seqloom.layers.embedding import Embedding
from seqloom.losses import CHUNK, ROUND, cross_entropies, cross_entropy, reinforce
from seqloom.models import EncoderDecoder, VocabularySizes
from seqloom.models.encoder_decoder import EmbeddingOptions
from seqloom.structures import Batch, Loss, Output, Sequences
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


def test_the_readout_meets_few_shapes() -> None:
    met = set[int]()
    for count in range(1, 2 * CHUNK, 37):
        readout, features, labels = rows(count)
        readout.register_forward_hook(lambda module, given, made: met.add(len(given[0])))
        ours(readout, features, labels, 0.1)
    assert met == set(range(ROUND, CHUNK + 1, ROUND))


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


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_under_autocast_loss_and_gradients_stay_near(kind: torch.dtype) -> None:
    wanted = gradients(theirs, 1300, 0.1)
    with torch.autocast("cpu", kind):
        got = gradients(ours, 1300, 0.1)
    assert got[0].dtype == torch.float32
    for mine, expected in zip(got, wanted, strict=True):
        assert mine.dtype == torch.float32
        assert (mine - expected).norm() < 0.02 * expected.norm()


@pytest.mark.parametrize("graph", [True, False])
def test_each_row_has_its_loss_too(graph: bool) -> None:
    readout, features, labels = rows(1300)
    with torch.set_grad_enabled(graph):
        total, each = cross_entropies(readout, features, labels, label_smoothing=0.1)
    assert not each.requires_grad and total.requires_grad == graph
    wanted = F.cross_entropy(readout(features), labels, reduction="none", label_smoothing=0.1)
    assert_close(each, wanted.detach())
    assert_close(total.detach(), each.sum())


def test_reinforce_is_nothing_but_a_gradient_for_what_came_after_a_draw() -> None:
    log_prob = torch.zeros(3, 3, requires_grad=True)
    real = torch.tensor([[True, True, True], [True, True, False], [True, False, False]])
    value = reinforce(log_prob, torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0, 32.0]), real)
    value.backward()
    assert value == 0
    # to go: 7 6 4, 24 16 -, 32 - -; less what the others' is on average where they are real
    wanted = torch.tensor([[7 - 28, 6 - 16, 4], [24 - 19.5, 16 - 6, 0], [32 - 15.5, 0, 0]])
    assert_close(log_prob.grad, wanted)


def drawing() -> EncoderDecoder:
    """A model that looks at a place it draws."""
    attention = partial(GeneralAttention, distribution=Reinforce, compatibility=General)
    return EncoderDecoder(
        VocabularySizes(SYMBOLS, SYMBOLS, joint=False),
        encoder=lambda embedding: RNNEncoder(embedding, size=4),
        decoder=lambda embedding, widths: RNNDecoder(embedding, widths, size=4, attention=attention),
        embedding=EmbeddingOptions(size=4),
    )


def test_over_all_draws_reinforce_has_the_gradient_of_the_expected_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two places to look at for two rows, three times and two: 64 ways, one draw of which is behind an end."""
    torch.manual_seed(0)
    model = drawing().double().train()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.8)
    batch = Batch(some([2, 2], first=5), some([4, 3], first=1))
    learnt = {name: torch.zeros_like(parameter) for name, parameter in model.named_parameters()}
    expected = torch.zeros((), dtype=torch.float64)
    for way in itertools.product(range(2), repeat=6):
        plan = iter(torch.tensor(way).view(3, 2, 1, 1))  # a place for each step, row, head and query
        monkeypatch.setattr(seqloom.attention.reinforce, "drawn", lambda log_probs, plan=plan: next(plan))
        output = model(batch)
        monkeypatch.setattr(model, "forward", lambda batch, output=output: output)
        loss = teacher_forced(model, batch).total
        monkeypatch.undo()
        probability = output.log_prob.sum().exp()
        expected = expected + probability * loss.detach()  # through the probability of the way alone ...
        gradients = torch.autograd.grad(loss, model.parameters(), retain_graph=True)
        for name, gradient in zip(learnt, gradients, strict=True):
            learnt[name] += probability.detach() * gradient
        losses = plain_loss(model, batch, output)
        expected = expected + probability.detach() * (losses - losses.detach())  # ... and through what it led to
    wanted = torch.autograd.grad(expected, model.parameters())
    for (name, got), gradient in zip(learnt.items(), wanted, strict=True):
        assert_close(got, gradient, rtol=1e-5, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}")
    assert learnt["decoder.attention.compatibility.query.weight"].abs().max() > 1e-3  # which draws alone teach


def plain_loss(model: EncoderDecoder, batch: Batch, output: Output) -> Tensor:
    real = batch.target.mask[:, 1:]
    logits = model.decoder.project(output.features[real])
    return F.cross_entropy(logits, batch.target.ids[:, 1:][real], reduction="sum")


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
