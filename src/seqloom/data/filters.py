"""Which pairs are not worth training on, judged by their texts alone."""

from __future__ import annotations

import inspect
import re
from abc import ABC
from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar, Literal

from seqloom.errors import UsageError
from seqloom.registry import name_of, register, suggest

Unit = Literal["words", "characters"]


class Filter(ABC):  # noqa: B024 - a filter overrides one of the two questions
    """A reason to leave pairs out.  Parameters are kept in attributes of their names."""

    reason: ClassVar[str]  # what is wrong with those it leaves out, behind their number: "12 duplicated"
    compares: ClassVar[bool] = False  # whether it answers `sameness`

    def objects(self, source: str, target: str) -> bool:
        """Whether this pair is to be left out, whatever the others are."""
        return False

    def sameness(self, source: str, target: str) -> str:
        """What pairs have in common of which only the first is to stay, where the filter compares pairs."""
        raise NotImplementedError

    def described(self) -> dict[str, Any]:
        """The class and all that its judgement depends on."""
        parameters = {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}
        return {"class": name_of(type(self)), **parameters}


@register("length")
class Length(Filter):
    """Leaves out pairs with a side shorter than `least` or longer than `most`, in words or in characters."""

    reason = "too short or too long"

    def __init__(self, *, least: int = 1, most: int = 250, unit: Unit = "words"):
        """Words are what stands between blanks.  Raises ValueError unless 0 <= least <= most."""
        if not 0 <= least <= most:
            raise ValueError(f"least is from 0 to most; got least {least} and most {most}")
        self.least, self.most, self.unit = least, most, unit

    def objects(self, source: str, target: str) -> bool:
        return not all(self.least <= length(side, self.unit) <= self.most for side in (source, target))


@register("ratio")
class Ratio(Filter):
    """Leaves out pairs of which one side is more than `most` times as long as the other."""

    reason = "of unequal lengths"

    def __init__(self, *, most: float = 1.5, unit: Unit = "words"):
        """Raises ValueError if `most` is below 1."""
        if not most >= 1:
            raise ValueError(f"most must be at least 1, got {most}")
        self.most, self.unit = most, unit

    def objects(self, source: str, target: str) -> bool:
        short, long = sorted((length(source, self.unit), length(target, self.unit)))
        return long > self.most * short


@register("duplicates")
class Duplicates(Filter):
    """Leaves out what has come before in the same corpus, blanks at the ends aside.

    Of texts only a hash of 64 bits is remembered: among a hundred million different pairs the chance that any one is
    taken for another is 3 in 10,000.
    """

    reason, compares = "duplicated", True

    def __init__(self, *, of: Literal["pair", "source", "target"] = "pair"):
        """`of` is what must be the same."""
        self.of = of

    def sameness(self, source: str, target: str) -> str:
        sides = {"source": (source,), "target": (target,)}.get(self.of, (source, target))
        return "\0".join(side.strip() for side in sides)


@register("copied_source")
class CopiedSource(Filter):
    """Leaves out pairs whose target was not translated: its words stand in the source, too.

    Copies teach beam search to copy (https://arxiv.org/abs/1803.00047, which counts from an overlap of a half on).
    Case is ignored, and what has no letter does not count: numbers are their own translation.
    """

    reason = "copied from the source"

    def __init__(self, *, overlap: float = 1.0):
        """`overlap` is the share of the target's words from which on it is a copy.  Raises ValueError."""
        if not 0 < overlap <= 1:
            raise ValueError(f"overlap must be above 0 and at most 1, got {overlap}")
        self.overlap = overlap

    def objects(self, source: str, target: str) -> bool:
        known, words = set(_words(source)), _words(target)
        return bool(words) and sum(word in known for word in words) >= self.overlap * len(words)


@register("mojibake")
class Mojibake(Filter):
    """Leaves out pairs with UTF-8 that was read as Latin-1 or Windows-1252, such as "Ã¼" for "ü", and with U+FFFD."""

    reason = "with garbled characters"

    def objects(self, source: str, target: str) -> bool:
        return any(not side.isascii() and bool(_garbled(side)) for side in (source, target))


@register("language")
class Language(Filter):
    """Leaves out pairs of which one side is in another language than it should be, as far as py3langid can tell.

    It goes by byte sequences and is not sure of short texts.  Those that it is not sure of stay.
    """

    reason = "in another language"

    def __init__(self, *, source: str | None = None, target: str | None = None, sure: float = 0.5):
        """`source` and `target` are codes such as "de"; a side without one is not looked at.

        `sure` is the probability that another language must have.  Raises ValueError for what can't be meant, and
        UsageError if py3langid is not installed.
        """
        if source is None and target is None:
            raise ValueError("source or target must name a language, such as de")
        if not 0 < sure <= 1:
            raise ValueError(f"sure must be above 0 and at most 1, got {sure}")
        self.source, self.target, self.sure = source, target, sure
        codes = _identifier().labels
        for side, code in (("source", source), ("target", target)):
            if code is not None and code not in codes:
                raise ValueError(f"{side}: no language has the code {code!r}{suggest(code, codes)}")

    def objects(self, source: str, target: str) -> bool:
        return self._is_foreign(source, self.source) or self._is_foreign(target, self.target)

    def _is_foreign(self, text: str, language: str | None) -> bool:
        if language is None:
            return False
        found, probability = _identifier().classify(text)
        return bool(found != language and probability >= self.sure)

    def described(self) -> dict[str, Any]:
        from importlib.metadata import version

        return super().described() | {"version": version("py3langid")}


def length(text: str, unit: Unit) -> int:
    """How many words or characters a text has, blanks at its ends aside."""
    return len(text.split()) if unit == "words" else len(text.strip())


def _words(text: str) -> list[str]:
    return [word for word in re.findall(r"\w+", text.casefold()) if any(map(str.isalpha, word))]


# What a byte from 80 to BF, which goes on with a character of UTF-8, looks like in Windows-1252 and in Latin-1.
_MORE = "".join(bytes([byte]).decode("cp1252", "ignore") for byte in range(0x80, 0xC0)) + "\x80-\x9f"
_garbled: Callable[[str], object] = re.compile(
    "[\x80-\x9f\ufffd]"  # controls that no text has, and the sign for what was lost
    f"|[ÂÃ][{_MORE}]|â[{_MORE}]{{2}}|â€"  # accented letters, typographic signs
    # Anything else at least twice: once, it may be a French À or a German ß before a quotation mark.
    f"|(?:[À-ß][{_MORE}]|[à-ï][{_MORE}]{{2}}|[ð-ô][{_MORE}]{{3}}){{2}}"
).search


@cache
def _identifier() -> Any:
    """py3langid's classifier, with probabilities."""
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError as error:
        raise UsageError("the filter Language needs a package: pip install 'seqloom[filters]'") from error
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
