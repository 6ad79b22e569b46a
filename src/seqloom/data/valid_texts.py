"""The texts to validate on, kept beside the prepared ids.

Validation wants the same few texts again and again.  Where they are held out of the training data, looking for them
would mean reading all of it each time; and the user's files may change while a training runs.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator
from pathlib import Path

from seqloom.data.cache import digest_of, open_or_build
from seqloom.data.corpora import CorpusOptions
from seqloom.data.held_out import Part, read_part
from seqloom.data.prepared import identity
from seqloom.data.rows import Pair
from seqloom.data.text import Errors

NAME = "pairs.jsonl"


class ValidTexts:
    """The pairs that `read_part` gives, from a file that is made once for each content."""

    def __init__(self, corpus: CorpusOptions, *, part: Part, valid_share: float, errors: Errors, cache: Path):
        """Raises DataError for faulty data, or if the cache can't be written."""
        choices = [part, valid_share if part != "all" else 0, errors, corpus.tag, str(corpus.folder)]

        def build(directory: Path) -> None:
            pairs = read_part(corpus, part=part, valid_share=valid_share, errors=errors)
            with (directory / NAME).open("w") as file:
                file.writelines(f"{json.dumps(pair)}\n" for pair in pairs)

        key = digest_of([identity(corpus, cache), choices])
        self._lines = open_or_build(cache / "texts" / key, lambda place: (place / NAME).open("rb"), build)

        weakref.finalize(self, self._lines.close)

    def __iter__(self) -> Iterator[Pair]:
        place = 0
        while line := self._line(place):
            place += len(line)
            source, target = json.loads(line)
            yield source, target

    def _line(self, place: int) -> bytes:
        """The line that begins there: the file stays open, since the cache may be emptied while a training runs."""
        self._lines.seek(place)
        return self._lines.readline()
