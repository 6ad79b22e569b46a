"""The parts of a source: each ends with an eos, "ids(a) eos ids(b) eos"."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seqloom.structures import Rows, Sequences
from seqloom.vocabulary import EOS


@dataclass(frozen=True)
class Places(Rows):
    """Where each token of a source belongs; padding stands in its row's last part."""

    part: Tensor  # [B, S] which part of its row, from 0
    place: Tensor  # [B, S] which place in the part, from 0
    number: Tensor  # [B, S] which part of all the parts of the batch, from 0


def places(source: Sequences) -> Places:
    """An eos is the last token of its part; what stands behind the last one is a part too."""
    here = torch.arange(source.ids.size(1), device=source.ids.device)  # [S]
    ends = (source.ids == EOS) & source.mask
    begins = source.mask & ends.roll(1, 1)
    begins[:, 0] = True
    part = begins.cumsum(1) - 1
    place = here - torch.where(begins, here, 0).cummax(1).values
    before = begins.sum(1).cumsum(0) - begins.sum(1)  # [B] parts of the rows above
    return Places(part, place, part + before[:, None])


def one_each(source: Sequences, where: Places) -> Sequences:
    """The parts of all rows as sentences of their own, one behind the other."""
    number, place = where.number[source.mask], where.place[source.mask]
    shape = int(number.max()) + 1, int(place.max()) + 1
    ids, mask = source.ids.new_full(shape, EOS), source.mask.new_zeros(shape)
    ids[number, place], mask[number, place] = source.ids[source.mask], True
    return Sequences(ids, mask)
