"""The recipe: rates, warm-up and intervals that go with a kind of model, as far as papers have shown it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from seqloom.config.root import Config
from seqloom.config.spec import Spec, as_spec
from seqloom.decoders import ConvS2SDecoder, TransformerDecoder
from seqloom.doctor.findings import Finding, note, warning
from seqloom.encoders import ConvS2SEncoder, TransformerEncoder
from seqloom.layers.positions import LearnedPositions
from seqloom.optim import Adam, AdamW

FULL = 0.2  # of the highest rate in the first step: no warm-up worth the name
RISKY = 1e-4  # a first rate above this is too much for a Transformer with norms behind its residuals
BOLD = 1e-3  # and this for one with norms before them
EVERY_WEIGHT = 0.02  # Adam moves every weight by about its rate, and weights are about as large as this to begin with
TIMES = 3  # the paper's rate for a width and a warm-up
TIMES_OF_BATCH = 8  # the rate that a published recipe has, brought down to a batch of this size
LONG = 1_000_000  # steps; whoever looks so far ahead has seen a schedule's peak
REFERENCE = 7e-4, 512, 25_000  # peak, width and target tokens an update of https://arxiv.org/abs/1706.03762
LARGE = 256  # narrower Transformers bear much higher rates


@dataclass(frozen=True)
class Recipe:
    """What the checks ask of a configuration."""

    steps: int
    first: float  # the learning rate of the first step
    highest: float  # of any step of this training
    peak: float  # what the schedule would reach if training were long enough
    rising: int  # steps until the highest rate of a long training
    adam: bool
    transformer: bool
    post_norm: bool  # any of its Transformer layers normalises behind the residual connection, as in the paper
    recurrent: bool
    width: int | None  # of the embedding
    tokens: int | None  # an update, at most; None where batches are counted in sentences
    clipped: bool
    validate_every: int = 1000
    patience: int | None = None

    @classmethod
    def of(cls, config: Config) -> Recipe:
        """What a configuration says about it."""
        train, parts = config.train, list(parts_of(config.model))
        schedule, optimizer = train.schedule(), as_spec(train.optimizer)
        long = _some_steps(max(LONG, train.steps), getattr(schedule, "warmup", 0))
        rates = {step: schedule.rate(step, train.steps) for step in {*long, train.steps}}
        transformers = [part for part in parts if issubclass(part.target, (TransformerEncoder, TransformerDecoder))]
        return cls(
            steps=train.steps,
            first=schedule.rate(1, train.steps),
            highest=max(rate for step, rate in rates.items() if step <= train.steps),
            peak=max(rates.values()),
            rising=max(rates, key=lambda step: (rates[step], -step)),
            adam=isinstance(optimizer, Spec) and issubclass(optimizer.target, (Adam, AdamW)),
            transformer=bool(transformers),
            post_norm=any(part.parameters.get("norm") == "post" for part in transformers),
            recurrent=any("cell" in part.parameters for part in parts),
            width=_width(config.model),
            tokens=train.accumulate * train.most_tokens if train.batch_sentences is None else None,
            clipped=bool(train.clip or train.skip_norm),
            validate_every=train.validate_every,
            patience=train.patience,
        )

    @property
    def warm(self) -> bool:
        """Whether the rate rises to begin with."""
        return self.first <= FULL * self.highest


def parts_of(value: Any) -> Iterator[Spec[Any]]:
    """This part of a configuration and all parts inside it."""
    value = as_spec(value)
    if isinstance(value, Spec):
        yield value
    inside = value.parameters.values() if isinstance(value, Spec) else value if isinstance(value, (tuple, list)) else ()
    if is_dataclass(value) and not isinstance(value, (Spec, type)):
        inside = [getattr(value, item.name) for item in fields(value)]
    for part in inside:
        yield from parts_of(part)


def learned_positions(value: Any) -> int | None:
    """For how many positions a part of a model, or a part inside it, learns vectors; None if for any number."""
    kinds = (LearnedPositions, ConvS2SEncoder, ConvS2SDecoder)
    most = [part.parameters["max_positions"] for part in parts_of(value) if issubclass(part.target, kinds)]
    return min(most, default=None)


def no_warm_up(recipe: Recipe) -> Finding | None:
    """A Transformer that starts at its full rate.

    Xiong et al. 2020, https://arxiv.org/abs/2002.04745, 3 and figure 2: with norms behind the residual connections
    gradients near the output are large to begin with, and training without warm-up fails or ends far worse.
    """
    risky = RISKY if recipe.post_norm else BOLD
    if not recipe.transformer or not recipe.adam or recipe.warm or recipe.first <= risky:
        return None
    steps = max(1, min(4000, recipe.steps // 10))
    norm = " with norm: post" if recipe.post_norm else ""
    other = " (or norm: pre)" if recipe.post_norm else ""
    return warning(
        f"train.schedule: a Transformer{norm} that starts at its full rate, here {recipe.first:.2g}, mostly fails to "
        f"learn; set warmup: {steps}{other}"
    )


def long_warm_up(recipe: Recipe) -> Finding | None:
    """A training that ends before its rate is up."""
    if recipe.rising <= recipe.steps or recipe.highest >= 0.99 * recipe.peak:
        return None
    return warning(
        f"train.schedule: the rate rises for {recipe.rising:,} steps and training ends after {recipe.steps:,}, so that "
        f"it gets to {recipe.highest:.2g} and not to {recipe.peak:.2g}; set warmup: {max(1, recipe.steps // 10)}, or "
        "more steps"
    )


def high_rate(recipe: Recipe) -> Finding | None:
    """A rate at which Adam seldom learns.

    Adam moves each weight by about the rate in every step (https://arxiv.org/abs/1412.6980, 2.1).  For a Transformer
    of width d, warmed up for w steps, the rate of https://arxiv.org/abs/1706.03762, equation 3, peaks at 1/sqrt(d w);
    three times that is far above what was published since.  Hybrids with recurrent layers bear more.
    """
    if not recipe.adam:
        return None
    if recipe.highest > EVERY_WEIGHT:
        return warning(
            f"train.schedule: a rate of {recipe.highest:.2g} moves every weight by about that much in each step, which "
            "is as much as weights are; Adam's is mostly between 1e-4 and 5e-3"
        )
    if not recipe.transformer or recipe.recurrent or recipe.width is None:
        return None
    usual = 1 / math.sqrt(recipe.width * max(1000, min(recipe.rising, recipe.steps)))
    if recipe.highest <= TIMES * usual:
        return None
    return warning(
        f"train.schedule: a rate of {recipe.highest:.2g} is {recipe.highest / usual:.0f} times the usual one of a "
        f"Transformer of width {recipe.width}; try {usual:.1g}"
    )


def rate_for_batch(recipe: Recipe) -> Finding | None:
    """A small batch with the rate of a large one.

    Ott et al. 2018, https://arxiv.org/abs/1806.00187, 3.2: larger batches bear, and need, higher rates; here the rate
    is taken to go with the root of the batch and of 1/width, from that of https://arxiv.org/abs/1706.03762, 5.
    """
    alike = recipe.adam and recipe.transformer and not recipe.recurrent
    if not alike or recipe.width is None or recipe.width < LARGE or recipe.tokens is None:
        return None
    peak, width, tokens = REFERENCE
    fitting = peak * math.sqrt(width / recipe.width * recipe.tokens / tokens)
    if recipe.highest <= TIMES_OF_BATCH * fitting:
        return None
    return warning(
        f"train.batch_tokens: with no more than {recipe.tokens:,} tokens an update a rate of {recipe.highest:.2g} is "
        f"high: published recipes would have about {fitting:.1g}; raise train.accumulate or lower the rate"
    )


def no_clipping(recipe: Recipe) -> Finding | None:
    """A recurrent model whose gradients may explode; Pascanu et al. 2013, https://arxiv.org/abs/1211.5063, 3.2."""
    if not recipe.recurrent or recipe.clipped:
        return None
    return warning("train.clip: gradients of recurrent layers explode now and then, and nothing cuts them; set clip: 1")


def few_validations(recipe: Recipe) -> Finding | None:
    """A training that is validated at its end only."""
    if recipe.validate_every <= recipe.steps:
        return None
    return note(
        f"train.validate_every: training has {recipe.steps:,} steps and is validated every {recipe.validate_every:,}, "
        "so once, at the end"
    )


def idle_patience(recipe: Recipe) -> Finding | None:
    """A patience that can't end anything, or that may end training while its rate still rises."""
    if recipe.patience is None:
        return None
    waits = recipe.patience * recipe.validate_every
    validations = recipe.steps // recipe.validate_every
    if recipe.patience >= validations:
        return note(f"train.patience: {recipe.patience} of {validations} validations never pass before training ends")
    if waits < min(recipe.rising, recipe.steps):
        return warning(
            f"train.patience: training may end after {waits:,} steps without a better validation, while the rate rises "
            f"until step {recipe.rising:,}; set patience to {recipe.rising // recipe.validate_every + 1} or more"
        )
    return None


CHECKS = (no_warm_up, long_warm_up, high_rate, rate_for_batch, no_clipping, few_validations, idle_patience)


def check_recipe(config: Config) -> Iterator[Finding]:
    """Every check of the recipe."""
    recipe = Recipe.of(config)
    yield from (finding for check in CHECKS if (finding := check(recipe)))


def _some_steps(last: int, warmup: int) -> list[int]:
    """The first thousand steps, the last of a warm-up and, farther and farther apart, others up to `last`."""
    far = np.geomspace(1, last, 2000).astype(np.int64).tolist()
    return sorted({*range(1, min(last, 1000) + 1), max(1, warmup), *far})


def _width(model: Any) -> int | None:
    """The size of the embedding, which is a Transformer's width."""
    spec = as_spec(model)
    size = getattr(spec.parameters.get("embedding"), "size", None) if isinstance(spec, Spec) else None
    return size if isinstance(size, int) else None
