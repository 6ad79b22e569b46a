"""Text to text: translation, and all that can be seen as one."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seqloom.data.batches import Position, TrainingBatches, batch_of, valid_order
from seqloom.data.cache import cache_directory, content
from seqloom.data.corpora import CorpusOptions, both
from seqloom.data.held_out import Part, read_part, valid_share
from seqloom.data.permutation import Integers
from seqloom.data.prepared import PreparedCorpus, prepare, trained
from seqloom.data.sifted import Sifted
from seqloom.data.sifting import sift
from seqloom.data.valid_texts import ValidTexts
from seqloom.data.variation import variation_of
from seqloom.engines.native import NativeEngine
from seqloom.hardware import return_freed_memory
from seqloom.losses import cross_entropies, reinforce
from seqloom.metrics import Bleu, Chrf, ExactMatch, Metric
from seqloom.models import Model, VocabularySizes
from seqloom.registry import register
from seqloom.search import SearchOptions
from seqloom.structures import Batch, Loss
from seqloom.tasks.base import Evaluation, Example, Prepared, Setting, Task, TokenizerPair
from seqloom.tasks.forced import forced_texts
from seqloom.tasks.trial import decoding_seconds, loss_seconds
from seqloom.tokenizers import Tagged, Tokenizer, Tokenizers
from seqloom.translate import Translator
from seqloom.vocabulary import Vocabulary


@register("translation")
class TranslationTask(Task):
    """Learn to turn source text into target text; validated by decoding freely, as in use."""

    def __init__(
        self,
        setting: Setting,
        *,
        metrics: tuple[Callable[..., Metric], ...] = (Bleu, Chrf, ExactMatch),
        teacher_forced: bool = False,
        valid_beam_size: int = 1,
        valid_most: int = 2000,
        examples: int = 3,
    ):
        """Validation decodes at most `valid_most` sentences, and shows `examples` of them.

        With `teacher_forced` the metrics are also reported as "teacher_forced.NAME" for tokens that are chosen behind
        the reference's own.  These look better than the model is, and never decide which checkpoint is the best.
        Raises ValueError if two metrics have one name.
        """
        self.metrics, self.teacher_forced = [make() for make in metrics], teacher_forced
        self.measures = ("loss", "perplexity", *(metric.name for metric in self.metrics))
        falling = [metric.name for metric in self.metrics if not metric.higher_is_better]
        self.less_is_better = frozenset(["loss", "perplexity", *falling])
        for name in self.measures:
            if self.measures.count(name) > 1:
                raise ValueError(f"two of its measures are called {name!r}: each needs a name of its own")
        self.setting, self.examples, self.valid_most = setting, examples, valid_most
        penalty, kind = setting.search.length_penalty, setting.search.length_penalty_kind
        self.valid_search = SearchOptions(beam_size=valid_beam_size, length_penalty=penalty, length_penalty_kind=kind)

    def prepare(self, directory: Path) -> None:
        self.files = _Files(self.setting, cache_directory(self.setting.data.cache, fallback=directory / "cache"))
        place = directory / "tokenizers"
        self.tokenizers = Tokenizers.load(place) if place.exists() else self.files.train_tokenizers()
        train_corpora = self.setting.data.train_corpora
        self.corpora = [self.files.prepared(corpus, "train", self.tokenizers) for corpus in train_corpora]
        self.validation = [self.files.prepared(corpus, "valid", self.tokenizers) for corpus in self.files.valid_corpora]
        self.training = TrainingBatches(
            self.corpora,
            self.setting.data.mixing,
            batch_tokens=self.setting.batch_tokens,
            batch_sentences=self.setting.batch_sentences,
            seed=self.setting.seed,
            variation=variation_of(self.setting.data, self.tokenizers, seed=self.setting.seed),
        )
        if not place.exists():
            self._keep_tokenizers(place)
        return_freed_memory()  # a tokenizer that was trained leaves much behind

    def _keep_tokenizers(self, place: Path) -> None:
        """All of their files or none, so that a run whose process is killed here can be begun again."""
        aside = place.with_name(".new-tokenizers")
        shutil.rmtree(aside, ignore_errors=True)
        self.tokenizers.save(aside)
        aside.rename(place)

    def prepared(self) -> Prepared:
        return Prepared(self.tokenizers, self.corpora, self.validation, self.files.valid_pairs)

    def rehearse(self, model: nn.Module) -> float:
        assert isinstance(model, Model)
        model.eval()
        size = self.setting.batch_tokens, self.setting.batch_sentences
        losses = sum(loss_seconds(model, corpus, teacher_forced, size) for corpus in self.validation)
        sources = [source for source, _ in islice(self.files.valid_pairs(), self.valid_most)]
        pairs, tokens = (sum(len(c) for c in self.validation), sum(c.report.target_tokens for c in self.validation))
        translator = self._translator(model)
        return losses + decoding_seconds(translator, sources, len(sources) * (tokens + pairs) // pairs)

    def symbols(self) -> tuple[int, int]:
        return len(self.tokenizers.source.vocabulary), len(self.tokenizers.target.vocabulary)

    def build(self, model: Callable[..., Any]) -> Model:
        return build_model(model, self.tokenizers)

    def begin(self, model: nn.Module) -> None:
        assert isinstance(model, Model)
        model.begin()

    def batches(self, start: Position) -> Iterator[tuple[Batch, Position]]:
        return self.training.iterate(start)

    def epoch(self, position: Position) -> float:
        return self.training.epoch(position)

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        return teacher_forced(model, batch, label_smoothing=self.setting.label_smoothing)

    @torch.inference_mode()
    def evaluate(self, model: nn.Module) -> Evaluation:
        assert isinstance(model, Model)
        loss, pairs = self._valid_loss(model), list(islice(self.files.valid_pairs(), self.valid_most))
        sources, references = [source for source, _ in pairs], [self.tokenizers.target.restore(t) for _, t in pairs]
        translator = self._translator(model)
        hypotheses = self.ranks.shared(lambda part: [found.text for found in translator.translate(part)], sources)
        scores = {metric.name: metric.score(hypotheses, references) for metric in self.metrics}
        values = {"loss": loss, "perplexity": math.exp(min(loss, 100))} | {n: s.value for n, s in scores.items()}
        values |= self._values_by_tag(sources, hypotheses, references)
        if self.teacher_forced:
            values |= self._forced_values(model, pairs, references)
        return_freed_memory()  # decoding has other shapes than training
        return Evaluation(
            values,
            {name: score.signature for name, score in scores.items()},
            list(zip(sources, hypotheses, references, strict=True))[: self.examples],
        )

    def _valid_loss(self, model: Model) -> float:
        """The mean loss of a target token."""
        size = self.setting.batch_tokens, self.setting.batch_sentences
        batches = [(corpus, rows) for corpus in self.validation for rows in valid_order(corpus, *size)]
        device = next(model.parameters()).device

        def losses(part: list[tuple[PreparedCorpus, Integers]]) -> list[tuple[float, int]]:
            found = (teacher_forced(model, batch_of(corpus, rows).to(device)) for corpus, rows in part)
            return [(loss.total.item(), loss.count) for loss in found]

        sums = self.ranks.shared(losses, batches)
        return sum(total for total, _ in sums) / sum(count for _, count in sums)

    def _values_by_tag(
        self, sources: Sequence[str], hypotheses: Sequence[str], references: Sequence[str]
    ) -> dict[str, float]:
        """The metrics of each tag's sentences, such as "bleu.<2de>", where not all have the same."""
        tags, rows = self.setting.data.tags, dict[str, list[int]]()
        for row, source in enumerate(sources):
            first = source.partition(" ")[0]
            rows.setdefault(first if first in tags else "untagged", []).append(row)
        return {
            f"{metric.name}.{tag}": metric.score([hypotheses[i] for i in own], [references[i] for i in own]).value
            for tag, own in (sorted(rows.items()) if len(rows) > 1 else ())
            for metric in self.metrics
        }

    def _forced_values(
        self, model: Model, pairs: Sequence[tuple[str, str]], references: Sequence[str]
    ) -> dict[str, float]:
        limits, tokens = both(self.setting.data.max_length), self.setting.batch_tokens
        forced = partial(forced_texts, model, self.tokenizers, max_length=limits, tokens=tokens)
        texts = self.ranks.shared(forced, pairs)
        return {f"teacher_forced.{metric.name}": metric.score(texts, references).value for metric in self.metrics}

    @torch.inference_mode()
    def show(self, model: nn.Module, count: int) -> list[Example]:
        assert isinstance(model, Model)
        pairs = list(islice(self.files.valid_pairs(), count))
        found = self._translator(model).translate([s for s, _ in pairs])
        restore = self.tokenizers.target.restore
        return [(source, made.text, restore(target)) for (source, target), made in zip(pairs, found, strict=True)]

    def _translator(self, model: Model) -> Translator:
        engine = NativeEngine(model, device=next(model.parameters()).device)
        return Translator(engine, self.tokenizers, self.valid_search)

    def tables(self, model: nn.Module) -> dict[str, tuple[Vocabulary, nn.Embedding]]:
        assert isinstance(model, Model)
        sides = {"source": self.tokenizers.source, "target": self.tokenizers.target}
        return {side: (sides[side].vocabulary, embedding.table) for side, embedding in model.embeddings.items()}


