"""What a decoder copies is what it looks at, in the paper's proportion."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from seqloom.attention import AdditiveAttention, MultiHeadAttention
from seqloom.decoders import CopyingDecoder, RNNDecoder, TransformerDecoder
from seqloom.encoders import PoolingEncoder, RNNEncoder
from seqloom.errors import UsageError
from seqloom.losses import cross_entropy
from seqloom.models import EncoderDecoder, ImageToSequence, VocabularySizes
from seqloom.models.encoder_decoder import EmbeddingOptions
from seqloom.structures import Sequences

JOINT = VocabularySizes(9, 9, joint=True)
RNN = partial(RNNDecoder, size=6, attention=partial(AdditiveAttention, size=4))
TWO_HEADS = partial(RNNDecoder, size=6, attention=partial(MultiHeadAttention, heads=2))
TRANSFORMER = partial(TransformerDecoder, layers=2, heads=2, feedforward=12)
IDS = torch.tensor([[3, 4, 3, 1], [5, 1, 2, 2]])
SOURCE = Sequences(IDS, torch.tensor([[True] * 4, [True, True, False, False]]))
TARGET = torch.tensor([[0, 3, 7], [0, 5, 5]])


def model(decoder: Any = RNN, *, vocabulary: VocabularySizes = JOINT, encoder: Any = None, **options: Any) -> Any:
    torch.manual_seed(0)
    built = EncoderDecoder(
        vocabulary,
        encoder=encoder or partial(RNNEncoder, size=5),
        decoder=partial(CopyingDecoder, decoder=decoder, **options),
        embedding=EmbeddingOptions(size=8),
    )
    for parameter in built.parameters():
        nn.init.normal_(parameter, std=0.4)
    return built.double().eval()


@pytest.mark.parametrize("inner", [RNN, TWO_HEADS, TRANSFORMER], ids=["rnn", "two-heads", "transformer"])
def test_it_is_equation_9_of_the_paper(inner: Any) -> None:
    built = model(inner)
    decoder, encoded = built.decoder, built.encode(SOURCE)
    found = decoder.project(decoder(TARGET, decoder.start(encoded))[0].features)
    output, _ = decoder.decoder(TARGET, decoder.decoder.start(encoded), weights=True)
    own = decoder.decoder.project(output.features).softmax(-1)
    embedded = decoder.embedding(TARGET)
    for n in range(2):
        for t in range(3):
            weights = output.attention[n, -1, :, t].mean(0)
            context = weights @ encoded.values[n]
            known = torch.cat([output.features[n, t], context, embedded[n, t]])
            p = 1 / (1 + np.exp(-(known @ decoder.gate.weight[0] + decoder.gate.bias[0]).item()))
            wanted = p * own[n, t].detach().numpy()
            for position in range(4):
                wanted[IDS[n, position]] += (1 - p) * weights[position].item()
            np.testing.assert_allclose(found[n, t].exp().detach().numpy(), wanted, atol=1e-9)
            assert wanted.sum() == pytest.approx(1)


def test_the_loss_and_its_gradient_are_those_of_the_mixture() -> None:
    built, labels = model(), torch.tensor([3, 7, 1, 5, 5, 1])
    decoder = built.decoder
    output, _ = decoder(TARGET, decoder.start(built.encode(SOURCE)))
    cross_entropy(decoder.readout, output.features.flatten(0, 1), labels, label_smoothing=0.1).backward()
    found = {name: parameter.grad.clone() for name, parameter in built.named_parameters()}
    built.zero_grad()
    output, _ = decoder(TARGET, decoder.start(built.encode(SOURCE)))
    log_probs = decoder.project(output.features).flatten(0, 1)
    (-0.9 * log_probs.gather(1, labels[:, None]).sum() - 0.1 * log_probs.mean(1).sum()).backward()
    for name, parameter in built.named_parameters():
        assert_close(found[name], parameter.grad, rtol=1e-4, atol=1e-6)


def test_a_pointer_writes_what_stands_in_the_source_and_nothing_else() -> None:
    built = model(generate=False)
    decoder = built.decoder
    chances = decoder.project(decoder(TARGET, decoder.start(built.encode(SOURCE)))[0].features).exp()
    assert_close(chances[0][:, [1, 3, 4]].sum(-1), torch.ones(3, dtype=torch.float64))
    assert_close(chances[1][:, [1, 5]].sum(-1), torch.ones(3, dtype=torch.float64))


def test_symbols_are_exact_where_products_are_not() -> None:
    """Under autocast to bfloat16, which has 8 bits for a number, symbol 4099 is still symbol 4099."""
    built = model(vocabulary=VocabularySizes(5000, 5000, joint=True), generate=False).float()
    source = Sequences(torch.tensor([[4099, 4998, 1]]), torch.ones(1, 3, dtype=torch.bool))
    with torch.autocast("cpu", torch.bfloat16):
        decoder = built.decoder
        chances = decoder.project(decoder(TARGET[:1], decoder.start(built.encode(source)))[0].features)
    assert chances.dtype == torch.float32
    assert set(chances[0, -1].topk(3).indices.tolist()) == {1, 4099, 4998}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"vocabulary": VocabularySizes(9, 9, joint=False)}, "set joint: true in the tokenizer"),
        ({"decoder": partial(RNNDecoder, size=6)}, "RNNDecoder has none here"),
        ({"encoder": partial(PoolingEncoder, pool_size=2, stride=2)}, "positions stand for a source symbol each"),
    ],
    ids=["two-vocabularies", "no-attention", "groups"],
)
def test_what_cannot_be_copied_is_said(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises((ValueError, UsageError), match=sentence):
        built = model(**options)
        built.decoder(TARGET, built.decoder.start(built.encode(SOURCE)))


def test_images_have_nothing_to_copy() -> None:
    with pytest.raises(ValueError, match="an image has no symbols"):
        ImageToSequence(VocabularySizes(259, 9, joint=False), decoder=partial(CopyingDecoder, decoder=RNN))
