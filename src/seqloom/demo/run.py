"""What the demonstration does before and after training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from seqloom.data.corpora import CorpusOptions, read_pairs
from seqloom.demo.dates import DateSets, generate
from seqloom.inspect import page
from seqloom.inspect.views import views_of
from seqloom.metrics import ExactMatch
from seqloom.translate import Translator

SHOWN = (
    "Freitag, 6. März 2026",
    "le 14 juillet 1989",
    "2026年3月6日",
    "sexta-feira, 6 de março de 2026",
    "пятница, 6 марта 2026 г.",
    "[en-US] 3/6/26",
    "[en-GB] 3/6/26",
    "6 मार्च 2026",
)
PICTURED = "Freitag, 6. März 2026"
ERRORS = 10  # how many of a set's errors are printed


def make_data(directory: Path) -> tuple[Path, DateSets]:
    """Write the data and the configuration into `directory`: the configuration's path, and what the files are."""
    directory.mkdir(parents=True, exist_ok=True)
    print("Making dates in twenty-nine languages from the Unicode CLDR ...", flush=True)
    sets = generate(directory / "data")
    config = directory / "data" / "dates.yml"
    config.write_text(files("seqloom.demo").joinpath("dates.yml").read_text("utf8"), "utf8")
    return config, sets


def announce(config: Path) -> None:
    """Show what is about to be trained."""
    print(f"\n{config}:\n")
    print("".join(f"    {line}\n" for line in config.read_text("utf8").split("\n")).rstrip(), end="\n\n", flush=True)


def show(translator: Translator, sets: DateSets, *, directory: Path, picture: Path) -> None:
    """Measure the model, list its errors, use it, draw what it looks at, and say what to type next."""
    print()
    measure(translator, "held-out dates", sets.test)
    measure(translator, "language and format pairs never seen together in training", sets.unseen)
    print("What it makes of dates:")
    for translation in translator.translate(SHOWN):
        print(f"    {translation.source:36} {translation.text}")
    draw(translator, picture)
    print(f"\nWhere it looks while it writes: open {picture} in a browser (it needs no network).\n")
    print("Next:")
    print(f'    echo "den 6 mars 2026" | seqloom translate {directory}')
    print(f'    seqloom inspect {directory} "6 mars 2026" -o page.html')
    print("    seqloom init --source YOUR.en --target YOUR.de     (your own data: any text to any text)")


def measure(translator: Translator, name: str, path: Path) -> float:
    """Print the share of exact answers in one set, with its interval, and the first errors; return it in percent."""
    pairs = list(read_pairs(CorpusOptions(tsv=path)))
    hypotheses = [translation.text for translation in translator.translate([source for source, _ in pairs])]
    score = ExactMatch().score(hypotheses, [target for _, target in pairs], bootstrap=1000)
    print(f"{name}: {score.value:.2f} % exact [{score.low:.1f}, {score.high:.1f}] of {score.count:,}")
    errors = [(s, h, t) for (s, t), h in zip(pairs, hypotheses, strict=True) if h != t]
    how_many = (
        f"{len(errors)} wrong; {_kinds(errors)}; the first {min(len(errors), ERRORS)}:" if errors else "no errors"
    )
    print(f"  {how_many}")
    for source, hypothesis, target in errors[:ERRORS]:
        print(f"    {source:36} {hypothesis:12} should be {target}")
    print()
    return score.value


def _kinds(errors: Sequence[tuple[str, str, str]]) -> str:
    """Which part of the date is wrong, counted: "year 3, day 1"."""
    kinds: Counter[str] = Counter()
    for _, hypothesis, target in errors:
        parts = hypothesis.split("-")
        wrong = [
            name for name, part in zip(("year", "month", "day"), target.split("-"), strict=True) if part not in parts
        ]
        kinds[" and ".join(wrong) or "order"] += 1
    return "what is wrong: " + ", ".join(f"{name} {count}" for name, count in kinds.most_common())


def draw(translator: Translator, path: Path) -> None:
    """Write the page that shows what the model looked at."""
    options = replace(translator.options, n_best=translator.options.beam_size)
    (translation,) = translator.translate([PICTURED], options, attention=True)
    path.write_text(page(views_of(translation), title=PICTURED), "utf8")
