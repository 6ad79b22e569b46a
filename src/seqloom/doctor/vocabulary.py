"""The vocabulary against the data: what a model would never get to see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from seqloom.doctor.findings import Finding, share, warning
from seqloom.doctor.sample import Data, Looked
from seqloom.tokenizers import Tokenizer
from seqloom.vocabulary import UNK

MANY = 0.1  # of the tokens unknown: every tenth word of a text is a gap
MORE = 3.0  # times as many as in training: validation data of another kind
SHOWN = 5  # unknown symbols


@dataclass(frozen=True)
class Unknown:
    """The unknown tokens of one side of a corpus."""

    where: str  # such as data.valid
    side: str
    rate: float  # of its tokens
    trained: float | None = None  # the rate in training, where this is validation
    examples: Sequence[str] = ()  # the most frequent ones, as they are written


def unknown_tokens(found: Unknown) -> Finding | None:
    """What to say of them: nothing where they are few, and, in validation, no more than in training."""
    examples = f", such as {', '.join(map(repr, found.examples))}" if found.examples else ""
    said = f"{found.where}: {share(found.rate)} of the {found.side} tokens are unknown to the tokenizer{examples}"
    if found.trained is None:
        cure = "a larger vocabulary, or subwords (tokenizer: SentencePiece), would leave fewer"
        return warning(f"{said}; {cure}") if found.rate >= MANY else None
    if found.rate >= max(MANY, 2 * found.trained) or found.rate >= MORE * max(found.trained, 0.01):
        cure = "both should be cut into words and cased alike, and in one language"
        return warning(f"{said}, and {share(found.trained)} in training; {cure}")
    return None


def check_vocabulary(data: Data) -> Iterator[Finding]:
    """Unknown tokens of either side, in training and in validation."""
    for number, side in enumerate(("source", "target")):
        tokens = sum(_counts(looked)[number][1] for looked in data.training)
        rate = sum(_counts(looked)[number][0] for looked in data.training) / max(tokens, 1)
        yield from _said(Unknown("data.train", side, rate))
        for looked in () if data.held_out else data.validation:
            unknown, all_tokens = _counts(looked)[number]
            examples = _examples(looked, number, data) if unknown else ()
            yield from _said(Unknown(looked.where, side, unknown / max(all_tokens, 1), rate, examples))


def never_seen(tokenizer: Tokenizer, texts: Sequence[str]) -> Counter[str]:
    """The unknown symbols of some texts, as they are written there, and how often each is there."""
    found: Counter[str] = Counter()
    for text, ids in zip(texts, tokenizer.encode(texts), strict=True):
        if UNK in ids:
            written = tokenizer.written(text)
            found.update(symbol.strip() for symbol, i in zip(written, ids, strict=False) if i == UNK)
    return found


def _said(found: Unknown) -> list[Finding]:
    finding = unknown_tokens(found)
    return [finding] if finding else []


def _counts(looked: Looked) -> tuple[tuple[int, int], tuple[int, int]]:
    """How many source tokens, and target tokens, are unknown, and how many there are."""
    report = looked.report
    return (report.source_unknowns, report.source_tokens), (report.target_unknowns, report.target_tokens)


def _examples(looked: Looked, side: int, data: Data) -> list[str]:
    if side == 0 and not looked.is_text:
        return []
    tokenizer = looked.tokenizers.target if side else looked.tokenizers.source
    texts = [pair[side] for pair in looked.written(data.options.errors)]
    return [symbol for symbol, _ in never_seen(tokenizer, texts).most_common(SHOWN)]
