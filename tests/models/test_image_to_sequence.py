"""A model that sees images the right way up, and refuses what is no image."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from seqloom.attention import AdditiveAttention
from seqloom.decoders import RNNDecoder
from seqloom.encoders import ImageEncoder
from seqloom.errors import UsageError
from seqloom.models import ImageToSequence, VocabularySizes
from seqloom.models.encoder_decoder import EmbeddingOptions
from seqloom.structures import Batch, Encoded, Sequences

PIXELS = VocabularySizes(259, 9, joint=False)


def build(**options: Any) -> ImageToSequence:
    torch.manual_seed(1)
    decoder = partial(RNNDecoder, size=6, attention=partial(AdditiveAttention, size=4))
    encoder = partial(ImageEncoder, height=4, width=6, channels=(5,))
    return ImageToSequence(PIXELS, **{"encoder": encoder, "decoder": decoder} | options).eval()


def source(levels: Tensor) -> Sequences:
    """Images [B, H, W, 3] of levels 0 to 255 as the pipeline hands them on."""
    ids = torch.nn.functional.pad(levels.flatten(1) + 3, (0, 1), value=1)
    return Sequences(ids, torch.ones_like(ids, dtype=torch.bool))


@pytest.fixture
def levels() -> Tensor:
    return torch.randint(0, 256, (2, 4, 6, 3), generator=torch.Generator().manual_seed(1))


def test_the_encoder_sees_the_image(levels: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []

    def look(self: ImageEncoder, images: Tensor) -> Encoded:
        seen.append(images)
        return Encoded(images.flatten(2).mT, images.flatten(2).mT, torch.ones(2, 24, dtype=torch.bool), images[:, 0, 0])

    monkeypatch.setattr(ImageEncoder, "forward", look)
    build().encode(source(levels))
    assert_close(seen[0][1, 2, 3, 4], levels[1, 3, 4, 2] / 255)
    assert_close(seen[0], levels.permute(0, 3, 1, 2) / 255)


def test_a_batch_becomes_features_that_every_weight_is_learnt_from(levels: Tensor) -> None:
    model = build(embedding=EmbeddingOptions(size=8, tie="target", uniform=0.5))
    target = torch.tensor([[0, 3, 4, 1], [0, 5, 6, 1]])
    output = model(Batch(source(levels), Sequences(target, torch.ones_like(target, dtype=torch.bool))))
    assert output.features.shape == (2, 3, 8)
    model.decoder.project(output.features).logsumexp(-1).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
    assert model.decoder.readout.weight is model.embeddings["target"].table.weight
    assert model.embeddings["target"].table.weight.abs().max() <= 0.5


def test_positions_are_called_by_where_they_are() -> None:
    assert build().labels(["7"] * 72) == [f"row {row}, column {column}" for row in (1, 2) for column in (1, 2, 3)]


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(UsageError) as said:
        build().encode(source(torch.zeros(1, 4, 4, 3, dtype=torch.int64)))
    assert str(said.value) == (
        "model.encoder reads images of 4x6 pixels and the tokenizer makes others: give both the same height and width"
    )


@pytest.mark.parametrize(
    "options, sentence",
    [
        (
            {"vocabulary": VocabularySizes(30, 9, joint=False)},
            "the source must be pixels: set tokenizer: {source: Pixels, target: ...}",
        ),
        (
            {"vocabulary": PIXELS, "embedding": EmbeddingOptions(tie="all")},
            "tie: all shares vectors of source symbols, which an image doesn't have",
        ),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError) as said:
        ImageToSequence(**options, decoder=RNNDecoder)
    assert str(said.value) == sentence
