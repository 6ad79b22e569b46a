"""A model card: what the model is, what it was trained on, how good it is, how it is used; for people and for hubs.

The front matter is that of https://huggingface.co/docs/hub/model-cards.  What isn't known is left out, as a license is.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from seqloom.inspect.labels import visible_line
from seqloom.story.finals import finals, measured
from seqloom.story.record import FORCED, Record, duration, figures, label, number

MARK = "<!-- written by seqloom: a README.md without this line is left alone -->"
# The two-letter codes of ISO 639-1 that files of text are named with.
LANGUAGES = frozenset(
    "af am ar as az be bg bn br bs ca cs cy da de dz el en eo es et eu fa fi fr fy ga gd gl gu ha he hi hr hu "
    "hy id ig is it ja ka kk km kn ko ku ky li lt lv mg mk ml mn mr ms mt my nb ne nl nn no oc or pa pl ps pt "
    "ro ru rw se sh si sk sl sq sr sv ta te tg th tk tr tt ug uk ur uz vi wa xh yi yo zh zu".split()
)


def card(record: Record) -> str:
    """The card of a run, in Markdown behind YAML."""
    sections = (
        f"---\n{_front_matter(record)}---",
        MARK,
        f"# {_words(record.name)}",
        _introduction(record),
        _scores(record),
        _tests(record),
        _data(record),
        _training(record),
        _use(record),
        _limits(record),
    )
    return "\n\n".join(filter(None, sections)) + "\n"


def languages(record: Record) -> list[str]:
    """The languages of source and target, as far as the names of the training files tell, such as train.en.xz."""
    found = []
    for corpus in record.corpora("training"):
        for name in corpus.files:
            codes = [part for part in name.lower().split(".")[1:] if part in LANGUAGES]
            found += codes[-1:]
    return list(dict.fromkeys(found))


def _front_matter(record: Record) -> str:
    files = [name for corpus in record.corpora("training") for name in corpus.files]
    known: dict[str, Any] = {
        "library_name": "seqloom",
        "pipeline_tag": "translation" if len(languages(record)) > 1 else "",
        "language": languages(record),
        "tags": ["sequence-to-sequence"],
        "datasets": list(dict.fromkeys(files)),
        "metrics": [name for name in record.measures if name in ("bleu", "chrf")],
        "model-index": _index(record),
    }
    return "".join(f"{line}\n" for key, value in known.items() if value for line in _yaml(key, value))


def _yaml(key: str, value: Any) -> Iterator[str]:
    """A key with its value; text is written as JSON, which is YAML, too, so that none can mean anything else."""
    if isinstance(value, list):
        yield f"{key}:"
        yield from (f"- {_inline(item)}" for item in value)
    else:
        yield f"{key}: {_inline(value)}"


def _inline(value: Any) -> str:
    plain = isinstance(value, str) and value.replace("-", "").replace("_", "").isalpha() and value.isascii()
    return value if plain and value not in ("no", "null", "true", "false") else json.dumps(value)


def _index(record: Record) -> list[Mapping[str, Any]]:
    """The scores of the best checkpoint, as hubs list them."""
    best = record.best
    if best is None:
        return []
    signatures = best.get("signatures") or {}
    found = [
        {"type": name, "name": label(name), "value": round(best[f"valid.{name}"], 4)}
        | {"args": {"signature": signatures[name]}}
        for name in record.measures
        if name in signatures and number(best.get(f"valid.{name}"))
    ]
    data = {"type": "text", "name": _files(record, "validation") or "validation"}
    task = {"type": "translation" if len(languages(record)) > 1 else "text2text-generation"}
    return [{"name": record.name, "results": [{"task": task, "dataset": data, "metrics": found}]}]


def _introduction(record: Record) -> str:
    parts = [(side, record.option(f"model.{side}.class")) for side in ("encoder", "decoder")]
    named = " and ".join(f"a `{name}` as its {side}" for side, name in parts if name)
    size = record.facts.get("parameters")
    kinds = named or f"`{record.option('model.class')}`"
    pair = languages(record)
    what = f", from {pair[0]} to {pair[1]}" if len(pair) == 2 else ""
    weights = f"; {size:,} parameters" if number(size) else ""
    whose = f"A sequence-to-sequence model of Seqloom, with {kinds}{what}{weights}"
    return f"{whose}. `report.html` shows how its training went."


def _scores(record: Record) -> str:
    best = record.best
    if best is None:
        return ""
    signatures = best.get("signatures") or {}
    rows = [
        (label(name), figures(best.get(f"valid.{name}")), f"`{signatures[name]}`" if name in signatures else "")
        for name in record.measures
        if not name.startswith(FORCED)
    ]
    table = _table(("Measure", "Value", "Signature"), rows)
    return (
        f"## Scores\n\nOf the best checkpoint (step {best['step']:,}) on the validation data, which chose it: on a "
        f"test set, by which nothing was chosen, it may do less well.\n\n{table}"
    )


def _tests(record: Record) -> str:
    times = finals(record)
    if not times:
        return ""
    measures = measured(times)
    rows = [(_words(time.what), *(time.scores.get(name, "–") for name in measures)) for time in times]
    signatures = "\n".join(f"- {name}: `{signature}`" for name, signature in measures.items())
    return f"## Scores on test sets\n\n{_table(('Test set', *measures), rows)}\n\n{signatures}"


def _data(record: Record) -> str:
    rows = [
        (part, _words(", ".join(corpus.files)), _words(corpus.report.get("said", "")))
        for part in ("training", "validation")
        for corpus in record.corpora(part)
    ]
    return f"## Data\n\n{_table(('For', 'Files', 'Pairs'), rows)}" if rows else ""


def _training(record: Record) -> str:
    option = record.option
    size = option("train.batch_sentences")
    batch = f"{size:,} sentences" if size else f"{figures(option('train.batch_tokens'))} tokens, padding included"
    each = figures(option("train.accumulate"))
    said = [
        f"{record.step:,} updates of the weights"
        + (f" in {duration(record.seconds)}" if record.seconds is not None else "")
        + f", each on {each} batch{'es' * (each != '1')} of at most {batch}",
        f"optimizer `{option('train.optimizer.class')}`, schedule `{option('train.schedule.class')}` "
        f"with a peak of {figures(option('train.schedule.peak'))}",
        f"label smoothing {figures(option('train.label_smoothing'))}, seed {option('seed')}",
    ]
    if record.starts:
        start = record.starts[-1]
        versions = start.get("versions") or {}
        packages = ", ".join(f"{name} {versions[name]}" for name in ("seqloom", "torch") if versions.get(name))
        said.append(_words(f"{start.get('device')}, {start.get('precision')}, {packages}"))
    lines = "\n".join(f"- {line}" for line in said)
    return f"## Training\n\n{lines}\n\n`config.yml` is the whole configuration."


def _use(record: Record) -> str:
    run = shlex.quote(record.name)
    return f"""## Use

In the folder that holds this one:

```sh
seqloom translate {run} < FILE
```

```python
import seqloom

translator = seqloom.load({json.dumps(record.name)})
translator.translate(["A sentence."])[0].text
```"""


def _limits(record: Record) -> str:
    corpora = record.corpora("training")
    pairs = sum(corpus.report.get("kept", 0) for corpus in corpora)
    seen = f"the {pairs:,} pairs" if pairs else "the pairs"
    longest = record.option("search.max_source_length")
    cut = f" Of a source, only the first {longest:,} tokens are read." if number(longest) else ""
    return (
        f"## Limits\n\nThe model knows {seen} that it was trained on: what is unlike them it may get wrong, and say "
        f"fluently all the same. It has the errors and the leanings of that text. Nobody has checked it for a use that "
        f"could do harm.{cut}"
    )


def _files(record: Record, part: str) -> str:
    return ", ".join(name for corpus in record.corpora(part) for name in corpus.files)


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(heads)]
    lines += [["---"] * len(lines[0]), *map(list, rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _words(text: object) -> str:
    """Text of a name or of a file as Markdown that means nothing but itself."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|" else c for c in visible_line(str(text)))
