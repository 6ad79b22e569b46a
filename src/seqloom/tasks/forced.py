"""What a model would write if a reference corrected each of its tokens before the next one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from seqloom.data.batches import collate
from seqloom.data.lengths import cut
from seqloom.data.prepared import Ids
from seqloom.models import Model
from seqloom.tokenizers import Tokenizers
from seqloom.vocabulary import EOS

ROWS = 512  # positions projected at a time, so that all logits are never there at once


@torch.inference_mode()
def forced_texts(
    model: Model, tokenizers: Tokenizers, pairs: Sequence[tuple[str, str]], *, max_length: tuple[int, int], tokens: int
) -> list[str]:
    """For each source and reference: the likeliest token at every place of the reference, up to the first eos.

    A mistake has no consequences here, so in use a model does worse (https://arxiv.org/abs/1506.03099, 2.3).
    Sides longer than `max_length` are cut; `tokens` is the size of a batch, padding included.
    """
    if not pairs:
        return []
    sides = (tokenizers.source, tokenizers.target)
    limits = [side.length or most for side, most in zip(sides, max_length, strict=True)]
    encoded = [side.encode(list(texts)) for side, texts in zip(sides, zip(*pairs, strict=True), strict=True)]
    rows = [[np.array(ids[:most], np.int64) for ids in side] for side, most in zip(encoded, limits, strict=True)]
    lengths = np.array([[len(ids) + 1 for ids in side] for side in rows]).max(0)
    order = np.argsort(lengths, kind="stable")
    texts = [""] * len(pairs)
    for indices in np.split(order, cut(lengths[order], tokens)[1:-1]):
        best = _best(model, [(rows[0][i], rows[1][i]) for i in indices])
        for i, ids in zip(indices, best, strict=True):
            texts[i] = tokenizers.target.decode(ids[: ids.index(EOS)] if EOS in ids else ids)
    return texts


def _best(model: Model, pairs: list[tuple[Ids, Ids]]) -> list[list[int]]:
    """The likeliest token at each place of every target."""
    batch = collate(pairs).to(next(model.parameters()).device)
    real = batch.target.mask[:, 1:]  # [B, T]
    parts = torch.split(model(batch).features[real], ROWS)
    best = torch.cat([model.decoder.project(part).argmax(-1) for part in parts])  # [R]
    return [ids.tolist() for ids in torch.split(best, real.sum(1).tolist())]
