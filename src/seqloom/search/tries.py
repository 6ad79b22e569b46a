"""The phrases of a batch as one automaton, whose steps are look-ups in tensors.

Each phrase has two tries, one of what it may say anywhere and one of what it may say where a sentence begins.  As in
https://doi.org/10.1145/360825.360855 (Aho and Corasick), a node knows where to go with any symbol: on, or back to the
longest end of what was said that may yet become the phrase.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor

from seqloom.search.phrases import Borders, Phrases
from seqloom.structures import Rows

START = 1  # how far behind the root of a phrase's trie the root of its other one is
REMEMBERED = 1 << 10  # automata of phrases


@dataclass
class _Automaton:
    """That of one phrase: node 0 is the root, node 1 that where a sentence begins."""

    length: int = 0  # of the longest way to say the phrase
    depths: list[int] = field(default_factory=lambda: [0, 0])  # that, less what is left to be said
    ends: list[bool] = field(default_factory=lambda: [False, False])
    children: list[dict[int, int]] = field(default_factory=lambda: [{}, {}])
    steps: dict[tuple[int, int], int] = field(default_factory=dict)  # node and symbol -> node; else the root


@dataclass(frozen=True)
class Tries(Rows):
    """The automata of all phrases of a batch, one behind the other; G nodes, of which node 0 leads nowhere."""

    roots: Tensor  # [B, P] where the automata of each sentence's phrases begin; 0 for none
    times: Tensor  # [B, P] how often each is to be said; 0 for none
    lengths: Tensor  # [G] of the longest way to say the phrase of each node
    depths: Tensor  # [G] that, less what is left to be said; 0 at a root
    ends: Tensor  # [G] whether the whole phrase has
    children: Tensor  # [G, A] the symbols that lead on; -1 for none
    keys: Tensor  # [E] node * V + symbol, rising
    targets: Tensor  # [E] the node that each leads to


def tries_of(phrases: Phrases, vocabulary: int) -> Tries:
    """The automata of these phrases over so many symbols."""
    places = {phrase: 0 for row in phrases.of for phrase in row}
    automata = [_Automaton()]
    size, borders = 2, _Hashed(phrases.borders)
    for phrase in places:
        automata.append(_automaton(phrase.alternatives, phrase.initial, borders))
        places[phrase], size = size, size + len(automata[-1].depths)
    starts = [0, *places.values()]
    steps = {
        (start + node) * vocabulary + symbol: start + after
        for start, automaton in zip(starts, automata, strict=True)
        for (node, symbol), after in automaton.steps.items()
    }
    keys = sorted(steps)
    return Tries(
        roots=_padded([[places[phrase] for phrase in row] for row in phrases.of], 0),
        times=_padded([[phrase.times for phrase in row] for row in phrases.of], 0),
        lengths=torch.tensor([automaton.length for automaton in automata for _ in automaton.depths]),
        depths=torch.tensor([depth for automaton in automata for depth in automaton.depths]),
        ends=torch.tensor([end for automaton in automata for end in automaton.ends]),
        children=_padded([list(children) for automaton in automata for children in automaton.children], -1),
        keys=torch.tensor([*keys, 1 << 62]),  # none that is asked for is behind them all
        targets=torch.tensor([*(steps[key] for key in keys), 0]),
    )


def _padded(rows: Sequence[Sequence[int]], padding: int) -> Tensor:
    width = max(1, *map(len, rows)) if rows else 1
    return torch.tensor([[*row, *[padding] * (width - len(row))] for row in rows])


class _Hashed:
    """Borders as the key of a cache: the same object, the same vocabulary."""

    def __init__(self, borders: Borders):
        self.borders = borders

    def __hash__(self) -> int:
        return id(self.borders)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hashed) and other.borders is self.borders


Words = tuple[tuple[int, ...], ...]


@lru_cache(REMEMBERED)
def _automaton(alternatives: Words, initial: Words, hashed: _Hashed) -> _Automaton:
    """The automaton of one phrase."""
    made = _Automaton(max(map(len, (*alternatives, *initial))))
    paths: list[tuple[int, ...]] = [(), ()]
    for words in alternatives:
        _insert(made, paths, 0, words)
    for words in (*alternatives, *initial):
        _insert(made, paths, START, words)
    symbols = {symbol for path in paths for symbol in path}
    for node in sorted(range(len(paths)), key=lambda node: len(paths[node])):
        children = made.children[node]
        made.steps |= {(node, symbol): child for symbol, child in children.items()}
        if node > START:
            made.steps |= _falls(made, paths[node], node, symbols - children.keys(), hashed.borders)
            end = _fallen(made, paths[node], hashed.borders)  # what was said ends with what that is for, too
            made.ends[node] |= made.ends[end]
            made.depths[node] = max(made.depths[node], made.depths[end])
    return made


def _insert(made: _Automaton, paths: list[tuple[int, ...]], node: int, words: tuple[int, ...]) -> None:
    """Let this way of saying it begin at a node."""
    for place, symbol in enumerate(words, 1):
        if symbol not in made.children[node]:
            made.children[node][symbol] = len(paths)
            paths.append(words[:place])
            made.depths.append(0)
            made.ends.append(False)
            made.children.append({})
        node = made.children[node][symbol]
        # What is left counts: so each symbol is a step ahead, and ways of different lengths are level where they end.
        made.depths[node] = max(made.depths[node], made.length - len(words) + place)
    made.ends[node] = True


def _falls(
    made: _Automaton, path: tuple[int, ...], node: int, symbols: set[int], borders: Borders
) -> dict[tuple[int, int], int]:
    """Where a node goes with symbols that don't lead on, as far as that isn't the root."""
    found = ((symbol, _fallen(made, (*path, symbol), borders)) for symbol in symbols)
    return {(node, symbol): after for symbol, after in found if after}


def _fallen(made: _Automaton, path: tuple[int, ...], borders: Borders) -> int:
    """The node of the longest end of this path that begins with a word; 0, the root, for none."""
    for place in range(1, len(path)):
        before = path[place - 1]
        if not borders.inside(before, path[place]):
            node = _walked(made, START if borders.starts[before] else 0, path[place:])
            if node:
                return node
    return 0


def _walked(made: _Automaton, node: int, path: tuple[int, ...]) -> int:
    """Where a path leads in a trie; 0 if it is none of its."""
    for symbol in path:
        node = made.children[node].get(symbol, 0)
        if not node:
            return 0
    return node
