"""Their inference tasks, which `seqloom infer` does."""

from __future__ import annotations

from seqloom.compat.google_seq2seq.metrics import POSTPROC
from seqloom.compat.google_seq2seq.rows import Family, Named, Row

TASKS = Family(
    "task",
    ("seq2seq.tasks", "seq2seq.tasks.decode_text", "seq2seq.tasks.dump_attention", "seq2seq.tasks.dump_beams"),
    (
        Named(
            "DecodeText",
            "`seqloom infer`, `seqloom translate`",
            (
                Row("delimiter", " ", "the tokenizer's delimiter"),
                POSTPROC,
                Row("unk_replace", False, "`search.unknown: copy`"),
                Row("unk_mapping", None, "`search.dictionary`", type=str),
            ),
        ),
        Named(
            "DumpAttention",
            "`seqloom infer`, `seqloom inspect`",
            (
                Row("output_dir", None, "the folder of attention_scores.npz and the pictures", type=str),
                Row("dump_plots", True, "whether there are pictures"),
                Row("dump_attention_no_plot", False, "no pictures; their page had it, their program not"),
                Row("dump_atention_no_plot", False, "no pictures, as their page spelt it"),
            ),
        ),
        Named(
            "DumpBeams",
            "`seqloom infer`, `seqloom inspect`",
            (Row("file", None, "the npz file of the beams", type=str),),
        ),
    ),
)
