"""CTranslate2: exported Transformers, several times as fast on CPUs.  Nothing here needs PyTorch."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from seqloom.data.lengths import cut_among
from seqloom.engines.base import Engine, Found, Request
from seqloom.engines.listening import Listener
from seqloom.errors import CheckpointError, UsageError
from seqloom.search.hypothesis import Hypothesis, counting
from seqloom.search.options import SearchOptions
from seqloom.tokenizers import Tokenizers
from seqloom.vocabulary import EOS, UNK

if TYPE_CHECKING:
    import ctranslate2

BATCH_TOKENS = 2048  # source tokens, padding included, in one of its batches
SHORTLISTED_TOKENS = 1024  # where those of a batch share a shortlist: the more there are, the longer it gets
VOCABULARY_MAP = "vmap.txt"  # its name for a shortlist
AHEAD = 2  # batches for each of its workers that are begun before the first is there
AT_ONCE = 4  # batches: two on a core each are a fifth to a third faster than one on two cores after the other
NO_EARLY_EXIT = 1e-9  # a length penalty that changes no score, though without one the search may end at the first end
GRANTED = {
    *("beam_size", "n_best", "patience", "length_penalty", "length_penalty_kind", "max_length", "max_source_length"),
    *("shortlist", "unknown", "dictionary"),
}
ALWAYS = ("forbidden", "attention", "confidence", "numbers", "listener")  # wishes beside options
# In greedy search only, since nothing but the likeliest token stays what it is where others are forbidden:
RULES = ("forbidden_phrases", "prefixes")
GREEDILY = ("min_length", "no_repeat_ngram", "forbid", "forbid_file")


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What must be known of an exported model to run it."""

    directory: Path
    fingerprint: str
    positions: int | None  # that have a vector, where not all do
    reads_end: bool = True  # whether a source's end is shown to the model
    one_attention: bool = False  # whether the attention that it tells is all there is

    @property
    def has_shortlist(self) -> bool:
        """Whether the run had a shortlist when it was exported."""
        return (self.directory / VOCABULARY_MAP).is_file()


