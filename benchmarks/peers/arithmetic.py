"""How many floating-point operations training takes by the formula, whatever a program makes of it.

A product of a row with a matrix of n numbers is 2 n operations, and backwards twice as many: 6 n a token.  Only real
tokens count, and of attention only the products of real positions with real ones (of a mean batch's lengths).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """6 n a source token, 6 n a target token, and 6 m a pair of positions in the same sentence."""

    source: float
    target: float
    pairs: tuple[float, float, float]  # source with source, target with target, target with source

    def flops(self, source_tokens: float, target_tokens: float, rows: float) -> float:
        """Of so many tokens in so many rows, each taken to be as long as the mean."""
        source, target = source_tokens / rows, target_tokens / rows
        squares = self.pairs[0] * source**2 + self.pairs[1] * target**2 + self.pairs[2] * target * source
        return 6 * (self.source * source_tokens + self.target * target_tokens + rows * squares)


def transformer(width: int, inner: int, layers: int, vocabulary: int) -> Work:
    """Encoder and decoder of so many layers each; 4 products of [D, D] an attention, 2 of [D, F] a network.

    Half of an attention over the past is masked, and need not be computed.
    """
    attention, network = 4 * width**2, 2 * width * inner
    source = layers * (attention + network + attention / 2)  # keys and values for the decoder, too
    target = layers * (attention + attention / 2 + network) + width * vocabulary
    return Work(source, target, (2 * layers * width, layers * width, 2 * layers * width))


def lstm(width: int, embedding: int, vocabulary: int, *, layers: int = 1, feeding: bool = True) -> Work:
    """Bidirectional LSTMs of `width` / 2 a direction under LSTMs of `width` with general attention.

    The decoder's first layer sees the embedding and, with input feeding, the features before.
    """
    inputs = [embedding] + [width] * (layers - 1)
    source = sum(4 * width * (size + width / 2) for size in inputs) + width**2  # and the keys
    fed = width if feeding else 0
    decoder = sum(4 * width * (size + width) for size in inputs) + 4 * width * fed
    return Work(source, decoder + 2 * width**2 + width * vocabulary, (0, 0, 2 * width))
