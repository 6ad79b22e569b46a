"""What is degenerate is seen, searched for once more, and replaced if that helps; all else stays as it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from tests.support.small_models import small_model

from seqloom.engines.auto import AutoEngine
from seqloom.engines.base import Engine, Found, Request
from seqloom.engines.native import NativeEngine
from seqloom.guard import Guard, in_a_row, of_texts
from seqloom.search import Hypothesis, SearchOptions, Trace
from seqloom.tokenizers import Characters, SentencePiece, Tokenizers, Words
from seqloom.translate import Translator

LINES = ["a man eats salad in the park", "ein Mann isst Salat im Park ( 3 ) ."]


@pytest.mark.parametrize(
    "source, target, faults",
    [
        ("salad salad salad", "Salat Salat Salat", []),
        ("salad salad salad", "Salat Salat Salat Salat Salat", ["repetition"]),
        ("a salad", "ein Salat, Salat, Salat", ["repetition"]),
        ("a very, very good salad", "ein sehr, sehr guter Salat", []),
        ("a man", "ein Mann mit Hut und ein Mann mit Hut und ein Mann mit Hut", ["repetition"]),
        ("a man eats", "der Mann isst und dann isst der Mann und der Mann", []),
        ("the park", "Salatalatalatalatalat", ["repetition"]),
        ("the park", "der Park wird 1000000000000000 Jahre alt", []),
        ("the park", "der Park ..............", ["repetition"]),
        ("the park ..............", "der Park ..............", []),
        ("the park", "der Park ... !!!", []),
        ("a" * 10_000, "a" * 10_000, []),
        ("the man eats", "the man eats", ["copy"]),
        ("The man eats!", "the  man eats.", ["copy"]),
        ("Anna Maria Schmidt 1999", "Anna Maria Schmidt 1999", []),
        ("https://a.org/b", "https://a.org/b", []),
        ("12 34 56 78 90", "12 34 56 78 90", []),
        ("你好世界", "你好世界", ["copy"]),
        ("a man", "", ["empty"]),
        ("a man", " ?!", ["empty"]),
        ("?!", "", []),
        ("😀", "", []),
        ("", "", []),
        ("हिन्दी में लिखो", "", ["empty"]),
    ],
)
def test_faults(source: str, target: str, faults: list[str]) -> None:
    assert list(of_texts(source, target)) == faults


@pytest.mark.parametrize(
    "text, count", [("", 0), ("a", 1), ("ab", 1), ("aab", 2), ("abab", 2), ("xababab", 3), ("abcabcab", 2), ("aaaa", 4)]
)
def test_in_a_row(text: str, count: int) -> None:
    assert in_a_row(text, 5) == count


@dataclass
class Scripted(Engine):
    """Says what a script says for the options of a search, and keeps what it was asked."""

    script: Callable[[Request, Sequence[int]], list[str]]
    unable: str | None = None
    asked: list[Request] = field(default_factory=list)
    name: ClassVar[str] = "scripted"

    def search(self, sources: Sequence[Sequence[int]], request: Request) -> list[Found]:
        self.asked.append(request)
        return [Found([hypothesis(text) for text in self.script(request, source)]) for source in sources]

    def fingerprint(self) -> str:
        return ""

    def refusal(self, request: Request) -> str | None:
        return self.unable if request.options.no_repeat_ngram else None


CHARACTERS = Characters()
CHARACTERS.train(["abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,!"])
SIDES = Tokenizers(CHARACTERS, CHARACTERS)


def hypothesis(text: str, log_prob: float = -1.0) -> Hypothesis:
    """Its text may end with the log-probability: "ab@-3"."""
    text, _, said = text.partition("@")
    (tokens,) = CHARACTERS.encode([text])
    return Hypothesis(tokens, log_prob, float(said or log_prob))


def guarded(script: Callable[[Request, Sequence[int]], list[str]], **options: int) -> tuple[Translator, Scripted]:
    engine = Scripted(script)
    return Translator(engine, SIDES, SearchOptions(**options)), engine  # type: ignore[arg-type]


def by_ngram(plain: str, *stricter: str) -> Callable[[Request, Sequence[int]], list[str]]:
    said = dict(zip((None, 3, 2), (plain, *stricter), strict=False))
    return lambda request, source: [said[request.options.no_repeat_ngram]]


def test_without_a_guard_nothing_is_looked_at() -> None:
    translator, engine = guarded(by_ngram("ha ha ha ha"))
    (made,) = translator.translate(["we laugh"])
    assert (made.text, made.warnings, made.redecoded, len(engine.asked)) == ("ha ha ha ha", None, False, 1)
    assert "warnings" not in made.as_dict()


def test_what_is_well_is_searched_for_once() -> None:
    translator, engine = guarded(by_ngram("wir lachen"))
    (made,) = translator.translate(["we laugh"], guard=Guard())
    assert (made.text, made.warnings, made.redecoded, len(engine.asked)) == ("wir lachen", (), False, 1)


def test_a_loop_is_searched_for_again_and_replaced() -> None:
    translator, engine = guarded(by_ngram("ha ha ha ha", "ha und ha"))
    made = translator.translate(["we laugh", "", "we"], guard=Guard())
    assert [one.text for one in made] == ["ha und ha", "", "ha und ha"]
    told = json.loads(json.dumps(made[0].as_dict()))
    assert (told["warnings"], told["redecoded"]) == (["repetition"], True)
    assert (made[1].warnings, made[1].redecoded) == ((), False)
    assert [request.options.no_repeat_ngram for request in engine.asked] == [None, 3]


def test_what_does_not_help_is_tried_more_strictly_and_then_left() -> None:
    translator, engine = guarded(by_ngram("ha ha ha ha", "ho ho ho ho", "ha, ho"))
    (made,) = translator.translate(["we laugh"], guard=Guard())
    assert (made.text, made.redecoded, len(engine.asked)) == ("ha, ho", True, 3)
    translator, engine = guarded(by_ngram("ha ha ha ha", "ho ho ho ho", "hi hi hi hi"))
    (made,) = translator.translate(["we laugh"], guard=Guard())
    assert (made.text, made.warnings, made.redecoded) == ("ha ha ha ha", ("repetition",), False)


def test_only_the_degenerate_are_searched_for_again() -> None:
    def script(request: Request, source: Sequence[int]) -> list[str]:
        return ["ha ha ha ha" if len(source) == 2 and not request.options.no_repeat_ngram else "gut"]

    translator, engine = guarded(script)
    made = translator.translate(["we laugh", "we", "they", "us"], guard=Guard())
    assert [one.redecoded for one in made] == [False, True, False, True]
    assert engine.asked[1].numbers == [1, 3]


def test_nothing_is_something_to_say_again() -> None:
    translator, engine = guarded(lambda request, source: [["", "wir"][request.options.min_length > 1]])
    (made,) = translator.translate(["we"], guard=Guard())
    assert (made.text, made.warnings, made.redecoded) == ("wir", ("empty",), True)


@pytest.mark.parametrize("second, kept", [("wir lachen ja@-20", True), ("wir lachen ja@-40", False)])
def test_a_copy_is_replaced_by_what_is_not_much_less_likely(second: str, kept: bool) -> None:
    copy = "we laugh out@-10"  # 12 characters and the end: a nat each is 13
    translator, engine = guarded(by_ngram(copy, second, "nothing else is asked for"))
    (made,) = translator.translate(["we laugh out"], guard=Guard())
    assert (made.warnings, made.redecoded) == (("copy",), kept)
    assert made.text == (second if kept else copy).partition("@")[0]
    ids = CHARACTERS.encode(["we laugh out"])[0]
    assert engine.asked[1].forbidden_phrases == [list(pair) for pair in zip(ids, ids[1:], strict=False)]
    assert len(engine.asked) == 2


def test_a_target_that_only_the_limit_ends_is_too_long_but_not_where_a_user_set_it() -> None:
    long = "".join(chr(97 + i % 26) + " " * (i % 3 == 1) for i in range(52))
    translator, _ = guarded(by_ngram(long, "kurz"))
    (made,) = translator.translate(["ab"], guard=Guard())
    assert (len(CHARACTERS.encode([long])[0]) >= 52, made.warnings, made.text) == (True, ("length",), "kurz")
    translator, _ = guarded(by_ngram("abc", "kurz"), max_length=4)
    assert translator.translate(["ab"], guard=Guard())[0].warnings == ()


@pytest.mark.parametrize("ratio, faults", [(None, ()), (1.0, ("length",)), (8.0, ())])
def test_training_says_how_long_targets_are(ratio: float | None, faults: tuple[str, ...]) -> None:
    translator, _ = guarded(by_ngram("abcdefg hijklmno pqrst uvw", "abc"))
    assert translator.translate(["ab"], guard=Guard(ratio=ratio))[0].warnings == faults


def test_a_length_that_was_asked_for_is_not_too_long() -> None:
    long = "abcdefg hijklmno pqrst uvw xyz abc def ghij klm nop qrs tuv wx"  # 63 characters and the end
    for length, faults in ((20, ("length",)), (30, ()), (63, ()), (64, ())):
        translator, _ = guarded(by_ngram(long, "abc"), min_length=length)
        limit_apart = translator.translate(["ab" * 10], guard=Guard(ratio=0.1))[0]
        assert limit_apart.warnings == faults, length
    translator, _ = guarded(by_ngram(long, "abc"), min_length=64)
    assert translator.translate(["ab"], guard=Guard())[0].warnings == ()


def test_where_there_is_room_for_nothing_nothing_is_no_fault() -> None:
    translator, engine = guarded(by_ngram("", "wir"), max_length=1)
    (made,) = translator.translate(["we"], guard=Guard())
    assert (made.text, made.warnings, len(engine.asked)) == ("", (), 1)


def test_what_an_engine_can_not_do_is_not_asked_of_it() -> None:
    translator, engine = guarded(by_ngram("ha ha ha ha"))
    engine.unable = "no no_repeat_ngram: 3"
    (made,) = translator.translate(["we laugh"], guard=Guard())
    assert (made.warnings, made.redecoded, len(engine.asked)) == (("repetition",), False, 1)


def test_a_second_search_is_not_told_as_the_wish_of_a_user(caplog: pytest.LogCaptureFixture) -> None:
    fast, other = Scripted(by_ngram("ha ha ha ha"), "no no_repeat_ngram: 3"), Scripted(by_ngram("", "ha"))
    translator = Translator(AutoEngine(fast, lambda: other), SIDES, SearchOptions())
    assert translator.translate(["we laugh"], guard=Guard())[0].text == "ha"
    assert caplog.messages == [
        "What is degenerate is searched for again by the native engine: the scripted engine knows no "
        "no_repeat_ngram: 3."
    ]


def test_what_was_drawn_or_traced_is_only_looked_at() -> None:
    translator, engine = guarded(by_ngram("ha ha ha ha"))
    drawn = translator.translate(["we"], SearchOptions(sample=True), guard=Guard())
    traced = translator.translate(["we"], trace=True, guard=Guard())
    assert [one.warnings for one in (*drawn, *traced)] == [("repetition",)] * 2
    assert len(engine.asked) == 2
    assert not any(isinstance(one.trace, Trace) for one in drawn)


# --- Nasty inputs -----------------------------------------------------------------------------------------------------

NASTY = [
    *(
        "salad salad salad",
        "man",
        "a",
        "😀",
        "👩‍👩‍👧‍👦 🇩🇪 ❤️",
        "!!!",
        "... --- ...",
        "https://example.org/a/b?c=d#e",
        "3.14 159",
    ),
    *(
        "Ärger mit 漢字 и кириллица",
        "مرحبا بالعالم",
        "\u202eabc\u202c",
        "a\u0301\u0302\u0303",
        "\x01\x02 man \x7f",
        "\ufffd\ufeff",
    ),
    *(
        "the " * 100,
        "x" * 10_000,
        "salad" * 2000,
        "(" * 300,
        " \t man \t ",
        "\ud800",
        "a|||b",
        "<s> </s> <unk>",
        "1e400 NaN -0",
    ),
    *("", " ", "\u3000", "\0"),
]


def untrained(tokenizers: Tokenizers) -> Translator:
    """A model that has learnt nothing: much of what it says is degenerate."""
    model = small_model("transformer", len(tokenizers.source.vocabulary))
    return Translator(NativeEngine(model), tokenizers, SearchOptions(beam_size=2, max_source_length=60))


@pytest.mark.parametrize(
    "tokenizer", [Words(), Characters(), SentencePiece(size=60)], ids=lambda one: type(one).__name__
)
def test_nasty_inputs_become_one_line_each_and_nothing_breaks(tokenizer: Words | Characters | SentencePiece) -> None:
    tokenizer.train(LINES)
    translator = untrained(Tokenizers(tokenizer, tokenizer))
    plain, made = (translator.translate(NASTY, guard=guard) for guard in (None, Guard()))
    assert [one.source for one in made] == NASTY
    assert any(one.redecoded for one in made)
    for before, after in zip(plain, made, strict=True):
        after.text.encode()
        assert after.warnings is not None
        assert after.redecoded <= bool(after.warnings)
        if not after.redecoded:
            assert after.text == before.text
        else:
            assert len(of_texts(after.source, after.text)) <= len(of_texts(before.source, before.text))
    alone = translator.translate(NASTY[:3], guard=Guard())
    assert [(one.text, one.warnings) for one in alone] == [(one.text, one.warnings) for one in made[:3]]
