"""The flags of their two programs, which a file of theirs may set as well."""

from __future__ import annotations

from seqloom.compat.google_seq2seq.rows import Row

ONE_PROCESS = "one process trains here, on the device that train.device names"

TRAIN = (
    Row("config_paths", "", "the files to read, separated by commas; later ones change earlier ones"),
    Row("hooks", [], "`hooks`"),
    Row("metrics", [], "`task.metrics`"),
    Row("model", "", "`model`"),
    Row("model_params", {}, "`model`, `tokenizer`, `train`, `search`"),
    Row("input_pipeline_train", {}, "`data.train`"),
    Row("input_pipeline_dev", {}, "`data.valid`; without it some of `data.train` is held out"),
    Row(
        "buckets",
        None,
        "nothing: sentences of like length always share a batch",
        type=str,
        notice="sentences of like length share a batch here in any case, so that no buckets are needed",
    ),
    Row("batch_size", 16, "`train.batch_sentences`", least=1),
    Row("output_dir", None, "`-o`, the run directory", type=str),
    Row(
        "schedule",
        "continuous_train_and_eval",
        "training and validating in turns is all there is",
        choices=("continuous_train_and_eval", "train_and_evaluate"),
    ),
    Row("train_steps", None, "`train.steps`; 1,000,000 where they went on for ever", type=int, least=1),
    Row("eval_every_n_steps", 1000, "`train.validate_every`", least=1),
    Row("tf_random_seed", None, "`seed`", type=int),
    Row("save_checkpoints_secs", None, "`train.checkpoint_seconds`; 600 if neither is given", type=int, least=0),
    Row("save_checkpoints_steps", None, "`train.checkpoint_every`", type=int, least=0),
    Row("keep_checkpoint_max", 5, "`train.keep_last`", least=0),
    Row(
        "keep_checkpoint_every_n_hours",
        4,
        "nothing: the best checkpoint is kept besides the last ones",
        notice="the best checkpoint is kept besides the last ones, and no others",
    ),
    Row(
        "gpu_memory_fraction",
        1.0,
        "nothing: PyTorch takes memory as it needs it",
        notice="PyTorch takes the GPU's memory as it needs it",
    ),
    Row(
        "gpu_allow_growth",
        False,
        "nothing: PyTorch takes memory as it needs it",
        notice="PyTorch takes the GPU's memory as it needs it",
    ),
    Row(
        "log_device_placement",
        False,
        "refused",
        refused=f"nothing is placed by itself here: {ONE_PROCESS}; leave this out",
    ),
)

INFER = (
    Row("tasks", [], "what is to be written: see the tasks"),
    Row("config_path", None, "the file of these flags; also several, as `--config-paths`", type=str),
    Row("input_pipeline", {}, "the sources to read"),
    Row("model_dir", None, "the run directory", type=str),
    Row("checkpoint_path", None, "the checkpoint: best, last, a step, or a path that ends in one", type=str),
)

# Ours, for whoever has a model's file and text, and no file about the text.
EXTRA = (
    Row("train_source", [], "`data.train.source`"),
    Row("train_target", [], "`data.train.target`"),
    Row("dev_source", [], "`data.valid.source`"),
    Row("dev_target", [], "`data.valid.target`"),
    Row("vocab_source", "", "`tokenizer.source`"),
    Row("vocab_target", "", "`tokenizer.target`"),
)

ALIASES = {"valid_source": "dev_source", "valid_target": "dev_target", "config_path": "config_paths"}
