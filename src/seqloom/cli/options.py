"""Options that several subcommands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from seqloom.cli.groups import Group
from seqloom.errors import UsageError

if TYPE_CHECKING:
    from seqloom.search import SearchOptions
    from seqloom.translate import Translator

Tag = Annotated[str | None, typer.Option("--tag", help="Put this tag of the training data before each line.")]
Runs = Annotated[
    list[Path],
    typer.Argument(metavar="RUN", help="A run's or an export's directory; --ensemble: several.", show_default=False),
]


@dataclass(frozen=True, kw_only=True)
class Normalisation(Group):
    """How log-probabilities become scores."""

    length_penalty: Annotated[float | None, typer.Option("--length-penalty", help="Alpha of Wu et al.; 0 is none.")] = (
        None
    )
    length_penalty_kind: Annotated[
        str | None, typer.Option("--length-penalty-kind", help="gnmt: ((5+n)/6)^alpha, average: n^alpha, or none.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class Beam(Normalisation):
    """How wide and how far a beam searches."""

    beam_size: Annotated[int | None, typer.Option("--beam-size", "-b", help="Hypotheses kept; 1 is greedy search.")] = (
        None
    )
    patience: Annotated[
        float | None, typer.Option("--patience", help="Search on till this times the beam's size is found; or inf.")
    ] = None
    coverage_penalty: Annotated[
        float | None, typer.Option("--coverage-penalty", help="Beta of Wu et al.: wants all of a source looked at.")
    ] = None
    min_length: Annotated[int | None, typer.Option("--min-length", help="The fewest tokens of a translation.")] = None
    max_length: Annotated[int | None, typer.Option("--max-length", help="The most tokens of a translation.")] = None
    no_repeat_ngram: Annotated[
        int | None, typer.Option("--no-repeat-ngram", help="No so many tokens in a row come twice in a translation.")
    ] = None

    shortlist: Annotated[
        bool | None, typer.Option(help="Look only at what goes with the source's words: seqloom shortlist.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class Search(Beam):
    """All that can be said of a search; None leaves what the run says."""

    diverse_groups: Annotated[
        int | None, typer.Option("--diverse-groups", help="So many smaller beams that keep away from each other.")
    ] = None
    diversity: Annotated[float | None, typer.Option("--diversity", help="Of --diverse-groups: how far away.")] = None
    forbid: Annotated[
        list[str] | None, typer.Option("--forbid", help="Never write this phrase; may be said several times.")
    ] = None
    forbid_file: Annotated[
        Path | None, typer.Option("--forbid-file", help="Never write the phrases in this file, one a line.")
    ] = None
    unknown: Annotated[
        str | None, typer.Option("--unknown", help="Unknown words: never, show as ⁇, or copy from the source.")
    ] = None
    dictionary: Annotated[
        Path | None, typer.Option("--dictionary", help="Lines SOURCE<TAB>TARGET[<TAB>P], to translate what is copied.")
    ] = None
    sample: Annotated[
        bool | None,
        typer.Option("--sample", help="Draw translations at random, without a beam; --n-best says how many."),
    ] = None
    temperature: Annotated[float | None, typer.Option("--temperature", help="Of --sample: above 1 is more varied.")] = (
        None
    )
    top_k: Annotated[int | None, typer.Option("--top-k", help="Of --sample: draw out of the k likeliest tokens.")] = (
        None
    )
    top_p: Annotated[
        float | None,
        typer.Option("--top-p", help="Of --sample: draw out of the fewest tokens that have this probability."),
    ] = None
    seed: Annotated[int | None, typer.Option("--seed", help="Of --sample: decides everything that is drawn.")] = None


@dataclass(frozen=True, kw_only=True)
class Model(Group):
    """Which of a run's models, where it runs, and what runs it."""

    checkpoint: Annotated[str, typer.Option("--checkpoint", help="best, last, or a step.")] = "best"
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:0, ..., or auto.")] = "auto"
    engine: Annotated[str, typer.Option("--engine", help="native, ctranslate2, or auto: the fastest that can.")] = (
        "auto"
    )
    precision: Annotated[
        str | None, typer.Option("--precision", help="float32, or bfloat16: the native engine's products are faster.")
    ] = None
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="See first whether it still makes of golden texts what it did.")
    ] = True


@dataclass(frozen=True, kw_only=True)
class Models(Model):
    """The same of several runs."""

    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="All of these runs translate together: RUN --ensemble RUN RUN.")
    ] = False


T = TypeVar("T")


def checked(make: Callable[..., T], **arguments: object) -> T:
    """What `make` makes of a user's arguments; UsageError for values that can't be meant."""
    try:
        return make(**arguments)
    except ValueError as error:
        raise UsageError(str(error)) from None


def translator(runs: Sequence[Path], models: Models) -> Translator:
    """The translator of a run, or of several that translate together; UsageError if that wasn't asked for."""
    from seqloom.loading import load

    first, *others = runs
    if others and not models.ensemble:
        raise UsageError(f"{len(runs)} runs were named; say --ensemble if they are to translate together")
    if models.ensemble and not others:
        raise UsageError("--ensemble needs more than one run: RUN --ensemble RUN RUN")
    which = {name: value for name, value in vars(models).items() if name != "ensemble"}
    return load(first, ensemble=others, **which)


def search(base: SearchOptions, asked: Normalisation, **more: object) -> SearchOptions:
    """The run's search options with the user's changes; UsageError for values that can't be meant."""
    changes = {name: value for name, value in (vars(asked) | more).items() if _is_said(value)}
    sampled = base.sample or "sample" in changes
    if "sample" in changes and "beam_size" in changes:
        raise UsageError("--beam-size is for beam search; with --sample, --n-best says how many translations are drawn")
    if "seed" in changes and not sampled:
        raise UsageError("--seed is for --sample: beam search leaves nothing to chance")
    if "beam_size" in changes and base.sample:  # a beam after all
        base = checked(partial(base.beam, base.beam_size))
    if "sample" in changes and base.diverse_groups > 1 and "diverse_groups" not in changes:  # no beams after all
        base = base.beam(base.beam_size)
    if isinstance(asked, Search) and asked.forbid:
        changes["forbid"] = tuple(asked.forbid)
    if "dictionary" in changes:
        changes.setdefault("unknown", "copy")
    if changes.get("unknown") in ("never", "show"):
        changes.setdefault("dictionary", None)  # the run's own would have no use
    return checked(partial(replace, base), **changes)


def _is_said(value: object) -> bool:
    return value is not None and value != []