class CTranslate2Engine(Engine):
    """An exported Transformer.

    It finds what the native engine finds, with these differences.  A forbidden symbol's probability goes to the others:
    that leaves the likeliest of them what it is, but not the order of a beam, so that rules are for greedy search here.
    A shortlist is the one of all sentences that are searched together, and confidence is that among all symbols.
    Attention is that of the last layer, the mean over its heads.
    """

    name: ClassVar[str] = "ctranslate2"
    makes_batches: ClassVar[bool] = True
    whole_attention = False

    def __init__(self, exported: Exported, tokenizers: Tokenizers, *, device: str = "auto"):
        """Raises UsageError where the package is missing, CheckpointError where it can't load the model."""
        self.exported = exported
        self.source, self.target = tokenizers.source.vocabulary, tokenizers.target.vocabulary
        self.translator = _loaded(exported.directory, device)

    def refusal(self, request: Request) -> str | None:
        options = request.options
        inexact = " in a beam" if options.beam_size > 1 else " among a shortlist" if options.shortlist else ""
        for option in fields(SearchOptions):
            value = getattr(options, option.name)
            if value == option.default or option.name in GRANTED or (option.name == "seed" and not options.sample):
                continue
            if inexact or option.name not in GREEDILY:
                return f"no {option.name}: {_as_said(value)}" + inexact * (option.name in GREEDILY)
        for name in _wishes(request):
            if inexact or name not in RULES:
                return f"no {name.replace('_', ' ')}" + inexact * (name in RULES)
        if np.isinf(options.patience) and options.beam_size > 1:
            return "no patience: inf"
        if options.shortlist and not self.exported.has_shortlist:
            return "no shortlist: true, since the run had none when it was exported"
        if options.unknown == "copy" and not self.exported.one_attention:
            return "no unknown: copy, which looks at the attention of all layers, of which it tells the last"
        return None

    def search(self, sources: Sequence[Sequence[int]], request: Request) -> list[Found]:
        if reason := self.refusal(request):
            raise UsageError(f"the ctranslate2 engine knows {reason}; choose another, or the native engine")
        limits = [request.options.limit(self._length(source)) for source in sources]
        if request.prefixes:  # which are written whole
            limits = [max(limit, len(one) + 1) for limit, one in zip(limits, request.prefixes, strict=True)]
        self._check_positions(sources, limits)
        tokens = [self.source.lookup(source) for source in sources]
        founds = [
            self._ranked(source, self._hypotheses(result, request), limit, request)[: request.options.n_best]
            for source, result, limit in zip(tokens, self._run(tokens, max(limits), request), limits, strict=True)
        ]
        ruled = _has_rules(request)
        if ruled or request.confidence:
            founds = self._sure(sources, founds, request.options if ruled else None)
        return [Found(hypotheses) for hypotheses in founds]

    def score(self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> list[list[float]]:
        self._check_positions(sources, [len(target) + 1 for target in targets])
        written = [self.target.lookup(target) for target in targets]
        read = [self.source.lookup(source) for source in sources]

        def start(rows: list[int]) -> Any:
            pairs = [read[row] for row in rows], [written[row] for row in rows]
            return self.translator.score_batch(*pairs, max_input_length=0, asynchronous=True)

        lengths = [max(map(len, pair)) + 1 for pair in zip(read, written, strict=True)]
        return [list(scored.log_probs) for scored in self._in_parts(start, lengths, BATCH_TOKENS)]

    def _sure(
        self, sources: Sequence[Sequence[int]], founds: list[list[Hypothesis]], options: SearchOptions | None
    ) -> list[list[Hypothesis]]:
        """The same with the log-probability of each token; given options, also with the score that these make of it."""
        read = [source for source, found in zip(sources, founds, strict=True) for _ in found]
        scored = iter(self.score(read, [one.tokens for found in founds for one in found]))
        return [[_told_of(one, next(scored), options) for one in found] for found in founds]

    def fingerprint(self) -> str:
        return self.exported.fingerprint

    def _length(self, source: Sequence[int]) -> int:
        return len(source) + 1 if self.exported.reads_end else max(len(source), 1)

    def _check_positions(self, sources: Sequence[Sequence[int]], limits: Sequence[int]) -> None:
        most, end = self.exported.positions, max(max(map(self._length, sources)), *limits)
        if most is not None and end > most:
            raise UsageError(
                f"this export has positions for {most} tokens, and a sentence of up to {end} came; lower "
                "max_source_length or max_length, or export again with --positions"
            )

    def _run(self, tokens: list[list[str]], limit: int, request: Request) -> list[Any]:
        """CTranslate2's own results for sources, each target having at most `limit` tokens, its end included."""
        options, how = request.options, self._wished(limit, request)
        begun = [self.target.lookup(prefix) for prefix in request.prefixes or ()] or None
        if request.listener and options.beam_size == 1:  # wider beams tell nothing
            told = _Told(request.listener, self.target.ids, limit - 1)
            results: list[Any] = self.translator.translate_batch(tokens, begun, callback=told, **how)
            return results

        def start(rows: list[int]) -> Any:
            beginnings = begun and [begun[row] for row in rows]
            return self.translator.translate_batch([tokens[row] for row in rows], beginnings, asynchronous=True, **how)

        most = SHORTLISTED_TOKENS if options.shortlist else BATCH_TOKENS
        return self._in_parts(start, [len(source) + 1 for source in tokens], most)

    def _in_parts(self, start: Callable[[list[int]], Any], lengths: list[int], most: int) -> list[Any]:
        """The result of each row, of these lengths; `start` begins some of them, and batch follows batch.

        Python hears Ctrl-C only between two waits, and what was begun then is waited for in vain: so it is little.
        """
        order = np.argsort(lengths, kind="stable")
        ends = cut_among(np.array(lengths)[order], most, self.translator.num_translators)
        batches = [rows.tolist() for rows in np.split(order, ends[1:-1])]
        results, begun = [None] * len(lengths), deque[tuple[list[int], list[Any]]]()
        ahead = AHEAD * self.translator.num_translators
        while batches or begun:
            if batches and len(begun) < ahead:
                rows = batches.pop()  # the longest first: what is short ends together
                begun.append((rows, start(rows)))
                continue
            for row, coming in zip(*begun.popleft(), strict=True):
                results[row] = coming.result()
        return results

    def _wished(self, limit: int, request: Request) -> dict[str, Any]:
        """What CTranslate2 is told of a request."""
        options = request.options
        symbols = [[symbol] for symbol in self.target.lookup(i for i in request.forbidden if i != UNK)]
        phrases = [self.target.lookup(phrase) for phrase in request.forbidden_phrases]
        return {
            "beam_size": options.beam_size,
            "patience": 1.0 if options.beam_size == 1 else options.patience,
            "num_hypotheses": 1 if options.beam_size == 1 else int(options.enough(options.beam_size)),
            "length_penalty": self._exponent(options),
            "disable_unk": UNK in request.forbidden,
            "suppress_sequences": symbols + phrases,
            "no_repeat_ngram_size": options.no_repeat_ngram or 0,
            "return_end_token": True,
            "use_vmap": options.shortlist,
            "max_input_length": 0,  # nothing is cut off unsaid
            "max_decoding_length": limit,
            "min_decoding_length": options.min_length - 1,  # it doesn't count the end
            "return_scores": True,
            "return_attention": request.attention,
        }

    def _exponent(self, options: SearchOptions) -> float:
        """Its length penalty: of the hypotheses found it hands us those with the best log P / n^exponent."""
        return options.surplus_exponent or NO_EARLY_EXIT

    def _hypotheses(self, result: Any, request: Request) -> list[Hypothesis]:
        """The hypotheses of one sentence, those that have not ended with the score -inf."""
        exponent, found = self._exponent(request.options), []
        for number, (symbols, score) in enumerate(zip(result.hypotheses, result.scores, strict=True)):
            ids, length = self.target.ids(symbols), len(symbols)
            log_prob = score * length**exponent
            attention = _whole(result.attention[number], self.exported.reads_end) if request.attention else None
            if ids[-1:] == [EOS]:
                found.append(Hypothesis(ids[:-1], request.options.score(log_prob, length), log_prob, attention))
            else:
                found.append(Hypothesis(ids, -np.inf, log_prob, attention))
        return found

    def _ranked(self, source: list[str], found: list[Hypothesis], limit: int, request: Request) -> list[Hypothesis]:
        """These, the best first; where one goes on to the limit, all that can be made of the sentence within it."""
        greedy = request.options.beam_size == 1
        if greedy and len(found[0].tokens) >= limit:  # what it began with stays what it is
            return [self._ended(source, found[0].tokens[: limit - 1], request)]
        if any(one.score == -np.inf or len(one.tokens) >= limit for one in found):
            found = self._within(source, limit, request)
        return sorted(found, key=lambda one: -one.score)

    def _within(self, source: list[str], limit: int, request: Request) -> list[Hypothesis]:
        """The hypotheses of a sentence, those that would go on beyond the limit ending just there."""
        if limit == 1:
            return [self._ended(source, [], request)]
        options = request.options
        patient = options if options.beam_size == 1 else replace(options, patience=options.patience + 1)  # tells all
        again = replace(request, options=patient, listener=None)
        (result,) = self._run([source], limit - 1, again)
        found = self._hypotheses(result, again)
        ended = [one for one in found if one.score > -np.inf]
        lengths = sorted(len(one.tokens) for one in ended)
        if len(ended) >= (enough := int(options.enough(options.beam_size))):
            found = [one for one in ended if len(one.tokens) <= lengths[enough - 1]]
        cut = [self._ended(source, one.tokens, request) if one.score == -np.inf else one for one in found]
        return counting(cut, options, options.beam_size)

    def _ended(self, source: list[str], ids: list[int], request: Request) -> Hypothesis:
        """These tokens and an end, with the model's own scores."""
        target = self.target.lookup(ids)
        (scored,) = self.translator.score_batch([source], [target], max_input_length=0)
        log_prob, attention = float(sum(scored.log_probs)), None
        if request.attention:
            length = len(ids) + 1
            (result,) = self.translator.translate_batch(
                [source],
                target_prefix=[target],
                beam_size=1,
                max_input_length=0,
                max_decoding_length=length,
                min_decoding_length=0,
                return_attention=True,
                return_end_token=True,
            )
            attention = _whole(result.attention[0], self.exported.reads_end)
        return Hypothesis(ids, request.options.score(log_prob, len(ids) + 1), log_prob, attention)


def _wishes(request: Request) -> list[str]:
    """What is asked for that not every engine grants, beside options."""
    names = [field.name for field in fields(request) if getattr(request, field.name) != field.default]
    return [name for name in names if name not in ("options", *ALWAYS)]


def _has_rules(request: Request) -> bool:
    """Whether probabilities come out as they are only when what was found is scored anew."""
    options = request.options
    wished = request.prefixes or request.forbidden_phrases
    return bool(wished) or any(getattr(options, name) != getattr(SearchOptions, name) for name in GREEDILY)


def _told_of(one: Hypothesis, log_probs: list[float], options: SearchOptions | None) -> Hypothesis:
    told = replace(one, token_log_probs=tuple(log_probs))
    if options is None:
        return told
    return replace(told, log_prob=sum(log_probs), score=options.score(sum(log_probs), len(log_probs)))


def _as_said(value: Any) -> str:
    """The value of an option as a user would write it."""
    if isinstance(value, tuple):
        return ", ".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


class _Told:
    """Tells a listener the target so far, whenever CTranslate2 adds a token to it."""

    def __init__(self, listener: Listener, ids: Callable[[list[str]], list[int]], most: int):
        self.listener, self.ids, self.most, self.tokens = listener, ids, most, list[int]()

    def __call__(self, step: ctranslate2.GenerationStepResult) -> bool:
        token = self.ids([step.token])[0]
        if token != EOS and len(self.tokens) < self.most:
            self.tokens.append(token)
            self.listener(tuple(self.tokens))
        return False


def _whole(rows: list[list[float]], reads_end: bool) -> NDArray[np.float32]:
    """Attention [1, 1, T, S + 1]; what CTranslate2 tells, [T, S], lacks what the source's end got."""
    weights = np.array(rows, np.float32)
    rest = 1 - weights.sum(1, keepdims=True) if reads_end else np.zeros_like(weights[:, :1])
    return np.concatenate([weights, rest], 1)[None, None]


def _loaded(directory: Path, device: str) -> ctranslate2.Translator:
    try:
        import ctranslate2
    except ImportError:
        raise UsageError("the ctranslate2 engine needs a package: pip install 'seqloom[fast]'") from None
    name, _, index = device.partition(":")
    if name == "auto":
        name = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
    try:
        return ctranslate2.Translator(str(directory), device=name, device_index=int(index or 0), **_threads())
    except (ValueError, RuntimeError) as error:
        raise CheckpointError(f"{directory} can't be loaded on {device}: {error}") from None


def _threads() -> dict[str, int]:
    """How many batches at once, by how many threads each: as many as OMP_NUM_THREADS says, or there are cores."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    cores = int(said) if said.isdecimal() and int(said) else len(os.sched_getaffinity(0))
    return {"inter_threads": min(cores, AT_ONCE), "intra_threads": max(1, cores // AT_ONCE)}
