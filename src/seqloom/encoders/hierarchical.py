"""The hierarchical encoder: words make sentences, and sentences make the source."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from seqloom.attention.additive import AdditiveAttention
from seqloom.attention.base import Attention
from seqloom.attention.pooling import QueryPooling
from seqloom.bounds import Positive
from seqloom.encoders.base import Encoder
from seqloom.encoders.features import need_aligned, on_features
from seqloom.encoders.parts import Places, one_each, places
from seqloom.layers.embedding import Embedding
from seqloom.registry import register
from seqloom.structures import Attended, Encoded, Sequences, Widths


@register("hierarchical")
class HierarchicalEncoder(Encoder):
    """Words are encoded and summed up sentence by sentence, and so are the sentences; https://aclanthology.org/N16-1174.

    The parts of a source are its sentences (tokenizer `Parts`).  `words` encodes each by itself; a learned query asks
    attention for its vector (equations 5 to 7).  `sentences` encodes these vectors, layer-normalised; another query
    makes the summary of them (equations 8 to 10).

    The positions that a decoder looks at are the words: keys and values have what is known of the word and, behind it,
    of its sentence.  Where a score adds up over features, as `General` and `DotAttention` do, a weight is then the
    weight of the word times that of its sentence, normalised: https://arxiv.org/abs/1602.06023, 3.3.
    """

    reads_symbols = True

    def __init__(
        self,
        embedding: Embedding,
        *,
        words: Callable[..., Encoder],
        sentences: Callable[..., Encoder],
        attention: Callable[..., Attention] = AdditiveAttention,
        size: Positive = 256,
    ):
        """`size` is the width of both queries.  ValueError unless words and sentences keep a position each."""
        super().__init__()
        self.words = need_aligned(words(embedding=embedding), "words")
        self.word_attention = QueryPooling(self.words.widths, attention=attention, size=size)
        self.sentences = need_aligned(on_features(sentences, self.word_attention.output_size), "sentences")
        self.sentence_attention = QueryPooling(self.sentences.widths, attention=attention, size=size)
        word, sentence = self.words.widths, self.sentences.widths
        keys, values = word.keys + sentence.keys, word.values + sentence.values
        self.widths = Widths(keys, values, self.sentence_attention.output_size)

    def forward(self, source: Sequences, *, weights: bool = False) -> Encoded:
        """As every encoder; on request attention as two layers of one head.

        In the first each word's row has the weights of the words of its sentence; in the second these times the weight
        of their sentence, which is what each word is to the summary.
        """
        where = places(source)
        words: Encoded = self.words(one_each(source, where))
        of_words: Attended = self.word_attention(words, weights=weights)
        sentences: Encoded = self.sentences(_per_row(of_words.context[:, 0], where))
        of_sentences: Attended = self.sentence_attention(sentences, weights=weights)
        keys = _beside(words.keys, sentences.keys, where)
        same = words.values is words.keys and sentences.values is sentences.keys
        values = keys if same else _beside(words.values, sentences.values, where)
        penalties = words.penalty, of_words.penalty, sentences.penalty, of_sentences.penalty
        shown = _shown(of_words, of_sentences, where, source.mask) if weights else None
        return Encoded(keys, values, source.mask, of_sentences.context[:, 0], shown, sum(penalties))


def _per_row(vectors: Tensor, where: Places) -> Sequences:
    """Vectors of all parts [R, D] as features [B, P, D] of the parts of each row."""
    count = where.part.amax(1) + 1  # [B]
    mask = torch.arange(int(count.max()), device=count.device) < count[:, None]  # [B, P]
    features = vectors.new_zeros(*mask.shape, vectors.size(1))
    return Sequences(features.masked_scatter(mask[..., None], vectors), mask)


def _beside(words: Tensor, sentences: Tensor, where: Places) -> Tensor:
    """Features of the words of each part [R, W, D] and of the parts of each row [B, P, E] -> [B, S, D + E]."""
    place = where.place.clamp(max=words.size(1) - 1)  # padding may stand beyond the longest part
    of_sentence = sentences.take_along_dim(where.part[..., None], 1)
    return torch.cat([words[where.number, place], of_sentence], -1)


def _shown(words: Attended, sentences: Attended, where: Places, mask: Tensor) -> Tensor:
    """Weights of words in parts [R, H, 1, W] and of parts in rows [B, H, 1, P] -> [B, 2, 1, S, S]."""
    assert words.weights is not None and sentences.weights is not None
    of_words, of_parts = words.weights.mean((1, 2)), sentences.weights.mean((1, 2))
    place = where.place.clamp(max=of_words.size(1) - 1)
    share = of_words[where.number, place] * mask  # [B, S]
    near = where.part[:, :, None] == where.part[:, None]  # [B, S, S]
    far = share * of_parts.gather(1, where.part)
    layers = near * share[:, None], far[:, None].expand(near.shape)
    return torch.stack(layers, 1)[:, :, None]
