"""From a directory to a translator: a run's or an export's, with the engine that is asked for.

Nothing here needs PyTorch but what needs it to run.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seqloom import bundles
from seqloom.checkpoint import Checkpoints
from seqloom.engines.auto import AutoEngine
from seqloom.engines.base import Engine
from seqloom.errors import CheckpointError, SeqloomError, UsageError
from seqloom.search.options import SearchOptions
from seqloom.translate import Translator

if TYPE_CHECKING:
    from seqloom.engines.packed import Precision

log = logging.getLogger(__name__)

ENGINES = ("auto", "native", "ctranslate2")
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
FASTEST = ("int8", "int8_float32", "int8_bfloat16", "int8_float16", "int16", "bfloat16", "float16", "float32")


def load(
    directory: str | Path,
    *,
    checkpoint: str | int = "best",
    ensemble: Sequence[str | Path] = (),
    device: str = "auto",
    engine: str = "auto",
    precision: str | None = None,
    verify: bool = True,
) -> Translator:
    """The trained model in a run directory or in an export's, ready to translate.

    `checkpoint` is "best" (by `train.keep_best`), "last", or a step.  A damaged checkpoint is named in a warning and
    the newest whole one is used.  With an `ensemble` of other run directories their models and this one translate
    together, searching as this run does.  Where a run is named its own config.yml says how to search, whichever engine
    runs it; an export that is named itself searches as its run did when it was made.

    The `engine` "auto" takes the run's fastest proven export that was made of these very weights, if there is one in
    RUN/exports, and the native engine for whatever that can't do; it says so once.  "ctranslate2" takes one that isn't
    proven where there is no other, and a warning says so.

    Raises CheckpointError where there is no checkpoint, an export is damaged or, unless `verify` is False, a model
    doesn't make of its golden texts what it made of them when it was new; and UsageError if the engine can't run this
    model or isn't installed, or the runs of an ensemble have different tokenizers.

    `precision` is float32, or bfloat16 for the native engine's matrix products: faster on processors that can do them,
    and now and then another translation.  Of CTranslate2's exports each has its own.
    """
    if engine not in ENGINES:
        raise UsageError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    if precision:
        return _native(Path(directory), checkpoint, ensemble, device, verify, _checked(precision, directory, engine))
    place = Path(directory)
    bundles.check_has_manifest(place)
    if bundles.is_bundle(place):
        return _exported(place, ensemble, device, engine, verify)
    if engine == "native" or (ensemble and engine == "auto"):
        return _native(place, checkpoint, ensemble, device, verify)
    if ensemble:
        raise UsageError(f"an ensemble needs the native engine, got engine {engine}")
    exports = exports_of(place, checkpoint)
    proven = [export for export in exports if bundles.Manifest.read(export).proven]
    if engine == "auto":
        return _fastest(place, proven, checkpoint, device, verify)
    if not exports:
        raise UsageError(
            f"{place} has no export of these weights for the engine {engine}; make one: "
            f"seqloom export {place} --to {engine}"
        )
    if not proven:
        _tell_unproven(exports[0])
    chosen = (proven or exports)[0]
    exported = bundles.load(chosen, device=device, verify=verify)
    return Translator(exported.engine, exported.tokenizers, _search_of(place, chosen, exported.options))


def exports_of(run: Path, checkpoint: str | int = "best") -> list[Path]:
    """The exports in a run directory that were made of the weights of this checkpoint, the fastest first.

    One whose manifest is damaged is named in a warning.
    """
    weights = Checkpoints(run / "checkpoints").weights(checkpoint)
    places = [run / "exports" / f"ctranslate2-{precision}" for precision in FASTEST]
    there = [place for place in places if bundles.is_bundle(place)]
    return [place for place in there if weights and _weights_of(place) == weights]


def _tell_unproven(export: Path) -> None:
    proof = bundles.Manifest.read(export).proof
    complaint = proof["complaint"] if proof else "it was never compared with its run"
    log.warning("%s translates, but is not proven: %s.", export, complaint)


def _weights_of(export: Path) -> str | None:
    try:
        return bundles.Manifest.read(export).weights
    except CheckpointError as error:
        log.warning("%s; going on without it.", error)
        return None


def _exported(place: Path, ensemble: Sequence[str | Path], device: str, engine: str, verify: bool) -> Translator:
    if ensemble:
        raise UsageError(f"{place} is an export, and an ensemble is of runs")
    if engine not in ("auto", bundles.Manifest.read(place).engine):
        raise UsageError(f"{place} is an export for ctranslate2, so it can't run on the engine {engine}; name the run")
    return bundles.load(place, device=device, verify=verify)


def _native(
    place: Path,
    checkpoint: str | int,
    ensemble: Sequence[str | Path],
    device: str,
    verify: bool,
    precision: Precision = "float32",
) -> Translator:
    from seqloom.runs import load

    which = {"checkpoint": checkpoint, "ensemble": ensemble, "device": device, "precision": precision}
    return load(place, verify=verify, **which)  # type: ignore[arg-type]  # of several types


def _checked(precision: str, directory: str | Path, engine: str) -> Precision:
    """Raises UsageError for a precision that the native engine hasn't, or for another engine."""
    if engine == "ctranslate2" or bundles.is_bundle(Path(directory)):
        raise UsageError("precision is for the native engine; an export for ctranslate2 has that of its --precision")
    for known in PRECISIONS:
        if precision == known:
            return known
    raise UsageError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")


def _fastest(run: Path, exports: list[Path], checkpoint: str | int, device: str, verify: bool) -> Translator:
    """The first export that can be loaded, with the native engine behind it; or the native engine alone."""

    def native() -> Engine:
        return _native(run, checkpoint, (), device, verify).engine

    for export in exports:
        try:
            fast = bundles.load(export, device=device, verify=verify)
        except SeqloomError as error:
            log.warning("%s; going on without it.", error)
            continue
        return Translator(AutoEngine(fast.engine, native), fast.tokenizers, _search_of(run, export, fast.options))
    return _native(run, checkpoint, (), device, verify)


@dataclass(frozen=True, kw_only=True)
class _Searching:
    """What is read of a run's configuration where the rest isn't needed."""

    search: SearchOptions = SearchOptions()


def _search_of(run: Path, export: Path, exported: SearchOptions) -> SearchOptions:
    """What a run's config.yml says of searching, which may be something else than when its export was made.

    Raises ConfigError where it says what can't be meant.
    """
    from seqloom.config import Tree, build, read
    from seqloom.config.tree import text_of

    if text_of(run / "config.yml") == text_of(export / "config.yml"):
        return exported  # reading YAML takes as long as translating a line
    whole = read(run / "config.yml")
    return build(_Searching, Tree({"search": whole.value.get("search")}, whole.origins)).search
