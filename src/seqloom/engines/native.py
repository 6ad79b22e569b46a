"""Our own engine: every model, every option."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from seqloom.data.batches import collate, collate_source
from seqloom.engines.base import Engine, Found, Part, Request, Result
from seqloom.engines.packed import Precision
from seqloom.engines.shortlisted import Shortlisted
from seqloom.engines.side_by_side import SideBySide
from seqloom.errors import UsageError
from seqloom.models.base import Model
from seqloom.search.beam import beam_search
from seqloom.search.constrained import Constrained
from seqloom.search.narrowing import NarrowedDecoder
from seqloom.search.options import SearchOptions
from seqloom.search.rules import Forbid, ForbidPhrases, Rule
from seqloom.search.shortlist import Shortlist
from seqloom.search.trace import Recorder

ROWS = 512  # target positions whose logits are there at once
WIDE = 3  # hypotheses
SHORTLISTED = 64  # sentences that share a shortlist: the more there are, the longer it gets


class NativeEngine(Engine):
    """Any model, with PyTorch."""

    name: ClassVar[str] = "native"

    def __init__(
        self,
        model: Model,
        *,
        device: torch.device | str = "cpu",
        precision: Precision = "float32",
        shortlist: Shortlist | None = None,
        cores: int = 1,
    ):
        """On the CPU, batches are searched side by side where several `cores` are given.

        `precision` is that of matrix products on a GPU; on the CPU a model is laid out for it (engines/packed.py).
        """
        there = all(weight.device == torch.device(device) for weight in model.parameters())
        self.model = model if there else model.to(device)  # one that is spread over ranks must not be touched
        self.device, self.shortlist = device, shortlist
        self.precision, self._on_cpu = precision, torch.device(device).type == "cpu"
        self._side_by_side = SideBySide(cores if self._on_cpu else 1)
        self.workers = self._side_by_side.threads

    def batch_tokens(self, options: SearchOptions) -> int:
        much = self._on_cpu and options.width >= WIDE  # for the processor's caches
        return super().batch_tokens(options) // (2 if much else 1)

    def at_once(self, work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
        return self._side_by_side.run(work, parts)

    def _autocast(self) -> torch.autocast:
        wanted = self.precision == "bfloat16" and not self._on_cpu
        return torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=wanted)

    @torch.inference_mode()
    def search(self, sources: Sequence[Sequence[int]], request: Request) -> list[Found]:
        found = self._found(sources, request)
        lost = [row for row, one in enumerate(found) if not one.hypotheses]
        if request.glossary and lost:  # what they must say is forbidden, or has no room: so they needn't
            free = self._found([sources[row] for row in lost], replace(request.only(lost), glossary=None))
            for row, one in zip(lost, free, strict=True):
                found[row] = one
        return found

    def _found(self, sources: Sequence[Sequence[int]], request: Request) -> list[Found]:
        rows = range(len(sources))
        if request.numbers is None:
            request = replace(request, numbers=rows)
        if not request.options.shortlist:
            return self._searched(sources, request)
        parts = [rows[start : start + SHORTLISTED] for start in rows[::SHORTLISTED]]
        founds = (self._narrowly([sources[row] for row in part], request.only(part)) for part in parts)
        return [found for part in founds for found in part]

    def _narrowly(self, sources: Sequence[Sequence[int]], request: Request) -> list[Found]:
        """What is found among the symbols of the shortlist."""
        if self.shortlist is None:
            raise UsageError("there is no shortlist here; make one with seqloom shortlist RUN")
        narrow = Shortlisted.of(self.shortlist, sources, request)
        found = self._searched(sources, narrow.request, narrow)
        return [narrow.undone(one) for one in found]

    @torch.inference_mode()
    def _searched(
        self, sources: Sequence[Sequence[int]], request: Request, narrow: Shortlisted | None = None
    ) -> list[Found]:
        decoder, allowed = self.model.decoder, None
        if narrow:
            decoder = NarrowedDecoder(decoder, torch.from_numpy(narrow.numbering.symbols).to(self.device))
            allowed = torch.from_numpy(narrow.allowed).to(self.device)
        recorder = Recorder() if request.trace else None
        with self._autocast():
            rankings = beam_search(
                decoder,
                self.model.encode(collate_source(sources).to(self.device)),
                request.options,
                allowed=allowed,
                rules=_rules(request),
                prefixes=request.prefixes,
                chooser=Constrained(request.options, request.glossary, self.device) if request.glossary else None,
                attention=request.attention,
                recorder=recorder,
                numbers=None if request.numbers is None else torch.tensor(request.numbers),
                listener=_listener(request, narrow),
            )
        return [Found(ranking, recorder.trace(row) if recorder else None) for row, ranking in enumerate(rankings)]

    @torch.inference_mode()
    def score(self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> list[list[float]]:
        pairs = [tuple(np.array(ids, np.int64) for ids in pair) for pair in zip(sources, targets, strict=True)]
        batch = collate(pairs).to(self.device)  # type: ignore[arg-type]  # two to a pair
        real = batch.target.mask[:, 1:]  # [B, T]
        wanted = torch.split(batch.target.ids[:, 1:][real][:, None], ROWS)
        with self._autocast():
            features = torch.split(self.model(batch).features[real], ROWS)  # so many logits at a time
            pairs_of = zip(features, wanted, strict=True)
            found = torch.cat([self._log_probs(part).gather(1, ids) for part, ids in pairs_of])
        return [row[:, 0].tolist() for row in torch.split(found, real.sum(1).tolist())]

    def _log_probs(self, features: Tensor) -> Tensor:
        return self.model.decoder.project(features).float().log_softmax(-1)

    def fingerprint(self) -> str:
        digest = hashlib.sha256(b"" if self.precision == "float32" else self.precision.encode())
        for name, weight in sorted(self.model.state_dict().items()):
            digest.update(f"{name} {tuple(weight.shape)}".encode())
            digest.update(weight.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        if self.shortlist:
            digest.update(self.shortlist.fingerprint().encode())
        return digest.hexdigest()

    def labels(self, tokens: Sequence[str]) -> list[str]:
        return self.model.labels(tokens)


def _listener(request: Request, narrow: Shortlisted | None) -> Callable[[Sequence[int]], None] | None:
    """Who is told of symbols, by their ids in the whole vocabulary."""
    listener = request.listener
    if listener is None or narrow is None:
        return listener
    return lambda ids: listener([int(narrow.numbering.symbols[i]) for i in ids])


def _rules(request: Request) -> list[Rule]:
    rules: list[Rule] = [Forbid(request.forbidden)] if request.forbidden else []
    return [*rules, ForbidPhrases(request.forbidden_phrases)] if request.forbidden_phrases else rules
