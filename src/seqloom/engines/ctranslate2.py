"""CTranslate2: exported Transformers, several times as fast on CPUs.  Nothing here needs PyTorch."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

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
AT_ONCE = 4  # batches: two on a core each are a fifth to a third faster than one on two cores after the other
NO_EARLY_EXIT = 1e-9  # a length penalty that changes no score, though without one the search may end at the first end
GRANTED = {
    *("beam_size", "n_best", "patience", "length_penalty", "length_penalty_kind", "max_length", "max_source_length"),
    *("shortlist", "unknown", "dictionary"),
}


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

    It finds what the native engine finds, with these differences.  A forbidden symbol's probability goes to the others.
    A shortlist is the one of all sentences that are searched together.  Attention is that of the last layer, the mean
    over its heads.
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
        for field in fields(request):
            if field.name not in ("options", "forbidden", "attention", "numbers", "listener"):
                if getattr(request, field.name) != field.default:
                    return f"no {field.name}"
        options = request.options
        for option in fields(SearchOptions):
            value = getattr(options, option.name)
            if option.name not in GRANTED and value != option.default and (option.name != "seed" or options.sample):
                return f"no {option.name}: {_as_said(value)}"
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
        self._check_positions(sources, limits)
        tokens = [self.source.lookup(source) for source in sources]
        founds = [
            self._ranked(source, self._hypotheses(result, request), limit, request)
            for source, result, limit in zip(tokens, self._run(tokens, max(limits), request), limits, strict=True)
        ]
        return [Found(hypotheses[: request.options.n_best]) for hypotheses in founds]

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
        options, told = request.options, None
        if request.listener and options.beam_size == 1:  # wider beams tell nothing
            told = _Told(request.listener, self.target.ids, limit - 1)
        forbidden = [[symbol] for symbol in self.target.lookup(i for i in request.forbidden if i != UNK)]
        results: list[Any] = self.translator.translate_batch(
            tokens,
            max_batch_size=SHORTLISTED_TOKENS if options.shortlist else BATCH_TOKENS,
            batch_type="tokens",
            beam_size=options.beam_size,
            patience=1.0 if options.beam_size == 1 else options.patience,
            num_hypotheses=1 if options.beam_size == 1 else int(options.enough(options.beam_size)),
            length_penalty=self._exponent(options),
            disable_unk=UNK in request.forbidden,
            suppress_sequences=forbidden,
            return_end_token=True,
            use_vmap=options.shortlist,
            max_input_length=0,  # nothing is cut off unsaid
            max_decoding_length=limit,
            min_decoding_length=0,
            return_scores=True,
            return_attention=request.attention,
            callback=told,
        )
        return results

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