def build_model(model: Callable[..., Any], tokenizers: Tokenizers) -> Model:
    """The model that fits these tokenizers, with fresh weights."""
    source, target = len(tokenizers.source.vocabulary), len(tokenizers.target.vocabulary)
    built = model(vocabulary=VocabularySizes(source, target, joint=tokenizers.joint))
    assert isinstance(built, Model)
    return built


def teacher_forced(model: nn.Module, batch: Batch, *, label_smoothing: float = 0.0) -> Loss:
    """The cross-entropy of every real target token, each given those before it, summed; penalties count per token.

    What was drawn at random on the way learns, too, by REINFORCE.
    """
    assert isinstance(model, Model)
    output, places = model(batch), batch.places()  # [R]: padding is left out before the costly projection
    labels = batch.target.ids[:, 1:].flatten()[places]
    features = output.features.flatten(0, 1).index_select(0, places)
    total, losses = cross_entropies(model.decoder.readout, features, labels, label_smoothing=label_smoothing)
    if output.log_prob is not None:
        total = total + reinforce(output.log_prob, losses, batch.target.mask[:, 1:])
    return Loss(total + output.penalty * len(labels), len(labels))


class _Files:
    """The texts that a setting names, each read for training or for validation."""

    def __init__(self, setting: Setting, cache: Path):
        self.setting, self.data, self.cache = setting, setting.data, cache
        self.valid_corpora = self.data.valid_corpora or self.data.train_corpora
        self.held_out = not self.data.valid_corpora
        self.share = (
            valid_share(self.data.train_corpora, lines=self.data.valid_lines, cache=cache, errors=self.data.errors)
            if self.held_out
            else 0.0
        )

    @cached_property
    def valid_texts(self) -> list[ValidTexts]:
        """The texts to validate on, of each corpus."""
        kept = partial(ValidTexts, part=self._part("valid"), valid_share=self.share, cache=self.cache)
        return [kept(corpus, errors=self.data.errors) for corpus in self.valid_corpora]

    def prepared(self, corpus: CorpusOptions, part: Part, tokenizers: Tokenizers) -> PreparedCorpus:
        """The ids of a corpus, or of its part where validation data are held out."""
        return prepare(
            corpus,
            tokenizers,
            cache=self.cache,
            part=self._part(part),
            valid_share=self.share,
            max_length=self.data.max_length,
            too_long=self.data.too_long,
            errors=self.data.errors,
            workers=self.data.workers,
            sifted=self._sifted(corpus) if part == "train" else None,
        )

    def valid_pairs(self) -> Iterator[tuple[str, str]]:
        """The texts to validate on, of each corpus in turn: the first few have something of every one."""
        in_turn = zip_longest(*self.valid_texts)
        return (pair for pairs in in_turn for pair in pairs if pair is not None)

    def train_tokenizers(self) -> Tokenizers:
        """Tokenizers for these texts; one for both sides if it is to be joint."""
        wanted = self.setting.tokenizer
        if isinstance(wanted, TokenizerPair):
            return Tokenizers(self._tagged(wanted.source(), [0]), self._trained(wanted.target(), [1]))
        if wanted().joint:
            both = self._tagged(wanted(), [0, 1])
            return Tokenizers(both, both)
        return Tokenizers(self._tagged(wanted(), [0]), self._trained(wanted(), [1]))

    def _tagged(self, tokenizer: Tokenizer, sides: Sequence[int]) -> Tokenizer:
        """This tokenizer, trained on what stands behind the tags, with the tags."""
        tags = self.data.tags
        return Tagged(self._trained(tokenizer, sides), tags) if tags else self._trained(tokenizer, sides)

    def _trained(self, tokenizer: Tokenizer, sides: Sequence[int]) -> Tokenizer:
        corpora = self.data.train_corpora
        hashes = [content(path, self.cache).sha256 for corpus in corpora for path in corpus.files]
        depends = [*hashes, repr([(c.columns, c.fields) for c in corpora]), repr((sides, self.share, self.data.errors))]

        sifted = [self._sifted(corpus) for corpus in corpora]
        depends += [one.key for one in sifted if one]

        def texts() -> Iterable[str]:
            for corpus, left in zip(corpora, sifted, strict=True):
                for pair in self._pairs(replace(corpus, tag=None), "train", left):
                    yield from (pair[side] for side in sides)

        return trained(tokenizer, texts, key_parts=depends, cache=self.cache)

    def _pairs(self, corpus: CorpusOptions, part: Part, sifted: Sifted | None = None) -> Iterator[tuple[str, str]]:
        return read_part(corpus, part=self._part(part), valid_share=self.share, errors=self.data.errors, sifted=sifted)

    def _sifted(self, corpus: CorpusOptions) -> Sifted | None:
        """What the filters leave of a corpus to train on; None without filters."""
        chosen = self.data.filters if corpus.filters is None else corpus.filters
        filters = [make() for make in chosen]
        divided: Any = {"part": self._part("train"), "valid_share": self.share, "errors": self.data.errors}
        return sift(corpus, filters, cache=self.cache, **divided) if filters else None

    def _part(self, part: Part) -> Part:
        return part if self.held_out else "all"
