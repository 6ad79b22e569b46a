"""Our own engine: every model, every option."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import torch

from seqloom.data.batches import collate_source
from seqloom.engines.base import Engine, Found, Request
from seqloom.models.base import Model
from seqloom.search.beam import beam_search
from seqloom.search.constrained import Constrained
from seqloom.search.rules import Forbid
from seqloom.search.trace import Recorder


class NativeEngine(Engine):
    """Any model, with PyTorch."""

    name: ClassVar[str] = "native"

    def __init__(self, model: Model, *, device: torch.device | str = "cpu"):
        there = all(weight.device == torch.device(device) for weight in model.parameters())
        self.model = model if there else model.to(device)  # one that is spread over ranks must not be touched
        self.device = device

    @torch.inference_mode()
    def search(self, sources: Sequence[Sequence[int]], request: Request) -> list[Found]:
        found = self._found(sources, request)
        lost = [row for row, one in enumerate(found) if not one.hypotheses]
        if request.phrases and lost:  # what they must say is forbidden, or has no room: so they needn't
            free = self._found([sources[row] for row in lost], replace(request.only(lost), phrases=None))
            for row, one in zip(lost, free, strict=True):
                found[row] = one
        return found

    def _found(self, sources: Sequence[Sequence[int]], request: Request) -> list[Found]:
        encoded = self.model.encode(collate_source(sources).to(self.device))
        recorder = Recorder() if request.trace else None
        rankings = beam_search(
            self.model.decoder,
            encoded,
            request.options,
            rules=[Forbid(request.forbidden)] if request.forbidden else [],
            chooser=Constrained(request.options, request.phrases, self.device) if request.phrases else None,
            attention=request.attention,
            recorder=recorder,
            numbers=None if request.numbers is None else torch.tensor(request.numbers),
        )
        return [Found(ranking, recorder.trace(row) if recorder else None) for row, ranking in enumerate(rankings)]

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name, weight in sorted(self.model.state_dict().items()):
            digest.update(f"{name} {tuple(weight.shape)}".encode())
            digest.update(weight.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def labels(self, tokens: Sequence[str]) -> list[str]:
        return self.model.labels(tokens)
