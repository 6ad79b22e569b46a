"""Recipes that can hardly work get a sentence that says what would; those of this project get none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from seqloom.config import build
from seqloom.config.root import Config, read_config
from seqloom.config.tree import read_text
from seqloom.doctor.recipe import (
    CHECKS,
    TIMES_OF_BATCH,
    Recipe,
    check_recipe,
    learned_positions,
    parts_of,
    rate_for_batch,
)
from seqloom.doctor.resume import nothing_left
from seqloom.train import Progress, TrainOptions

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
TRANSFORMER = """\
data: {train: {source: a, target: b}}
model:
  class: EncoderDecoder
  embedding: {size: 512}
  encoder: {class: TransformerEncoder, norm: NORM}
  decoder: {class: TransformerDecoder, norm: NORM}
train: {steps: 100_000, batch_tokens: 25_000, schedule: {class: InverseSquareRoot, peak: 7.0e-4, warmup: 4000}}
"""
RECURRENT = """\
data: {train: {source: a, target: b}}
model: {class: EncoderDecoder, encoder: RNNEncoder, decoder: {class: RNNDecoder, attention: AdditiveAttention}}
train: {schedule: {class: Constant, peak: 1.0e-3}}
"""


def config_of(text: str, *changes: str) -> Config:
    return build(Config, read_text(text, changes))


def said(text: str, *changes: str) -> list[str]:
    return [str(finding) for finding in check_recipe(config_of(text, *changes))]


@pytest.mark.parametrize("norm", ["pre", "post", "sandwich"])
def test_the_papers_recipe_gets_no_sentence(norm: str) -> None:
    assert said(TRANSFORMER.replace("NORM", norm)) == []


def recipes() -> list[Path]:
    """The recipes of this project in its own language."""
    return [path for path in sorted(RECIPES.rglob("*.yml")) if path.parent.name != "google-seq2seq"]


@pytest.mark.parametrize("path", recipes(), ids=lambda path: str(path.relative_to(RECIPES)))
def test_no_recipe_of_this_project_gets_a_warning(path: Path) -> None:
    assert [finding for finding in check_recipe(read_config(path)) if finding.severity != "note"] == []


# A Transformer without warm-up


@pytest.mark.parametrize(
    "norm, schedule, warned",
    [
        ("post", "{class: Constant, peak: 5.0e-4}", True),
        ("post", "{class: Constant, peak: 5.0e-4, warmup: 2}", True),
        ("post", "{class: Constant, peak: 5.0e-4, warmup: 400}", False),
        ("post", "{class: Constant, peak: 1.0e-4}", False),
        ("post", "{class: Cosine, peak: 1.0e-3}", True),
        ("pre", "{class: Constant, peak: 5.0e-4}", False),
        ("pre", "{class: Constant, peak: 2.0e-3}", True),
    ],
)
def test_a_transformer_without_warm_up(norm: str, schedule: str, warned: bool) -> None:
    found = said(TRANSFORMER.replace("NORM", norm), f"train.schedule={schedule}")
    assert bool(found) == warned


def test_what_is_said_of_no_warm_up() -> None:
    constant = "train.schedule={class: Constant, peak: 5.0e-4}"
    assert said(TRANSFORMER.replace("NORM", "post"), constant) == [
        "warning: train.schedule: a Transformer with norm: post that starts at its full rate, here 0.0005, mostly "
        "fails to learn; set warmup: 4000 (or norm: pre)"
    ]
    few = said(TRANSFORMER.replace("NORM", "post"), constant, "train.steps=500")
    assert few[0].endswith("set warmup: 50 (or norm: pre)")
    assert said(TRANSFORMER.replace("NORM", "post"), constant, "train.optimizer=SGD") == []
    assert said(RECURRENT) == [], "recurrent models need none"


# Rates


def test_a_warm_up_that_is_longer_than_the_training() -> None:
    assert said(TRANSFORMER.replace("NORM", "pre"), "train.steps=1000") == [
        "warning: train.schedule: the rate rises for 4,000 steps and training ends after 1,000, so that it gets to "
        "0.00017 and not to 0.0007; set warmup: 100, or more steps"
    ]
    assert said(TRANSFORMER.replace("NORM", "pre"), "train.steps=4000") == []


def test_a_rate_that_is_too_high_for_adam() -> None:
    assert said(RECURRENT, "train.schedule.peak=0.1") == [
        "warning: train.schedule: a rate of 0.1 moves every weight by about that much in each step, which is as "
        "much as weights are; Adam's is mostly between 1e-4 and 5e-3"
    ]
    assert said(RECURRENT, "train.schedule.peak=0.1", "train.optimizer=SGD") == []


def test_a_rate_that_is_too_high_for_a_wide_transformer() -> None:
    pre = TRANSFORMER.replace("NORM", "pre")
    assert said(pre, "train.schedule.peak=5e-3") == [
        "warning: train.schedule: a rate of 0.005 is 7 times the usual one of a Transformer of width 512; try 0.0007"
    ]
    assert said(pre, "train.schedule.peak=5e-3", "model.embedding.size=16") == [], "narrow ones bear more"


def test_a_large_batchs_rate_with_a_small_batch() -> None:
    pre = TRANSFORMER.replace("NORM", "pre")
    assert said(pre, "train.batch_tokens=256") == [
        "warning: train.batch_tokens: with no more than 256 tokens an update a rate of 0.0007 is high: published "
        "recipes would have about 7e-05; raise train.accumulate or lower the rate"
    ]
    assert said(pre, "train.batch_tokens=256", "train.accumulate=16") == []


@pytest.mark.parametrize("growth", [1 / 16, 4, 100])
@pytest.mark.parametrize("times, warned", [(0.95, False), (1.05, True)])
def test_a_batchs_rate_goes_with_the_root_of_its_growth(growth: float, times: float, warned: bool) -> None:
    recipe = Recipe.of(config_of(TRANSFORMER.replace("NORM", "pre"), "train.batch_tokens=2500"))
    highest = times * TIMES_OF_BATCH * 7e-4 * math.sqrt(2500 / 25_000)
    for changed in (recipe, replace(recipe, tokens=round(2500 * growth))):
        rate = highest * math.sqrt((changed.tokens or 0) / 2500)
        assert (rate_for_batch(replace(changed, highest=rate)) is not None) == warned


def test_recurrent_layers_without_clipping() -> None:
    assert said(RECURRENT, "train.clip=0") == [
        "warning: train.clip: gradients of recurrent layers explode now and then, and nothing cuts them; set clip: 1"
    ]
    assert said(RECURRENT, "train.clip=0", "train.skip_norm=4") == []
    assert said(TRANSFORMER.replace("NORM", "pre"), "train.clip=0") == []


# Intervals


def test_one_validation_is_a_note() -> None:
    assert said(RECURRENT, "train.steps=500") == [
        "train.validate_every: training has 500 steps and is validated every 1,000, so once, at the end"
    ]


def test_a_patience_that_never_passes_or_too_soon() -> None:
    assert said(RECURRENT, "train.patience=20") == [
        "train.patience: 20 of 20 validations never pass before training ends"
    ]
    assert said(RECURRENT, "train.patience=19") == []
    assert said(TRANSFORMER.replace("NORM", "pre"), "train.patience=3") == [
        "warning: train.patience: training may end after 3,000 steps without a better validation, while the rate rises "
        "until step 4,000; set patience to 5 or more"
    ]
    assert said(TRANSFORMER.replace("NORM", "pre"), "train.patience=5") == []


# What the checks see


def test_parts_are_found_wherever_they_are() -> None:
    text = RECURRENT.replace(
        "encoder: RNNEncoder",
        "encoder: {class: MultiColumnEncoder, columns: [RNNEncoder, {class: TransformerEncoder, norm: post}]}",
    )
    config = config_of(text)
    assert {part.target.__name__ for part in parts_of(config.model)} >= {
        "EncoderDecoder",
        "MultiColumnEncoder",
        "TransformerEncoder",
        "SinusoidalPositions",
        "AdditiveAttention",
    }
    recipe = Recipe.of(config)
    assert recipe.transformer and recipe.recurrent and recipe.post_norm


def test_positions_are_those_of_the_narrowest_part() -> None:
    def most(positions: str) -> int | None:
        text = TRANSFORMER.replace("norm: NORM", f"positions: {positions}")
        model = config_of(text).model
        return learned_positions(model)

    assert most("{class: LearnedPositions, max_positions: 77}") == 77
    assert most("sinusoidal") is None


def test_every_check_is_silent_where_nothing_is_wrong() -> None:
    fine = Recipe.of(config_of(RECURRENT))
    assert [check(fine) for check in CHECKS] == [None] * len(CHECKS)
    changed: dict[str, Recipe] = {
        "no_warm_up": replace(fine, transformer=True, first=1.0),
        "high_rate": replace(fine, highest=1.0),
        "no_clipping": replace(fine, clipped=False),
    }
    by_name: dict[str, Callable[[Recipe], object]] = {check.__name__: check for check in CHECKS}
    assert all(by_name[name](recipe) is not None for name, recipe in changed.items())


# A run that goes on


def test_steps_that_are_done_are_said_to_be() -> None:
    found = nothing_left(Progress(step=20_000), TrainOptions(steps=20_000))
    assert found is not None and str(found) == (
        "warning: nothing to do: the run stands at step 20,000 and train.steps is 20,000, counted from the run's "
        "beginning; train.steps=40000 would train as long again"
    )
    assert nothing_left(Progress(step=20_000), TrainOptions(steps=20_001)) is None
    assert nothing_left(Progress(), TrainOptions(steps=1)) is None


def test_minutes_and_patience_that_are_used_up_are_said_to_be() -> None:
    found = nothing_left(Progress(step=7, seconds=601.0), TrainOptions(minutes=10))
    assert found is not None and found.text == (
        "nothing to do: the run stands at step 7 and has trained for 10 minutes, of train.minutes: 10, counted over "
        "all its starts; set more of them to train on"
    )
    found = nothing_left(Progress(step=7, waited=3, best_step=4), TrainOptions(patience=3))
    assert found is not None and found.text == (
        "nothing to do: the run stands at step 7, and 3 validations found nothing better than step 4, which is as many "
        "as train.patience has; set more of it to train on"
    )
    assert nothing_left(Progress(step=7, seconds=599.0, waited=2), TrainOptions(minutes=10, patience=3)) is None
