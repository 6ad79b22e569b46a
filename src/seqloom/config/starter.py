"""A configuration to start from, chosen by looking at the data."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from seqloom.data.corpora import CorpusOptions, read_pairs

FEW_WORDS = 500  # a side with no more different words than this is a made-up language, and needs no subwords
SAMPLE = 200_000  # pairs looked at


@dataclass(frozen=True)
class Survey:
    """What was seen of a corpus: pairs, and each side's different words and mean length in words."""

    pairs: int
    words: tuple[int, int]
    lengths: tuple[float, float]

    @property
    def symbolic(self) -> bool:
        """Whether both sides are made of few different words."""
        return max(self.words) <= FEW_WORDS


def survey(corpus: CorpusOptions) -> Survey:
    """Read a corpus.  Raises DataError as reading does."""
    seen: tuple[set[str], set[str]] = (set(), set())
    totals, pairs = [0, 0], 0
    for pairs, pair in enumerate(read_pairs(corpus), 1):  # noqa: B007 - counts after the loop
        if pairs <= SAMPLE:
            for side, text in enumerate(pair):
                words = text.split()
                totals[side] += len(words)
                seen[side].update(words)
    looked_at = min(pairs, SAMPLE)
    return Survey(pairs, (len(seen[0]), len(seen[1])), (totals[0] / looked_at, totals[1] / looked_at))


def starter(train: CorpusOptions, valid: CorpusOptions | None, *, directory: Path) -> str:
    """The text of a commented YAML file in `directory` for these data.  Raises DataError as reading does."""
    found = survey(train)
    if valid:
        survey(valid)
    return "\n".join([*_head(found), *_data(train, valid, directory), *_model(found), *_training(found), ""])


def _head(found: Survey) -> Iterable[str]:
    yield "# A configuration for Seqloom, made by `seqloom init`.  Every key is optional but data and model;"
    yield "# `seqloom check FILE` shows them all with their defaults."
    yield f"# The data: {found.pairs:,} pairs, {found.lengths[0]:.1f} and {found.lengths[1]:.1f} words a line."
    yield "task: translation"


def _data(train: CorpusOptions, valid: CorpusOptions | None, directory: Path) -> Iterable[str]:
    yield "data:"
    yield "  # Plain text, or .gz, .xz, .zst.  A list of corpora, each with a weight, makes a mixture;"
    yield "  # {tsv: FILE} and {jsonl: FILE} work, too."
    yield f"  train: {_corpus(train, directory)}"
    if valid:
        yield f"  valid: {_corpus(valid, directory)}"
    else:
        yield "  valid_lines: 1000        # held out of train to validate on, at most 5 %"


def _corpus(corpus: CorpusOptions, directory: Path) -> str:
    assert isinstance(corpus.source, Path) and isinstance(corpus.target, Path)
    return f"{{source: {_path(corpus.source, directory)}, target: {_path(corpus.target, directory)}}}"


def _path(path: Path, directory: Path) -> str:
    """The path as the file in `directory` should say it: relative where that stays below it."""
    absolute = path.absolute()
    near = Path(os.path.relpath(absolute, directory)) if absolute.is_relative_to(directory) else absolute
    return json.dumps(str(near).replace("$", "$$"), ensure_ascii=False)  # a JSON string is a YAML string


def _model(found: Survey) -> Iterable[str]:
    size, layers = (256, 3) if found.pairs >= 10_000 and not found.symbolic else (128, 2)
    if found.pairs >= 1_000_000:
        size, layers = 512, 6
    if found.symbolic:
        yield "tokenizer: {class: Words}   # your data have few different words, so each is a symbol"
        tie = "none"
    else:
        yield f"tokenizer: {{class: SentencePiece, size: {_subwords(found.pairs)}, model: bpe, joint: true}}"
        tie = "all"
    part = f"layers: {layers}, heads: {size // 64 if size > 128 else 4}, feedforward: {4 * size}, dropout: 0.2"
    yield "model:"
    yield "  class: EncoderDecoder"
    yield f"  embedding: {{size: {size}, tie: {tie}}}   # the model's width; tie shares embeddings and output"
    yield f"  encoder: {{class: TransformerEncoder, {part}}}"
    yield f"  decoder: {{class: TransformerDecoder, {part}}}"
    yield "  # A recurrent model instead:"
    yield f"  # encoder: {{class: RNNEncoder, cell: gru, size: {size}, dropout: 0.2}}"
    attention = "attention: {class: AdditiveAttention}"
    yield f"  # decoder: {{class: RNNDecoder, cell: gru, size: {size}, dropout: 0.2, {attention}}}"


def _subwords(pairs: int) -> int:
    return next((size for limit, size in ((5_000, 2000), (20_000, 4000), (300_000, 8000)) if pairs < limit), 16_000)


def _training(found: Survey) -> Iterable[str]:
    steps = next(
        (n for limit, n in ((5_000, 2_000), (20_000, 4_000), (200_000, 20_000)) if found.pairs < limit), 100_000
    )
    yield "train:"
    yield f"  steps: {steps}"
    yield f"  batch_tokens: {2048 if found.pairs < 20_000 else 4096}        # of a batch, padding included"
    yield "  optimizer: {class: Adam, betas: [0.9, 0.98]}"
    yield f"  schedule: {{class: InverseSquareRoot, peak: 1.0e-3, warmup: {min(4000, steps // 10)}}}"
    yield "  label_smoothing: 0.1"
    yield f"  validate_every: {max(100, steps // 20)}"
    yield f"  checkpoint_every: {max(100, steps // 20)}"
    yield "  keep_best: bleu           # or chrf, exact, loss"
    yield "search: {beam_size: 5, length_penalty: 1.0}"
