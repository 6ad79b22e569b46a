"""How each toolkit is told to train the same model on the same corpus with the same batches."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from peers.corpus import DATA, Corpus

WIDTH, INNER, LAYERS, HEADS, BATCH = 256, 1024, 3, 4, 2048
NEVER = 10_000_000  # steps
EVERY = 5  # steps between two lines of a log
PEERS = ("fairseq", "eole", "joeynmt")


@dataclass(frozen=True)
class System:
    """A toolkit in one precision."""

    toolkit: str
    precision: str = "float32"

    @property
    def name(self) -> str:
        return f"{self.toolkit} {self.precision}"

    def command(self, model: str, corpus: Corpus, environment: Path, threads: int) -> list[str]:
        """The words behind `observed.py NAME FILE`; whatever files they need are written first."""
        folder = corpus.folder / f"{self.toolkit}-{model}-{self.precision}-{threads}"
        folder.mkdir(parents=True, exist_ok=True)
        if self.toolkit == "seqloom":
            return ["train", str(recipe(model, folder, self.precision, threads)), "-o", str(folder / "run")]
        if self.toolkit == "fairseq":
            words = [str(corpus.binarise(environment)), *FAIRSEQ[model], *FAIRSEQ_TRAINING]
            return words + (["--bf16"] if self.precision == "bfloat16" else []) + ["--save-dir", str(folder)]
        file = folder / "config.yaml"  # JSON is YAML
        making = eole if self.toolkit == "eole" else joeynmt
        file.write_text(json.dumps(making(model, corpus, folder, self.precision), indent=1), "utf8")
        return ["train", "--config", str(file)] if self.toolkit == "eole" else ["train", str(file), "--skip-test"]

    def python(self, environment: Path) -> str:
        return sys.executable if self.toolkit == "seqloom" else str(environment / "bin" / "python")


def recipe(model: str, folder: Path, precision: str = "auto", threads: int = 1) -> Path:
    """Seqloom's own YAML for a model, in a folder.  The cache is shared by all of them, beside that folder."""
    text = f"""\
task: translation
data:
  train: {{source: "{DATA}/train.en.xz", target: "{DATA}/train.de.xz"}}
  valid: {{source: "{DATA}/val.en", target: "{DATA}/val.de"}}
  cache: "{folder.parent}/cache"
tokenizer: {{class: SentencePiece, size: 8000, joint: true}}
model:
  class: EncoderDecoder
  embedding: {{size: {WIDTH}, tie: all}}
{SEQLOOM[model]}
train:
  steps: {NEVER}
  batch_tokens: {BATCH}
  optimizer: {{class: Adam, betas: [0.9, 0.98]}}
  schedule: {{class: InverseSquareRoot, peak: 5.0e-4, warmup: 4000}}
  label_smoothing: 0.1
  precision: {precision}
  threads: {threads}
  device: cpu
  log_every: {EVERY}
  validate_every: {NEVER}
  checkpoint_every: {NEVER}
"""
    file = folder / "recipe.yml"
    file.write_text(text, "utf8")
    return file


SEQLOOM = {
    "transformer": f"""\
  encoder: {{class: TransformerEncoder, layers: {LAYERS}, heads: {HEADS}, feedforward: {INNER}, dropout: 0.1}}
  decoder: {{class: TransformerDecoder, layers: {LAYERS}, heads: {HEADS}, feedforward: {INNER}, dropout: 0.1}}""",
    "lstm": f"""\
  encoder: {{class: RNNEncoder, cell: lstm, size: {WIDTH // 2}, dropout: 0.1}}
  decoder:
    class: InputFeedingDecoder
    cell: lstm
    size: {WIDTH}
    feed: features
    dropout: 0.1
    attention: {{class: GeneralAttention, compatibility: General}}""",
}

