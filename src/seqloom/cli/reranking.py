"""Options that choose among several candidates of each line."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqloom.cli import options
from seqloom.cli.groups import Group
from seqloom.errors import UsageError

if TYPE_CHECKING:
    from seqloom.reranking import Reranker
    from seqloom.search import SearchOptions

SAMPLES = 20  # that are drawn where nobody says how many


@dataclass(frozen=True, kw_only=True)
class Reranking(Group):
    """Another order for what a search found."""

    mbr: Annotated[
        str | None, typer.Option("--mbr", help="Prefer the candidate most like all of them, by chrf or bleu.")
    ] = None
    rerank_with: Annotated[
        Path | None, typer.Option("--rerank-with", metavar="RUN", help="Ask this run of the other direction, too.")
    ] = None
    reverse_weight: Annotated[
        float | None, typer.Option("--reverse-weight", help="Of --rerank-with: how much its score counts (0.5).")
    ] = None
    length_weight: Annotated[
        float | None, typer.Option("--length-weight", help="Of --rerank-with: added for each token (0).")
    ] = None
    candidates: Annotated[
        int | None, typer.Option("--candidates", help="How many are chosen from (the beam, or 20 samples).")
    ] = None

    def __bool__(self) -> bool:
        return bool(self.mbr or self.rerank_with)

    def check(self) -> None:
        """UsageError for options that don't go together."""
        if self.mbr and self.rerank_with:
            raise UsageError("--mbr and --rerank-with each give an order of their own; choose one")
        for name in ("reverse_weight", "length_weight"):
            weight, option = getattr(self, name), f"--{name.replace('_', '-')}"
            if weight is not None and not self.rerank_with:
                raise UsageError(f"{option} is for --rerank-with")
            if weight is not None and not math.isfinite(weight):
                raise UsageError(f"{option} must be a finite number, got {weight}")
        if self.candidates is not None and not self:
            raise UsageError("--candidates is for --mbr and --rerank-with; --n-best says how many translations you get")

    def search(self, chosen: SearchOptions) -> SearchOptions:
        """The same search with as many results as there are to be candidates; UsageError if that can't be."""
        self.check()
        if not self:
            return chosen
        usual = max(SAMPLES, chosen.n_best) if chosen.sample else chosen.beam_size
        candidates = usual if self.candidates is None else self.candidates
        if candidates < max(chosen.n_best, 2):
            raise UsageError(
                f"there is nothing to choose from {candidates} for --n-best {chosen.n_best}: "
                "say --candidates, or make the beam wider"
            )
        if candidates > chosen.beam_size and not chosen.sample:
            raise UsageError(
                f"a beam of {chosen.beam_size} has no {candidates} candidates: say --beam-size {candidates}, or fewer "
                "--candidates"
            )
        return options.checked(partial(replace, chosen), n_best=candidates)

    def reranker(self, chosen: SearchOptions, models: options.Model, tag: str | None) -> Reranker | None:
        """What puts candidates in order, where that is asked for."""
        from seqloom.reranking import MinimumBayesRisk, NoisyChannel

        if self.mbr:
            weighting = "counts" if chosen.sample else "probabilities"
            return options.checked(MinimumBayesRisk, utility=self.mbr, weighting=weighting)
        if not self.rerank_with:
            return None
        from seqloom.loading import load

        reverse = load(self.rerank_with, device=models.device, engine=models.engine)
        weight = 0.5 if self.reverse_weight is None else self.reverse_weight
        return NoisyChannel(reverse, weight=weight, length_weight=self.length_weight or 0.0, tag=tag)
