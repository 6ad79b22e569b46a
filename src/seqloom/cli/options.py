"""Options that several subcommands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from seqloom.errors import UsageError

if TYPE_CHECKING:
    from seqloom.search import SearchOptions
    from seqloom.translate import Translator

BeamSize = Annotated[int | None, typer.Option("--beam-size", "-b", help="Hypotheses kept; 1 is greedy search.")]
NBest = Annotated[int | None, typer.Option("--n-best", help="Give so many translations of each line.")]
LengthPenalty = Annotated[float | None, typer.Option("--length-penalty", help="Alpha of Wu et al.; 0 is none.")]
MaxLength = Annotated[int | None, typer.Option("--max-length", help="The most tokens of a translation.")]
Unknown = Annotated[
    str | None, typer.Option("--unknown", help="Unknown words: never, show as ⁇, or copy from the source.")
]
Dictionary = Annotated[
    Path | None, typer.Option("--dictionary", help="Lines SOURCE<TAB>TARGET[<TAB>P], to translate what is copied.")
]
Sample = Annotated[bool, typer.Option("--sample", help="Draw --n-best translations at random, without a beam.")]
Temperature = Annotated[float | None, typer.Option("--temperature", help="Of --sample: above 1 is more varied.")]
TopK = Annotated[int | None, typer.Option("--top-k", help="Of --sample: draw out of the k likeliest tokens.")]
TopP = Annotated[
    float | None, typer.Option("--top-p", help="Of --sample: draw out of the fewest tokens that have this probability.")
]
Seed = Annotated[int | None, typer.Option("--seed", help="Of --sample: decides everything that is drawn.")]
Tag = Annotated[str | None, typer.Option("--tag", help="Put this tag of the training data before each line.")]
Runs = Annotated[
    list[Path], typer.Argument(metavar="RUN", help="A run directory; with --ensemble, several.", show_default=False)
]
Ensemble = Annotated[
    bool, typer.Option("--ensemble", help="All of these runs translate together: RUN --ensemble RUN RUN.")
]
Checkpoint = Annotated[str, typer.Option("--checkpoint", help="best, last, or a step.")]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:0, ..., or auto.")]


T = TypeVar("T")


def checked(make: Callable[..., T], **arguments: object) -> T:
    """What `make` makes of a user's arguments; UsageError for values that can't be meant."""
    try:
        return make(**arguments)
    except ValueError as error:
        raise UsageError(str(error)) from None


def translator(runs: Sequence[Path], *, ensemble: bool, checkpoint: str, device: str) -> Translator:
    """The translator of a run, or of several that translate together; UsageError if that wasn't asked for."""
    from seqloom.runs import load

    first, *others = runs
    if others and not ensemble:
        raise UsageError(f"{len(runs)} runs were named; say --ensemble if they are to translate together")
    if ensemble and not others:
        raise UsageError("--ensemble needs more than one run: RUN --ensemble RUN RUN")
    return load(first, ensemble=others, checkpoint=checkpoint, device=device)


def search(
    base: SearchOptions,
    *,
    beam_size: int | None,
    n_best: int | None = None,
    length_penalty: float | None = None,
    max_length: int | None = None,
    unknown: str | None = None,
    dictionary: Path | None = None,
    sample: bool = False,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
) -> SearchOptions:
    """The run's search options with the user's changes; UsageError for values that can't be meant."""
    if sample and beam_size is not None:
        raise UsageError("--beam-size is for beam search; with --sample, --n-best says how many translations are drawn")
    if seed is not None and not (sample or base.sample):
        raise UsageError("--seed is for --sample: beam search leaves nothing to chance")
    asked = {
        "beam_size": beam_size,
        "n_best": n_best,
        "length_penalty": length_penalty,
        "max_length": max_length,
        "unknown": unknown,
        "dictionary": dictionary,
        "sample": sample or None,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "seed": seed,
    }
    changes: dict[str, object] = {name: value for name, value in asked.items() if value is not None}
    if beam_size is not None and base.sample:  # a beam after all
        changes |= {"sample": False, "temperature": 1.0, "top_k": None, "top_p": None}
    if unknown in ("never", "show"):
        changes.setdefault("dictionary", None)  # the run's own would have no use
    return checked(partial(replace, base), **changes)
