"""Their training hooks."""

from __future__ import annotations

from seqloom.compat.google_seq2seq.answers import chosen, listed
from seqloom.compat.google_seq2seq.rows import Family, Named, Part, Row
from seqloom.compat.google_seq2seq.said import Answers, Report, Said, literal

ONE_PROCESS = "one process trains here, and waits for nobody"
_DELIMITER = "tokens are put together by the tokenizer here, as their delimiter says"
SAMPLE = (
    Row("every_n_secs", None, "`seconds`", type=int),
    Row("every_n_steps", 1000, "`every`; null where every_n_secs alone is given"),
    Row("source_delimiter", " ", "nothing: the tokenizer's delimiter", notice=_DELIMITER),
    Row("target_delimiter", " ", "nothing: the tokenizer's delimiter", notice=_DELIMITER),
)
COUNTER = (
    Row("every_n_steps", 100, "nothing: `train.log_every` says how often"),
    Row("every_n_secs", None, "nothing: `train.log_every` says how often", type=int),
)
RESTORE = (
    Row("prefix", "", "`prefix`, in our names: encoder or decoder"),
    Row(
        "checkpoint_path",
        "",
        "`run`, a run directory of Seqloom; TensorFlow's checkpoints can't be read",
        needed="checkpoint_path: a run directory of Seqloom",
    ),
)


def _trace(given: Answers, report: Report) -> Part:
    return {"class": "Trace", "step": given["step"]}


def _samples(given: Answers, report: Report) -> Part:
    seconds, steps = given["every_n_secs"], given["every_n_steps"]
    if seconds.value is None:
        return {"class": "Samples", "every": steps}
    return {"class": "Samples", "every": steps if steps.place else None, "seconds": seconds}


def _restore(given: Answers, report: Report) -> Part:
    path, prefix = given["checkpoint_path"], given["prefix"]
    report.notice(path, "this must be a run directory of Seqloom, since TensorFlow's checkpoints can't be read here")
    return {"class": "WarmStart", "run": path.to(literal), "prefix": prefix.to(_scope)}


def _scope(prefix: str) -> str:
    """Our name for one of their scopes, such as model/att_seq2seq/encode."""
    names = {"encode": "encoder", "decode": "decoder"}
    return next((names[part] for part in prefix.split("/") if part in names), prefix.strip("/"))


HOOKS = Family(
    "hook",
    ("seq2seq.training.hooks",),
    (
        Named("MetadataCaptureHook", "`Trace`", (Row("step", 10, "`step`"),), _trace),
        Named("TrainSampleHook", "`Samples`", SAMPLE, _samples),
        Named("PrintModelAnalysisHook", "`ModelReport`", (), lambda given, report: {"class": "ModelReport"}),
        Named("VariableRestoreHook", "`WarmStart`", RESTORE, _restore),
        Named(
            "DelayStartHook",
            "nothing: there are no other workers",
            (Row("delay_k", 500, "nothing: there are no other workers"),),
            notice=ONE_PROCESS,
        ),
        Named("SyncReplicasOptimizerHook", "nothing: there are no replicas", notice=ONE_PROCESS),
        Named(
            "TokensPerSecondCounter",
            "nothing: metrics.jsonl always says it",
            COUNTER,
            notice="tokens_per_second is in every line of metrics.jsonl",
        ),
    ),
)


def hooks(said: Said, report: Report) -> list[Part]:
    """`hooks`."""
    found = [pair for item in listed(said) if (pair := chosen(item, HOOKS, report))]
    return [part for named, given in found if (part := named.make(given, report))]
