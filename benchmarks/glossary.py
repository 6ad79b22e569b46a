"""What a glossary costs and gains: words of references, asked for as terms.

    python benchmarks/glossary.py RUN --text DIRECTORY [--sentences 1000] [--rounds 3] [--beam-size 5] [--output FILE]

DIRECTORY has Multi30k's train.en.xz and train.de.xz, test_2016_flickr.en and .de; RUN translates English to German.  A
term is a word of at least four letters of the source with a word of the reference that often stands opposite it in the
training data (by Dice's coefficient).  Each sentence is asked for one to three, in three flavours: words that the model
says anyway, words that it doesn't say unless it must, and any of all these.  Both kinds of translation, with terms and
without, are timed in turns in one process; their times are medians over the rounds, of the processor and of the clock.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from seqloom.data.text import read_lines
from seqloom.glossary import Glossary, Term, words_of
from seqloom.metrics import Bleu
from seqloom.runs import load
from seqloom.search import SearchOptions
from seqloom.translate import Translation, Translator

LETTERS, OFTEN, DICE, MOST = 4, 10, 0.1, 3  # of a word; pairs in the training data; their coefficient; terms a sentence
Terms = Mapping[str, Sequence[Term]]


class OfSentences(Glossary):
    """A glossary in which every sentence has terms of its own."""

    def __init__(self, terms: Terms):
        super().__init__([])
        self._own = terms

    def find(self, text: str) -> list[Term]:
        return list(self._own.get(text, ()))


def lines(path: Path) -> list[str]:
    return [line or "" for line in read_lines(path)]


def long_words(text: str) -> dict[str, int]:
    """The words of a text that may be terms, and how often it has each."""
    return Counter(word for word in words_of(text) if len(word) >= LETTERS and word.isalpha())


def dictionary(sources: Iterable[str], targets: Iterable[str]) -> dict[tuple[str, str], float]:
    """How much pairs of words belong together, by Dice's coefficient; those that often stand in the same lines."""
    pairs, ones, others = Counter[tuple[str, str]](), Counter[str](), Counter[str]()
    for source, target in zip(sources, targets, strict=True):
        here, there = long_words(source), long_words(target)
        ones.update(here.keys())
        others.update(there.keys())
        pairs.update(product(here, there))
    dice = {pair: 2 * n / (ones[pair[0]] + others[pair[1]]) for pair, n in pairs.items() if n >= OFTEN}
    return {pair: value for pair, value in dice.items() if value >= DICE}


def candidates(known: Mapping[tuple[str, str], float], source: str, reference: str) -> Iterator[Term]:
    """Words of a source with the word of its reference that belongs to it most, each word once, the surest first."""
    here, there = long_words(source), long_words(reference)
    pairs = sorted((pair for pair in product(here, there) if pair in known), key=lambda pair: -known[pair])
    used: set[str] = set()
    for one, other in pairs:
        if not used & {one, f"> {other}"} and here[one] == there[other] == 1:
            used |= {one, f"> {other}"}
            yield Term(one, (other,))


def flavours(
    known: Mapping[tuple[str, str], float], sources: list[str], references: list[str], plain: list[str]
) -> dict[str, Terms]:
    """One to three terms for each sentence that has any, drawn at random."""
    draw, said, unsaid, either = random.Random(1), *(dict[str, list[Term]]() for _ in range(3))
    for source, reference, text in zip(sources, references, plain, strict=True):
        terms, there = list(candidates(known, source, reference)), set(words_of(text))
        for chosen, wanted in ((said, {True}), (unsaid, {False}), (either, {True, False})):
            fitting = [term for term in terms if (term.targets[0] in there) in wanted]
            if fitting:
                chosen[source] = draw.sample(fitting, min(len(fitting), draw.randint(1, MOST)))
    return {"said anyway": said, "not said": unsaid, "either": either}


def timed(act: Callable[[], list[Translation]]) -> tuple[list[Translation], float, float]:
    """What an act gives, and the seconds that it took of the clock and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    result = act()
    return result, time.perf_counter() - clock, time.process_time() - processor


def measured(
    translator: Translator, options: SearchOptions, terms: Terms, texts: Mapping[str, str], rounds: int
) -> Any:
    """One flavour: how many terms are there, what BLEU says, and how much longer it takes."""
    sources, references = [source for source in texts if source in terms], []
    references = [texts[source] for source in sources]
    glossary = OfSentences({translator.tokenizers.source.restore(source): own for source, own in terms.items()})
    ratios, found = [], {}
    for _ in range(rounds):
        plain, *without = timed(lambda: translator.translate(sources, options))
        steered, *with_it = timed(lambda: translator.translate(sources, options, glossary=glossary))
        ratios.append([b / a for a, b in zip(without, with_it, strict=True)])
        found = {"without": plain, "with": steered}
    reports = [report for one in found["with"] for report in one.glossary or ()]
    bleu = {name: Bleu().score([one.text for one in made], references).value for name, made in found.items()}
    return {
        "sentences": len(sources),
        "terms": len(reports),
        "there": sum(report.found is not None for report in reports) / len(reports),
        "bleu without": bleu["without"],
        "bleu with": bleu["with"],
        "times the clock": median(ratio[0] for ratio in ratios),
        "times the processor": median(ratio[1] for ratio in ratios),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--beam-size", type=int, default=5)
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    known = dictionary(lines(asked.text / "train.en.xz"), lines(asked.text / "train.de.xz"))
    sources = lines(asked.text / "test_2016_flickr.en")[: asked.sentences]
    references = lines(asked.text / "test_2016_flickr.de")[: asked.sentences]
    translator = load(asked.run, device="cpu")
    options = SearchOptions(beam_size=asked.beam_size, length_penalty=translator.options.length_penalty)
    plain = [one.text for one in translator.translate(sources, options)]
    texts = dict(zip(sources, references, strict=True))
    results = {
        name: measured(translator, options, terms, texts, asked.rounds)
        for name, terms in flavours(known, sources, references, plain).items()
    }
    for name, values in results.items():
        print(name, *(f"{key} {value:.4g}" for key, value in values.items()), sep=", ")
    if asked.output:
        asked.output.write_text(json.dumps(results, indent=2) + "\n", "utf8")


if __name__ == "__main__":
    main()
