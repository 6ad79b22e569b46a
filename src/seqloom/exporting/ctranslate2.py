"""A run's model as CTranslate2 runs it, in a directory that can be used as a run can."""

from __future__ import annotations

import logging
import math
import shutil
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from seqloom import bundles
from seqloom.comparison import AGREEMENT, AGREEMENT_OF_OTHERS, BLEU_LOSS, Comparison, compare
from seqloom.config.root import Config
from seqloom.data.rows import Pair
from seqloom.engines.ctranslate2 import VOCABULARY_MAP
from seqloom.engines.native import NativeEngine
from seqloom.errors import DataError, UsageError
from seqloom.exporting.directory import made
from seqloom.models import Model
from seqloom.proof import FILE as GOLDEN
from seqloom.proof import Golden, golden_of
from seqloom.runs import Trained, valid_pairs
from seqloom.search import SearchOptions
from seqloom.search.shortlist import Shortlist
from seqloom.shortlists import find
from seqloom.tokenizers import Tokenizers
from seqloom.translate import Translator

PRECISIONS = ("float32", "int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16", "float16", "bfloat16")
log = logging.getLogger(__name__)
POSITIONS = 1024  # vectors, at least, of positions that have no table


def export(
    run: Path,
    directory: Path | None = None,
    *,
    precision: str = "int8",
    checkpoint: str | int = "best",
    positions: int | None = None,
    lines: int = 200,
    least_agreement: float | None = None,
    most_bleu_loss: float = BLEU_LOSS,
    verify: bool = True,
) -> tuple[Path, Comparison | None]:
    """Write a run's model for CTranslate2 into a directory, by default RUN/exports/ctranslate2-PRECISION; say where.

    So many `lines` of the validation data are translated by both engines, and what differs is returned and kept; an
    export whose tokens agree less than they must, or that loses more BLEU than it may, is no proven one, which `engine:
    auto` takes no notice of.  Its own golden texts are those of the run.

    `positions` is how many have a vector, where the model can say that of any; by default as many as the run's longest
    source and target need.  Raises UsageError, naming the option, for a model that CTranslate2 can't express, and where
    the directory holds something else than an export; and CheckpointError where, unless `verify` is False, the run
    doesn't make of its golden texts what it made of them when it was trained.
    """
    if precision not in PRECISIONS:
        raise UsageError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    trained = Trained.read(run, checkpoint)
    if verify:
        trained.verify("cpu")
    config, tokenizers, model = trained.config, trained.tokenizers, trained.model
    count = positions or _positions(config.search)
    directory, pairs = directory or place_of(run, precision), _pairs(config, lines)
    with made(directory) as scratch:
        about = write(model, tokenizers, scratch, precision=precision, positions=count)
        tokenizers.save(scratch / "tokenizers")
        _write_shortlist(find(run, tokenizers), tokenizers, scratch)
        shutil.copy(run / "config.yml", scratch)
        manifest = bundles.Manifest(
            engine="ctranslate2",
            precision=precision,
            search=bundles.described(config.search),
            weights=trained.weights,
            model=about,
            files=bundles.sums(scratch),
            versions={name: version(name) for name in ("seqloom", "ctranslate2")},
        )
        manifest.write(scratch)
        exported = bundles.load(scratch, device="cpu")
        _keep_golden(run, exported, manifest, scratch)
        comparison = _compared(model, exported, pairs)
        least = AGREEMENT.get(precision, AGREEMENT_OF_OTHERS) if least_agreement is None else least_agreement
        limits = {"least_agreement": least, "most_bleu_loss": most_bleu_loss}
        proof = None if comparison is None else comparison.as_dict() | {"complaint": comparison.complaint(**limits)}
        replace(manifest, files=bundles.sums(scratch), proof=proof).write(scratch)
    return directory, comparison


def _keep_golden(run: Path, exported: Translator, manifest: bundles.Manifest, directory: Path) -> None:
    """What the export makes of the run's golden texts, if it has any."""
    if golden := Golden.read(run / GOLDEN):
        texts = [triple.source for triple in golden.triples]
        own = golden_of(exported, texts, weights=manifest.weights, versions={**manifest.versions})
        own.write(directory / GOLDEN)


def _pairs(config: Config, lines: int) -> list[Pair]:
    """So many pairs to compare the engines on; DataError, saying how to do without, where they can't be read."""
    try:
        return valid_pairs(config.data, lines) if lines else []
    except DataError as error:
        raise DataError(
            f"{error}. The engines are compared on validation data; name them in the run's config.yml, or leave the "
            "comparison out: --prove-lines 0 (--engine auto won't use such an export)"
        ) from error


def _compared(model: Model, exported: Translator, pairs: list[Pair]) -> Comparison | None:
    if not pairs:
        return None
    native = Translator(NativeEngine(model), exported.tokenizers, exported.options)
    references = [exported.tokenizers.target.restore(target) for _, target in pairs]
    return compare(native, exported, [source for source, _ in pairs], references)


def place_of(run: Path, precision: str) -> Path:
    """Where an export lies by default, so that `engine: auto` finds it."""
    return run / "exports" / f"ctranslate2-{precision}"


def write(
    model: Model, tokenizers: Tokenizers, directory: Path, *, precision: str, positions: int
) -> dict[str, int | bool | None]:
    """Write a model's weights and vocabularies into a directory, and say what the engine must know of it."""
    try:
        from seqloom.exporting.ctranslate2_spec import facts, transformer_of
    except ImportError:
        raise UsageError("exporting for CTranslate2 needs a package: pip install 'seqloom[fast]'") from None
    spec = transformer_of(model, tokenizers, positions=positions)
    about = facts(spec)
    spec.optimize(precision)
    spec.save(str(directory))
    return about


def _write_shortlist(shortlist: Shortlist | None, tokenizers: Tokenizers, directory: Path) -> None:
    """Write the run's shortlist, where it has one and CTranslate2 can read it."""
    if shortlist is None:
        return
    sides = (list(side.vocabulary.symbols) for side in (tokenizers.source, tokenizers.target))
    try:
        lines = list(shortlist.lines(*sides))
    except ValueError as error:
        log.warning("The export has no shortlist: %s.", error)
        return
    (directory / VOCABULARY_MAP).write_text("".join(lines), "utf8")


def _positions(options: SearchOptions) -> int:
    """As many as the longest source has, its end included, and its target."""
    source = options.max_source_length + 1
    return math.ceil(max(POSITIONS, source, options.limit(source)) / 8) * 8
