"""All checks together: what can be said of a training before its first step."""

from __future__ import annotations

from collections.abc import Iterator

from seqloom.config.root import Config
from seqloom.config.spec import Spec, as_spec
from seqloom.doctor.findings import SEVERITIES, Finding
from seqloom.doctor.leaks import check_leaks
from seqloom.doctor.lengths import check_lengths
from seqloom.doctor.recipe import check_recipe, learned_positions
from seqloom.doctor.sample import Data
from seqloom.doctor.sides import check_sides
from seqloom.doctor.vocabulary import check_vocabulary
from seqloom.tasks import Task


def examine(config: Config, task: Task) -> list[Finding]:
    """What there is to say of a configuration and the data of its task, which is prepared; the gravest first.

    Of large corpora a sample is looked at (`sample`), so that this takes a second or two whatever their size.
    """
    found = [*check_recipe(config)]
    prepared = task.prepared()
    if prepared is not None:
        found += _of_data(config, Data.of(prepared, config.data))
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def _of_data(config: Config, data: Data) -> Iterator[Finding]:
    train, model = config.train, as_spec(config.model)
    parts = model.parameters if isinstance(model, Spec) else {}
    positions = [learned_positions(parts.get(part)) for part in ("encoder", "decoder")]
    yield from check_vocabulary(data)
    yield from check_lengths(
        data, batch_tokens=train.most_tokens if train.batch_sentences is None else None, positions=positions
    )
    yield from check_sides(data)
    yield from check_leaks(data)