FAIRSEQ_TRAINING = [
    *("--task", "translation", "--source-lang", "en", "--target-lang", "de", "--share-all-embeddings", "--cpu"),
    *("--criterion", "label_smoothed_cross_entropy", "--label-smoothing", "0.1", "--dropout", "0.1"),
    *("--optimizer", "adam", "--adam-betas", "(0.9, 0.98)", "--clip-norm", "1.0", "--lr", "5e-4"),
    *("--lr-scheduler", "inverse_sqrt", "--warmup-updates", "4000", "--max-update", str(NEVER)),
    *("--max-tokens", str(BATCH), "--required-batch-size-multiple", "1", "--num-workers", "0", "--seed", "1"),
    *("--disable-validation", "--no-save", "--log-format", "json", "--log-interval", str(EVERY)),
]
FAIRSEQ = {
    "transformer": [
        *("--arch", "transformer", "--encoder-normalize-before", "--decoder-normalize-before"),
        *("--encoder-layers", str(LAYERS), "--decoder-layers", str(LAYERS)),
        *("--encoder-embed-dim", str(WIDTH), "--decoder-embed-dim", str(WIDTH)),
        *("--encoder-ffn-embed-dim", str(INNER), "--decoder-ffn-embed-dim", str(INNER)),
        *("--encoder-attention-heads", str(HEADS), "--decoder-attention-heads", str(HEADS)),
    ],
    "lstm": [
        *("--arch", "lstm", "--encoder-bidirectional", "--encoder-layers", "1", "--decoder-layers", "1"),
        *("--encoder-embed-dim", str(WIDTH), "--encoder-hidden-size", str(WIDTH // 2)),
        *("--decoder-embed-dim", str(WIDTH), "--decoder-hidden-size", str(WIDTH)),
        *("--decoder-out-embed-dim", str(WIDTH), "--decoder-attention", "1"),
    ],
}


def eole(model: str, corpus: Corpus, folder: Path, precision: str) -> dict[str, object]:
    vocabulary = str(corpus.folder / "pieces.txt")
    data = {"train": {"path_src": str(corpus.folder / "train.en"), "path_tgt": str(corpus.folder / "train.de")}}
    embeddings = {"word_vec_size": WIDTH}
    shape = {
        "transformer": {
            "architecture": "transformer",
            "layers": LAYERS,
            "heads": HEADS,
            "hidden_size": WIDTH,
            "transformer_ff": INNER,
            "embeddings": embeddings | {"position_encoding_type": "SinusoidalInterleaved"},
        },
        "lstm": {
            "architecture": "custom",  # "rnn" would make the encoder unidirectional, whatever is asked for
            "layers": 1,
            "hidden_size": WIDTH,
            "input_feed": 1,
            "embeddings": embeddings | {"position_encoding_type": None},  # which are on by default
            "encoder": {"encoder_type": "brnn", "rnn_type": "LSTM"},
            "decoder": {"decoder_type": "rnn", "rnn_type": "LSTM", "global_attention": "general"},
        },
    }[model]
    training = {
        "world_size": 0,
        "gpu_ranks": [],
        "num_workers": 0,
        "bucket_size": 30_000,
        "batch_type": "tokens",
        "batch_size": BATCH,
        "normalization": "tokens",
        "accum_count": [1],
        "compute_dtype": {"float32": "fp32", "bfloat16": "bf16"}[precision],
        "optim": "adam",
        "adam_beta2": 0.98,
        "learning_rate": 5e-4,
        "max_grad_norm": 1.0,
        "dropout": [0.1],
        "attention_dropout": [0.0],
        "label_smoothing": 0.1,
        "log_attention_entropy": False,  # on by default, and extra work
        "train_steps": NEVER,
        "valid_steps": NEVER,
        "save_checkpoint_steps": NEVER,
        "model_path": str(folder / "model"),
    }
    return {
        "seed": 1,
        "report_every": EVERY,
        "share_vocab": True,
        "src_vocab": vocabulary,
        "tgt_vocab": vocabulary,
        "save_data": str(folder / "data"),
        "data": data,
        "transforms": [],
        "training": training,
        "model": shape | {"share_embeddings": True, "share_decoder_embeddings": True},
    }


def joeynmt(model: str, corpus: Corpus, folder: Path, precision: str) -> dict[str, object]:
    if precision != "float32":
        raise ValueError(f"JoeyNMT trains in float32 on the processor, not in {precision}")
    side = {"level": "word", "lowercase": False, "voc_file": str(corpus.folder / "pieces.txt")}
    embeddings = {"embedding_dim": WIDTH, "dropout": 0.1}
    attended = {"num_layers": LAYERS, "num_heads": HEADS, "hidden_size": WIDTH, "ff_size": INNER, "dropout": 0.1}
    recurrent = {"type": "recurrent", "rnn_type": "lstm", "num_layers": 1, "dropout": 0.1, "embeddings": embeddings}
    encoder, decoder = {
        "transformer": 2
        * ({"type": "transformer", "layer_norm": "pre", "embeddings": embeddings | {"scale": True}} | attended,),
        "lstm": (
            recurrent | {"hidden_size": WIDTH // 2, "bidirectional": True},
            recurrent
            | {"hidden_size": WIDTH, "attention": "luong", "input_feeding": True}
            | {"hidden_dropout": 0.1, "init_hidden": "bridge"},
        ),
    }[model]
    training = {
        "random_seed": 1,
        "optimizer": "adam",
        "adam_betas": [0.9, 0.98],
        "normalization": "tokens",
        "scheduling": "warmupinversesquareroot",
        "learning_rate": 5e-4,
        "learning_rate_warmup": 4000,
        "clip_grad_norm": 1.0,
        "label_smoothing": 0.1,
        "batch_size": BATCH,
        "batch_type": "token",
        "epochs": NEVER,
        "validation_freq": NEVER,
        "logging_freq": EVERY,
        "shuffle": True,
        "overwrite": True,
    }
    return {
        "name": "peer",
        "joeynmt_version": "2.3.0",
        "model_dir": str(folder / "model"),
        "use_cuda": False,
        "data": {
            "train": str(corpus.folder / "train"),
            "dev": str(corpus.folder / "valid"),
            "dataset_type": "plain",
            "src": {"lang": "en"} | side,
            "trg": {"lang": "de"} | side,
        },
        "testing": {"beam_size": 1},
        "training": training | {"model_dir": str(folder / "model")},
        "model": {
            "initializer": "xavier_uniform",
            "tied_embeddings": True,
            "tied_softmax": True,
            "encoder": encoder,
            "decoder": decoder,
        },
    }
