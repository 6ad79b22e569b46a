"""Their optimizers and the decay of their learning rate."""

from __future__ import annotations

import math

from seqloom.compat.google_seq2seq.answers import answers
from seqloom.compat.google_seq2seq.rows import Family, Named, Part, Row
from seqloom.compat.google_seq2seq.said import Answers, Report, Said

FOREVER = 2**31 - 1
FROM_ZERO = "google/seq2seq counted from 0 where 1 is the first step here"
ONE_PROCESS = "one process trains here; a larger batch_size, or train.accumulate, does what several replicas did"
OPTIMIZER = (
    Row("optimizer.name", "Adam", "`train.optimizer`"),
    Row("optimizer.learning_rate", 1e-4, "`train.schedule.peak`"),
    Row("optimizer.params", {}, "`train.optimizer`'s own"),
    Row("optimizer.lr_decay_type", "", "`train.schedule`"),
    Row("optimizer.lr_decay_steps", 100, "`train.schedule.every`"),
    Row("optimizer.lr_decay_rate", 0.99, "`train.schedule.decay`"),
    Row("optimizer.lr_start_decay_at", 0, "`train.schedule.start`, one more since they counted from 0"),
    Row("optimizer.lr_stop_decay_at", FOREVER, "`train.schedule.stop`, one more likewise"),
    Row("optimizer.lr_min_learning_rate", 1e-12, "`train.schedule.floor`"),
    Row("optimizer.lr_staircase", False, "`train.schedule.staircase`"),
    Row("optimizer.clip_gradients", 5.0, "`train.clip`", least=0),
    Row("optimizer.sync_replicas", 0, "refused", refused=ONE_PROCESS),
    Row("optimizer.sync_replicas_to_aggregate", 0, "refused", refused=ONE_PROCESS),
)

SHARED = (
    Row("use_locking", False, "nothing", notice="nothing else changes the weights here, so that no lock is needed"),
    Row("name", "", "nothing", notice="an operation has no name here"),
)
ADAM = (
    Row("beta1", 0.9, "`betas`"),
    Row("beta2", 0.999, "`betas`"),
    Row("epsilon", 1e-8, "`epsilon`"),
    *SHARED,
)
FTRL = (
    Row("learning_rate_power", -0.5, "`learning_rate_power`"),
    Row("initial_accumulator_value", 0.1, "`initial_accumulator`"),
    Row("l1_regularization_strength", 0.0, "`l1`"),
    Row("l2_regularization_strength", 0.0, "`l2`"),
    *SHARED,
)
RMSPROP = (
    Row("decay", 0.9, "`decay`"),
    Row("momentum", 0.0, "`momentum`"),
    Row("epsilon", 1e-10, "`epsilon`"),
    Row("centered", False, "refused", refused="the mean of gradients is not subtracted here; use Adam"),
    *SHARED,
)
MOMENTUM = (Row("momentum", None, "`momentum`", type=float), Row("use_nesterov", False, "`nesterov`"), *SHARED)
ADAGRAD = (Row("initial_accumulator_value", 0.1, "`initial_accumulator`"), *SHARED)


def _adam(own: Answers, report: Report) -> Part:
    return {"class": "Adam", "betas": [own["beta1"], own["beta2"]], "epsilon": own["epsilon"]}


def _adagrad(own: Answers, report: Report) -> Part:
    return {"class": "Adagrad", "initial_accumulator": own["initial_accumulator_value"]}


def _ftrl(own: Answers, report: Report) -> Part:
    return {
        "class": "Ftrl",
        "learning_rate_power": own["learning_rate_power"],
        "initial_accumulator": own["initial_accumulator_value"],
        "l1": own["l1_regularization_strength"],
        "l2": own["l2_regularization_strength"],
    }


def _momentum(own: Answers, report: Report) -> Part:
    return {"class": "SGD", "momentum": own["momentum"], "nesterov": own["use_nesterov"]}


def _rmsprop(own: Answers, report: Report) -> Part:
    keys = ("decay", "momentum", "epsilon")
    return {"class": "RMSProp", **{key: own[key] for key in keys}, "initial_accumulator": Said(1.0)}


OPTIMIZERS = Family(
    "optimizer",
    (),
    (
        Named("Adagrad", "`Adagrad`", ADAGRAD, _adagrad),
        Named("Adam", "`Adam`", ADAM, _adam),
        Named("Ftrl", "`Ftrl`", FTRL, _ftrl),
        Named("Momentum", "`SGD`", MOMENTUM, _momentum),
        Named("RMSProp", "`RMSProp`", RMSPROP, _rmsprop),
        Named("SGD", "`SGD`", SHARED, lambda own, report: {"class": "SGD"}),
    ),
)


def _exponential(given: Answers, report: Report) -> Part:
    return {"class": "Exponential", "decay": given["optimizer.lr_decay_rate"]}


def _natural(given: Answers, report: Report) -> Part:
    rate = given["optimizer.lr_decay_rate"]
    return {"class": "Exponential", "decay": rate.to(lambda rate: math.exp(-rate), f"e to the power of -{rate.value}")}


def _inverse_time(given: Answers, report: Report) -> Part:
    return {"class": "InverseTime", "decay": given["optimizer.lr_decay_rate"]}


def _no_decay(name: str) -> Named:
    why = "google/seq2seq could not call it, either"
    return Named(
        name, "refused", refused=f"{why}; use exponential_decay, inverse_time_decay, or train.schedule: Cosine"
    )


DECAYS = Family(
    "decay",
    ("tensorflow.train",),
    (
        Named("exponential_decay", "`Exponential`", (), _exponential),
        Named("natural_exp_decay", "`Exponential`, `decay` = e^-rate", (), _natural),
        Named("inverse_time_decay", "`InverseTime`", (), _inverse_time),
        _no_decay("polynomial_decay"),
        _no_decay("piecewise_constant"),
    ),
)


def optimizer(given: Answers, report: Report) -> Part:
    """`train.optimizer`."""
    chosen = OPTIMIZERS.find(given["optimizer.name"], report)
    if chosen is None:
        return {}
    params = given["optimizer.params"]
    own = answers(params, chosen.rows, report, owner=chosen.name)
    if chosen.name == "Momentum" and own["momentum"].value is None:
        place = params.place or given["optimizer.name"].place
        report.problem(place, "Momentum needs optimizer.params: {momentum: ...}, such as 0.9")
    return {} if report.problems else chosen.make(own, report)


def schedule(given: Answers, report: Report) -> Part:
    """`train.schedule`."""
    peak, kind = given["optimizer.learning_rate"], given["optimizer.lr_decay_type"]
    if not kind.value:
        return {"class": "Constant", "peak": peak}
    chosen = DECAYS.find(kind, report)
    if chosen is None:
        return {}
    return {
        **chosen.make(given, report),
        "peak": peak,
        "every": given["optimizer.lr_decay_steps"],
        "start": given["optimizer.lr_start_decay_at"].to(lambda step: step + 1, FROM_ZERO),
        "stop": given["optimizer.lr_stop_decay_at"].to(lambda step: None if step >= FOREVER else step + 1, FROM_ZERO),
        "floor": given["optimizer.lr_min_learning_rate"],
        "staircase": given["optimizer.lr_staircase"],
    }
