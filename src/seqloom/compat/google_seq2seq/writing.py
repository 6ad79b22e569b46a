"""A translation as commented YAML."""

from __future__ import annotations

from collections.abc import Sequence

from seqloom.compat.google_seq2seq.said import DEFAULT
from seqloom.compat.google_seq2seq.translation import Translation
from seqloom.config.tree import dump

PLACEHOLDER = {"source": "train.source", "target": "train.target"}
SHORT = "their default"


def written(translation: Translation, names: Sequence[str]) -> str:
    """YAML that reads back as the translation, with a comment where there is something to say.

    `names` are the files it was made of.  Where they named no text, the place for it is marked.
    """
    value, comments = dict(translation.tree.value), dict(translation.comments)
    if not translation.has_text:
        value["data"] = {"train": PLACEHOLDER, **value["data"]}
        comments["data", "train"] = "put your own files here, or give --train-source and --train-target"
    short = {place: SHORT if text == DEFAULT else text for place, text in comments.items()}
    head = [
        f"{' and '.join(names) or 'flags'} of google/seq2seq, translated by seqloom convert.",
        "Relative paths start from the directory of this file.",
        *translation.notices,
    ]
    return "".join(f"# {line}\n" for line in head) + dump(value, comments=short)
