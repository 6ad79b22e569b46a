"""What goes with a source's symbols, how it is kept, and that a search among it finds what any search would."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import small_model

from seqloom.engines.base import Request
from seqloom.engines.native import NativeEngine
from seqloom.errors import CheckpointError, UsageError
from seqloom.glossary import Glossary, Term
from seqloom.models import EncoderDecoder, Ensemble, Model
from seqloom.search import SearchOptions, lexicon
from seqloom.search.lexicon import Lexicon, Pair, learn_lexicon
from seqloom.search.narrowing import Numbering, narrowed
from seqloom.search.shortlist import Shortlist
from seqloom.tokenizers import Tokenizers, Words
from seqloom.translate import Translator
from seqloom.vocabulary import BOS, EOS, SPECIALS, UNK

SYMBOLS = 40
WORDS = [f"w{i}" for i in range(SYMBOLS - len(SPECIALS))]
OPTIONS = SearchOptions(beam_size=3, n_best=3, max_length=9, length_penalty=0.0)


def meaning(source: int) -> int:
    """What a source symbol stands for in the toy language."""
    return len(SPECIALS) + (source * 7) % len(WORDS)


def pairs(count: int = 300) -> list[Pair]:
    """Sentences in which each symbol stands for one other, in any order, and symbol 3 is said for no reason."""
    draw, found = random.Random(1), []
    for _ in range(count):
        source = draw.choices(range(len(SPECIALS), SYMBOLS), k=draw.randint(2, 6))
        target = [meaning(symbol) for symbol in source] + [3] * draw.randint(0, 1)
        draw.shuffle(target)
        found.append((np.array(source, np.uint16), np.array(target, np.uint16)))
    return found


@cache
def learnt() -> Lexicon:
    return learn_lexicon(pairs, sources=SYMBOLS, targets=SYMBOLS)


def test_the_likeliest_of_each_symbol_is_what_it_stands_for() -> None:
    found = learnt()
    for source in range(len(SPECIALS), SYMBOLS):
        own = found.source == source
        assert found.target[own][found.probability[own].argmax()] == meaning(source)


def test_probabilities_sum_to_one_and_every_target_symbol_is_made_once() -> None:
    found = learnt()
    sums = np.bincount(found.source, found.probability, SYMBOLS + 1)
    assert np.allclose(sums[np.unique(found.source)], 1)
    made = np.bincount(np.concatenate([target for _, target in pairs()]), minlength=SYMBOLS)
    assert np.allclose(np.bincount(found.target, found.count, SYMBOLS), made)


def test_a_lexicon_is_the_same_however_much_is_looked_at_together(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = learnt()
    monkeypatch.setattr(lexicon, "AT_ONCE", 50)
    in_parts = learn_lexicon(pairs, sources=SYMBOLS, targets=SYMBOLS)
    assert np.array_equal(at_once.source, in_parts.source) and np.array_equal(at_once.target, in_parts.target)
    assert np.allclose(at_once.probability, in_parts.probability)


def test_there_is_no_lexicon_of_nothing() -> None:
    with pytest.raises(ValueError, match="^there are no sentences to learn from$"):
        learn_lexicon(list, sources=SYMBOLS, targets=SYMBOLS)


def shortlist(*, common: int = 2, each: int = 1, joint: bool = False) -> Shortlist:
    return Shortlist.of(learnt(), common=common, each=each, joint=joint, tokenizers="these")


def test_a_sentence_has_what_its_symbols_stand_for_and_what_is_common() -> None:
    found = shortlist(common=1)
    likely = found.of_sentence([10, 20, 10])
    assert {BOS, EOS, UNK, 3, meaning(10), meaning(20)} <= set(likely.tolist())
    assert np.array_equal(likely, np.unique(likely)) and len(likely) < SYMBOLS / 3
    assert set(shortlist(common=SYMBOLS).of_sentence([]).tolist()) == {BOS, EOS, UNK, *range(3, SYMBOLS)}


def test_every_target_symbol_that_was_seen_stands_behind_some_source_symbol() -> None:
    found = shortlist(common=0)
    seen = set(np.concatenate([target for _, target in pairs()]).tolist())
    assert seen <= set(found.of_sentence(range(SYMBOLS)).tolist()) | {3}  # which nobody's symbol makes


def test_where_both_sides_share_symbols_each_stands_for_itself_too() -> None:
    assert all(symbol in shortlist(joint=True).of_sentence([symbol]) for symbol in range(3, SYMBOLS))
    assert not all(symbol in shortlist().of_sentence([symbol]) for symbol in range(3, SYMBOLS))


def test_what_was_saved_is_read(tmp_path: Path) -> None:
    found = shortlist(each=4)
    found.save(tmp_path / "list")
    again = Shortlist.load(tmp_path / "list", tokenizers="these")
    assert again.fingerprint() == found.fingerprint()
    assert np.array_equal(again.of_sentence([9, 5]), found.of_sentence([9, 5]))
    assert [path.name for path in tmp_path.iterdir()] == ["list"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_one_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "list"
    shortlist().save(path)
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes({"cut": bytes(data[:-9]), "flipped": bytes(data), "empty": b""}[damage])
    with pytest.raises(CheckpointError) as raised:
        Shortlist.load(path, tokenizers="these")
    assert str(raised.value) == f"{path} is damaged; make it anew with seqloom shortlist"


def test_one_of_other_tokenizers_is_refused(tmp_path: Path) -> None:
    shortlist().save(tmp_path / "list")
    with pytest.raises(CheckpointError) as raised:
        Shortlist.load(tmp_path / "list", tokenizers="those")
    assert str(raised.value) == f"{tmp_path / 'list'} is for other tokenizers; make it anew with seqloom shortlist"


def test_lines_for_ctranslate2_say_the_same() -> None:
    found, names = shortlist(common=1, each=2), [*SPECIALS, *WORDS]
    rows = dict(line.removesuffix("\n").split("\t") for line in found.lines(names, names))
    for source in range(len(SPECIALS), SYMBOLS):
        said = {*rows[""].split(), *rows[names[source]].split(), *SPECIALS}
        assert said == {names[i] for i in found.of_sentence([source])}
    with pytest.raises(ValueError, match="^the symbol ' ' can't stand in a vocabulary map$"):
        list(found.lines(names, [" ", *names]))


# --- Searching among it -----------------------------------------------------------------------------------------------


def engine(model: Model, **options: int) -> NativeEngine:
    return NativeEngine(model, shortlist=shortlist(**options))


SOURCES = [list(source) for source, _ in pairs(12)]


def request(*, beam_size: int = 3, min_length: int = 1, shortlisted: bool = True, **more: object) -> Request:
    options = SearchOptions(
        beam_size=beam_size, min_length=min_length, max_length=9, length_penalty=0.0, shortlist=shortlisted
    )
    return Request(options=options, forbidden=(BOS, UNK), **more)  # type: ignore[arg-type]


@pytest.fixture(params=["transformer", "recurrent", "convolutional", "copying", "ensemble"])
def model(request: pytest.FixtureRequest) -> Model:
    if request.param == "ensemble":
        return Ensemble([small_model("transformer", SYMBOLS), small_model("recurrent", SYMBOLS)]).eval()
    return small_model(request.param, SYMBOLS)


def test_greedy_search_finds_what_it_finds_anywhere_if_that_is_in_the_shortlist(model: Model) -> None:
    greedy = request(beam_size=1, shortlisted=False)
    everywhere = [found.hypotheses[0].tokens for found in NativeEngine(model).search(SOURCES, greedy)]
    listed = {BOS, EOS, UNK}.union(*everywhere[:6])
    always = Shortlist(np.array(sorted(listed)), np.zeros(SYMBOLS + 1, np.int64), np.zeros(0, np.int64))
    founds = NativeEngine(model, shortlist=always).search(SOURCES, request(beam_size=1))
    for tokens, found in zip(everywhere, founds, strict=True):
        assert (found.hypotheses[0].tokens == tokens) == (set(tokens) <= listed)
        assert set(found.hypotheses[0].tokens) <= listed


def own(engine: NativeEngine, source: list[int]) -> list[int]:
    assert engine.shortlist is not None
    return engine.shortlist.of_sentence(source).tolist()


def test_a_shortlist_of_all_symbols_changes_nothing(model: Model) -> None:
    everything = engine(model, common=SYMBOLS)
    assert len(own(everything, [])) == SYMBOLS
    whole = request(shortlisted=False, attention=True, trace=True)
    for one, other in zip(
        everything.search(SOURCES, whole), everything.search(SOURCES, request(attention=True, trace=True)), strict=True
    ):
        assert [h.tokens for h in one.hypotheses] == [h.tokens for h in other.hypotheses]
        assert np.allclose([h.score for h in one.hypotheses], [h.score for h in other.hypotheses], atol=1e-5)
        assert one.trace is not None and other.trace is not None
        assert [[c.token for c in step] for step in one.trace.steps] == [
            [c.token for c in step] for step in other.trace.steps
        ]


def test_a_result_does_not_depend_on_the_batch(model: Model) -> None:
    narrow = engine(model, common=12, each=3)
    together = narrow.search(SOURCES, request())
    for source, found in zip(SOURCES, together, strict=True):
        (alone,) = narrow.search([source], request())
        assert [h.tokens for h in alone.hypotheses] == [h.tokens for h in found.hypotheses]
        assert np.allclose([h.score for h in alone.hypotheses], [h.score for h in found.hypotheses], atol=1e-5)


def test_prefixes_are_written_whether_they_are_listed_or_not(model: Model) -> None:
    narrow = engine(model, common=4)
    source = SOURCES[0]
    strange = [symbol for symbol in range(3, SYMBOLS) if symbol not in own(narrow, source)][:2]
    founds = narrow.search([source, *SOURCES[1:3]], request(prefixes=[strange, [], [5]]))
    assert founds[0].hypotheses[0].tokens[:2] == strange
    assert founds[2].hypotheses[0].tokens[:1] == [5]
    (free,) = narrow.search(SOURCES[1:2], request())
    assert founds[1].hypotheses[0].tokens == free.hypotheses[0].tokens


def test_what_is_forbidden_stays_so(model: Model) -> None:
    narrow = engine(model, common=12, each=3)
    free = narrow.search(SOURCES, request(min_length=3))[0].hypotheses[0].tokens
    pair = (free[0], free[1])
    unlisted = next(
        (a, b) for a in range(3, SYMBOLS) for b in (a,) if all(a not in own(narrow, s) for s in SOURCES[:1])
    )
    founds = narrow.search(SOURCES, request(forbidden_phrases=[pair, unlisted]))
    for found in founds:
        for hypothesis in found.hypotheses:
            assert pair not in set(zip(hypothesis.tokens, hypothesis.tokens[1:], strict=False))


def words() -> Tokenizers:
    tokenizer = Words(joint=True)
    tokenizer.train([" ".join(WORDS)] * 2)
    return Tokenizers(tokenizer, tokenizer)


def test_a_glossary_is_kept_whether_its_words_are_listed_or_not() -> None:
    translator = Translator(engine(small_model("transformer", SYMBOLS), common=4), words(), OPTIONS)
    glossary = Glossary([Term("w5", ("w30 w31",))])
    shortlisted = SearchOptions(beam_size=4, max_length=9, shortlist=True)
    with_term, without = translator.translate(["w5 w9", "w9 w8"], shortlisted, glossary=glossary)
    assert "w30 w31" in with_term.text
    assert without.text == translator.translate(["w9 w8"], shortlisted)[0].text


def test_without_a_shortlist_it_is_said_how_to_get_one() -> None:
    with pytest.raises(UsageError) as raised:
        NativeEngine(small_model("recurrent", SYMBOLS)).search(SOURCES, request())
    assert str(raised.value) == "there is no shortlist here; make one with seqloom shortlist RUN"


def test_another_shortlist_makes_another_engine() -> None:
    model = small_model("recurrent", SYMBOLS)
    engines = [NativeEngine(model), engine(model), engine(model, each=2)]
    assert len({one.fingerprint() for one in engines}) == 3


def test_sampling_is_not_for_shortlists() -> None:
    with pytest.raises(ValueError) as raised:
        SearchOptions(shortlist=True, sample=True)
    assert str(raised.value) == (
        "a shortlist leaves out what sampling is to find; got shortlist: true and sample: true"
    )


def test_symbols_are_numbered_anew_and_back() -> None:
    numbering = Numbering(np.array([0, 1, 2, 7, 9]))
    assert numbering.inside([9, 0, 7]) == [4, 0, 3]
    assert numbering.outside(numbering.inside([9, 0, 7])) == [9, 0, 7]
    assert numbering.has([7, 9]) and not numbering.has([7, 8])
    for wrong in ([8], [10], [7, -1]):
        with pytest.raises(ValueError, match="^a symbol is none of those that were chosen$"):
            numbering.inside(wrong)


@pytest.mark.parametrize(
    "readout",
    [
        lambda: torch.nn.Linear(6, 9),
        lambda: torch.nn.Linear(6, 9, bias=False),
        lambda: torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.Linear(5, 9)),
        lambda: torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.LogSoftmax(-1)),
    ],
)
def test_a_narrowed_readout_says_the_same_of_its_symbols(readout: Callable[[], torch.nn.Module]) -> None:
    whole, symbols = readout(), torch.tensor([0, 3, 8])
    features = torch.randn(2, 4, 6)
    assert torch.allclose(narrowed(whole, symbols)(features), whole(features)[..., symbols], atol=1e-6)


def test_only_the_rows_of_the_symbols_are_multiplied() -> None:
    narrow = narrowed(torch.nn.Linear(6, 1000), torch.tensor([1, 5]))
    assert sum(parameter.numel() for parameter in narrow.parameters()) == 12
    assert isinstance(small_model("transformer", SYMBOLS), EncoderDecoder)
