"""Sentences of similar length stand together, so that little is padding."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqloom.data.permutation import Integers
from seqloom.vocabulary import BOS, EOS

ROWS = 8  # the rows of larger batches are a multiple of this
SLACK = 0.25  # of the tokens asked for
LEAST = 1024  # tokens


def length_order(source: Integers, target: Integers, *, ties: Integers) -> Integers:
    """The order that puts pairs of similar lengths side by side: by target, then by source length, then by `ties`.

    Source lengths rise and fall in turn, so that neighbours stay alike where the target length changes.
    """
    return np.lexsort((ties, np.where(target % 2, source, -source), target)).astype(np.int64)


def cut(lengths: Integers, batch_tokens: int, batch_sentences: int | None = None) -> Integers:
    """Where to cut rows of these lengths so that rows x longest stays within `batch_tokens`; [batches + 1].

    A row that is too long by itself makes a batch alone.  Where many rows fit, a multiple of `ROWS` is taken: on the
    CPU every new shape of a matrix product costs time and memory, and so there are half as many.  With
    `batch_sentences` every so many rows, whatever their lengths.
    """
    if batch_sentences is not None:
        return np.append(np.arange(0, len(lengths), batch_sentences), len(lengths)).astype(np.int64)
    ends, start, longest, every = [0], 0, 0, lengths.tolist()
    for row, length in enumerate(every):
        longest = max(longest, length)
        while row > start and (row + 1 - start) * longest > batch_tokens:
            start += _few_sizes(row - start)
            ends.append(start)
            longest = max(every[start : row + 1])
    return np.array([*ends, len(lengths)], np.int64)


def cut_among(lengths: Integers, batch_tokens: int, workers: int) -> Integers:
    """The same where so many `workers` take batches side by side: all of them have about as much to do to the end.

    There are as many batches for each, with up to `SLACK` more tokens than asked for, or else with fewer.  What is
    little stays together: work on large batches is shared, too, and parts of less than `LEAST` tokens gain nothing.
    """
    ends = cut(lengths, batch_tokens)
    if workers == 1 or len(ends) == 2 and lengths.sum() < workers * LEAST:
        return ends
    each = math.ceil(_padded_tokens(lengths, ends) / (workers * batch_tokens) - SLACK)
    wanted, largest = workers * max(1, each), math.ceil(batch_tokens * (1 + SLACK * workers))
    # The smallest batches of which there are no more than that.
    return cut(lengths, bisect_left(range(largest), True, key=lambda most: len(cut(lengths, most)) <= wanted + 1))


def _padded_tokens(lengths: Integers, ends: Integers) -> int:
    return int((np.diff(ends) * np.maximum.reduceat(lengths, ends[:-1])).sum())


def _few_sizes(rows: int) -> int:
    return rows - rows % ROWS if rows >= 2 * ROWS else rows


def padded(rows: Sequence[NDArray[np.integer]], *, before: int) -> tuple[Integers, NDArray[np.bool_]]:
    """Rows of ids with `before` bos before and an eos behind each, padded to the longest, and where they are real."""
    last = np.fromiter(map(len, rows), np.int64, len(rows)) + before
    places = np.arange(last.max() + 1)
    mask = places <= last[:, None]
    ids = np.full(mask.shape, EOS, np.int64)
    ids[(places >= before) & (places < last[:, None])] = np.concatenate(rows)
    ids[:, :before] = BOS
    ids[np.arange(len(rows)), last] = EOS
    return ids, mask
