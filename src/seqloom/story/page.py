"""A training as one HTML file that opens offline: how it went, what the model said, what it was made of."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources

from seqloom.inspect.document import document, inert
from seqloom.inspect.document import packaged as frame
from seqloom.inspect.labels import visible, visible_line
from seqloom.story.charts import charts
from seqloom.story.curves import Chart, carried, figure
from seqloom.story.finals import finals, measured
from seqloom.story.record import Corpus, Numbers, Record, duration, figures, label, number
from seqloom.story.samples import Said, samples

ROWS = 40  # validations in the table


def page(record: Record) -> str:
    """One HTML file about a run.  It loads nothing, works without a script, and shows text of the data as text."""
    drawn = charts(record)
    body = f"""<main>
<header>
<h1 dir="auto">{_text(record.name)}</h1>
<p class="faint">{_text(summary(record))}</p>
</header>
{_key_figures(record)}
{_curves(record, drawn)}
{_samples(record)}
{_scores(record)}
{_tests(record)}
{_data(record)}
{_machine(record)}
{_configuration(record)}
{_next(record)}
</main>
<script type="application/json" id="data">{inert({"charts": [carried(chart) for chart in drawn]})}</script>"""
    return document(f"{visible_line(record.name)}: training", body, script=_packaged("page.js"), style=_style())


def summary(record: Record) -> str:
    """What is trained, in a line."""
    parts = [record.option(f"model.{side}.class") for side in ("encoder", "decoder")]
    named = " and ".join(part for part in parts if part) or str(record.option("model.class") or "a model")
    size = record.facts.get("parameters")
    weights = f", {size:,} parameters" if number(size) else ""
    return f"{named}{weights}; step {record.step:,} of {figures(record.option('train.steps'))}"


def _style() -> str:
    return frame("base.css") + _packaged("page.css")


def _packaged(name: str) -> str:
    return resources.files("seqloom.story").joinpath(name).read_text(encoding="utf-8")


def _text(text: object) -> str:
    """Text of the data, of a file or of a name as markup that shows it and nothing else."""
    return escape(visible_line(str(text)))


def _key_figures(record: Record) -> str:
    best, keep = record.best, str(record.option("train.keep_best") or "loss")
    speeds = sorted(v for _, v in record.points("tokens_per_second", record.training))
    shown = [
        (figures(best.get(f"valid.{keep}")), f"{label(keep)}, best at step {best['step']:,}") if best else None,
        (figures(best.get("valid.loss")), "validation loss there") if best and keep != "loss" else None,
        (figures(speeds[len(speeds) // 2]), "target tokens a second") if speeds else None,
        (duration(record.seconds), "spent on it") if record.seconds is not None else None,
        (f"{len(record.skipped):,}", f"update{'s' * (len(record.skipped) != 1)} left out") if record.training else None,
    ]
    items = "".join(f"<div><dd>{escape(value)}</dd><dt>{_text(what)}</dt></div>" for value, what in filter(None, shown))
    return f'<dl id="figures">{items}</dl>' if items else '<p class="lone">Nothing has been measured yet.</p>'


def _curves(record: Record, drawn: Sequence[Chart]) -> str:
    if not drawn:
        return ""
    figures_ = "".join(figure(chart, index) for index, chart in enumerate(drawn))
    return f"""<section id="curves">
<h2>How it went <span class="hint" id="hint">by step</span></h2>
<div class="charts">
{figures_}</div>
{_validations(record)}
</section>"""


def _validations(record: Record) -> str:
    """Every validation, or the last ones, as a table."""
    if not record.validations:
        return ""
    rows = [
        [f"{line['step']:,}" + (" ★" if line is record.best else "")]
        + [figures(line.get(f"valid.{name}")) for name in record.measures]
        for line in record.validations[-ROWS:]
    ]
    left = len(record.validations) - len(rows)
    more = f"; {left:,} before them" if left else ""
    table = _table(["Step", *map(label, record.measures)], rows)
    return f"<details><summary>Every validation{more}</summary>{table}</details>"


def _samples(record: Record) -> str:
    found = samples(record)
    if not found:
        return ""
    return f"""<section id="samples">
<h2>What it said <span class="hint">freely decoded; words that the reference has, too, stand out</span></h2>
{"".join(map(_sample, found))}</section>"""


def _sample(said: Said) -> str:
    rows = "".join(
        f'<div><dt>{_text(steps)}</dt><dd dir="auto">{_compared(text, said.reference)}</dd></div>'
        for steps, text in said.outputs
    )
    return f"""<article>
<dl>
<div class="given"><dt>Source</dt><dd dir="auto">{_text(said.source)}</dd></div>
{rows}
<div class="given"><dt>Reference</dt><dd dir="auto">{_text(said.reference)}</dd></div>
</dl>
</article>
"""


def _compared(text: str, reference: str) -> str:
    """Text with the words marked that the reference has."""
    known = set(reference.split())
    if not text.strip():
        return '<span class="faint">nothing</span>'
    return " ".join(
        f"<b>{escape(visible(word))}</b>" if word in known else escape(visible(word)) for word in text.split()
    )


def _scores(record: Record) -> str:
    if not record.validations:
        return ""
    last, best = record.validations[-1], record.best
    chosen = [("Best", best)] if best else []
    chosen += [("Last", last)] if last is not best else []
    signatures = {name: text for line in record.validations for name, text in (line.get("signatures") or {}).items()}
    rows = [
        [label(name), *(figures(line.get(f"valid.{name}")) for _, line in chosen), str(signatures.get(name, ""))]
        for name in record.measures
    ]
    heads = [f"{which}, step {line['step']:,}" for which, line in chosen]
    return f"""<section id="scores">
<h2>Scores <span class="hint">on the validation data, decoded freely</span></h2>
{_table(["", *heads, "Signature"], rows)}
</section>"""


def _tests(record: Record) -> str:
    times = finals(record)
    if not times:
        return ""
    measures = measured(times)
    rows = [[time.what, *(time.scores.get(name, "–") for name in measures), time.time] for time in times]
    signatures = _table(["", "Signature"], [[name, signature] for name, signature in measures.items()])
    return f"""<section id="tests">
<h2>Final scores <span class="hint">on test sets, with 95 % intervals where they were asked for</span></h2>
{_table(["Test set", *measures, "Measured"], rows)}
<details><summary>What makes them comparable</summary>{signatures}</details>
</section>"""


def _data(record: Record) -> str:
    parts = [(part, corpus) for part in ("training", "validation") for corpus in record.corpora(part)]
    rows = [[part, ", ".join(corpus.files) or "–", *_counts(corpus)] for part, corpus in parts]
    if not rows:
        return ""
    heads = ["For", "Files", "Pairs", "Source tokens", "Target tokens", "Unknown, source", "Unknown, target"]
    symbols = [record.facts.get(f"{side}_symbols") for side in ("source", "target")]
    vocabulary = (
        f"<p class='faint'>Vocabulary: {symbols[0]:,} source and {symbols[1]:,} target symbols.</p>".replace("'", '"')
        if all(map(number, symbols))
        else ""
    )
    return f"""<section id="corpora">
<h2>Data</h2>
{_table(heads, rows)}{vocabulary}
</section>"""


def _counts(corpus: Corpus) -> list[str]:
    tokens = [figures(corpus.report.get(f"{side}_tokens")) for side in ("source", "target")]
    shares = [corpus.unknown(side) for side in ("source", "target")]
    return [str(corpus.report.get("said", "–")), *tokens, *("–" if s is None else f"{100 * s:.2f} %" for s in shares)]


def _machine(record: Record) -> str:
    if not record.starts:
        return ""
    last = record.starts[-1]
    versions = last.get("versions") or {}
    begun = ", ".join(f"{_time(start)} at step {start.get('step', 0):,}" for start in record.starts[-5:])
    said = {
        "Device": _device(last),
        "Precision": last.get("precision"),
        "System": last.get("system"),
        "Versions": ", ".join(f"{name} {version}" for name, version in versions.items() if version),
        f"Started {len(record.starts)} times, last" if len(record.starts) > 1 else "Started": begun,
    }
    items = "".join(f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in said.items())
    return f'<section id="machine">\n<h2>Machine</h2>\n<dl class="facts">{items}</dl>\n</section>'


def _device(start: Numbers) -> str:
    memory, ranks = start.get("memory"), start.get("ranks", 1)
    said = [
        f"{ranks} × {start.get('device')}" if ranks != 1 else str(start.get("device")),
        f"{start.get('threads')} of {start.get('cores')} cores",
        f"{memory / 2**30:.0f} GiB of memory" if isinstance(memory, int) else "",
    ]
    return "; ".join(filter(None, said))


def _time(start: Numbers) -> str:
    return str(start.get("time", "")).replace("T", " ").replace("+00:00", " UTC")


def _configuration(record: Record) -> str:
    lines = (" ".join(visible(word) if word else "" for word in line.split(" ")) for line in record.text.split("\n"))
    return f"""<section id="configuration">
<h2>Configuration</h2>
<details><summary>config.yml, every default filled in</summary>
<pre tabindex="0">{escape(chr(10).join(lines).strip())}</pre></details>
</section>"""


def _next(record: Record) -> str:
    run = shlex.quote(str(record.directory))
    commands = [
        (f"seqloom translate {run} < FILE", "translate every line of a file"),
        (f"seqloom evaluate {run} --source FILE --reference FILE", "measure it on a test set, with intervals"),
        (f"seqloom inspect {run} 'a sentence'", "see what it looks at"),
        (f"seqloom report {run}", "make this page and the model card again"),
    ]
    items = "".join(f"<div><dt><code>{_text(line)}</code></dt><dd>{what}</dd></div>" for line, what in commands)
    return f'<section id="next">\n<h2>What to type next</h2>\n<dl class="commands">{items}</dl>\n</section>'


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose cells that are numbers are set as such."""
    head = "".join(f'<th scope="col">{_text(name) if name else ""}</th>' for name in heads)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f'<div class="table" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(text: str) -> str:
    digits = text.strip(" %★").replace(",", "").replace(".", "", 1).isdigit()
    kind = ' class="number"' if digits or text == "–" else ' class="signature"' if "|" in text else ""
    return f"<td{kind}>{_text(text) if text else ''}</td>"
