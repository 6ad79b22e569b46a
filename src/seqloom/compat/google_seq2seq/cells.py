"""The `rnn_cell` block of their recurrent encoders and decoders, and TensorFlow's cells."""

from __future__ import annotations

from dataclasses import replace

from seqloom.compat.google_seq2seq.answers import answers
from seqloom.compat.google_seq2seq.rows import Family, Named, Part, Row
from seqloom.compat.google_seq2seq.said import Answers, Report, Said

BLOCK = (
    Row("rnn_cell.cell_class", "BasicLSTMCell", "`cell`"),
    Row("rnn_cell.cell_params", {"num_units": 128}, "`size`, and `cell`'s own"),
    Row("rnn_cell.dropout_input_keep_prob", 1.0, "`dropout`, which is what they don't keep"),
    Row("rnn_cell.dropout_output_keep_prob", 1.0, "`output_dropout`, which is what they don't keep"),
    Row("rnn_cell.num_layers", 1, "`layers`"),
    Row("rnn_cell.residual_connections", False, "`residual`; of one layer they had none"),
    Row("rnn_cell.residual_combiner", "add", "`residual`", choices=("add", "concat", "mean")),
    Row("rnn_cell.residual_dense", False, "`dense`"),
    Row("init_scale", 0.04, "`uniform`"),
)

NUM_UNITS = Row("num_units", 128, "`size`")
ACTIVATION = "tanh is built into the cells here; leave it out"
COMMON = (
    NUM_UNITS,
    Row("input_size", None, "nothing", type=int, notice="TensorFlow ignored this, too"),
    Row("activation", "tanh", "refused", refused=ACTIVATION),
    Row("reuse", None, "nothing", type=bool, notice="weights are shared by name nowhere here"),
)
STATE = Row("state_is_tuple", True, "nothing", notice="states always have their parts beside each other here")
FORGET = Row("forget_bias", 1.0, "`cell.forget_bias`")
LSTM = (
    *COMMON,
    STATE,
    FORGET,
    Row("use_peepholes", False, "`cell.peepholes`"),
    Row("cell_clip", None, "refused", type=float, refused="cells are not clipped here; train.clip bounds the gradient"),
    Row("initializer", None, "refused", type=str, refused="init_scale says from where weights are drawn"),
    Row("num_proj", None, "refused", type=int, refused="states are not projected here; choose a smaller num_units"),
    Row("proj_clip", None, "refused", type=float, refused="states are not projected here; leave it out"),
    Row("num_unit_shards", None, "nothing", type=int, notice="weights are kept whole here"),
    Row("num_proj_shards", None, "nothing", type=int, notice="weights are kept whole here"),
)
LAYER_NORM = (
    *COMMON,
    FORGET,
    Row("layer_norm", True, "refused", refused="this cell always normalises; choose BasicLSTMCell"),
    Row("norm_gain", 1.0, "refused", refused="gains start at 1 here; leave it out"),
    Row("norm_shift", 0.0, "refused", refused="shifts start at 0 here; leave it out"),
    Row("dropout_keep_prob", 1.0, "`cell.dropout`, which is what they don't keep"),
    Row("dropout_prob_seed", None, "nothing", type=int, notice="seed decides everything random here"),
)


def _gru(own: Answers, report: Report) -> Part:
    return {"class": "GRUCell", "reset": "before", "gate_bias": 1.0}


def _lstm(own: Answers, report: Report) -> Part:
    peepholes = own.get("use_peepholes", own.get("use_peephole", Said(False)))
    return {"class": "LSTMCell", "forget_bias": own["forget_bias"], "peepholes": peepholes}


def _layer_norm(own: Answers, report: Report) -> Part:
    dropped = left_out(own["dropout_keep_prob"], report)
    return {"class": "LayerNormLSTMCell", "forget_bias": own["forget_bias"], "dropout": dropped}


def _plain(own: Answers, report: Report) -> Part:
    return {"class": "RNNCell"}


def _refused(name: str, why: str) -> Named:
    return Named(name, "refused", refused=f"{why}; use LSTMCell or GRUCell")


_WRAPPER = "there is no such wrapper here: layers, dropout and residual are parameters of the encoder and the decoder"

CELLS = Family(
    "cell",
    ("tensorflow.contrib.rnn", "tensorflow.nn.rnn_cell", "tensorflow.contrib.rnn.rnn_cell", "seq2seq.contrib.rnn_cell"),
    (
        Named("BasicRNNCell", "`RNNCell`", COMMON, _plain),
        Named("GRUCell", "`GRUCell`, `reset: before`, `gate_bias: 1.0`", COMMON, _gru),
        Named("BasicLSTMCell", "`LSTMCell`", (*COMMON, STATE, FORGET), _lstm),
        Named("LSTMCell", "`LSTMCell`", LSTM, _lstm),
        Named("LayerNormBasicLSTMCell", "`LayerNormLSTMCell`", LAYER_NORM, _layer_norm),
        Named("GRUBlockCell", "`GRUCell`, the same in one kernel", (replace(NUM_UNITS, key="cell_size"),), _gru),
        Named(
            "LSTMBlockCell",
            "`LSTMCell`, the same in one kernel",
            (NUM_UNITS, FORGET, Row("use_peephole", False, "`cell.peepholes`")),
            _lstm,
        ),
        _refused("CoupledInputForgetGateLSTMCell", "there is no cell with coupled gates here"),
        _refused("GridLSTMCell", "there is no cell over a grid of frequencies here"),
        _refused("BidirectionalGridLSTMCell", "there is no cell over a grid of frequencies here"),
        _refused("TimeFreqLSTMCell", "there is no cell over frequencies here"),
        _refused("UGRNNCell", "there is no update-gate cell here"),
        _refused("IntersectionRNNCell", "there is no intersection cell here"),
        _refused("PhasedLSTMCell", "there is no cell with an oscillating gate here"),
        _refused("NASCell", "there is no such cell here"),
        _refused("AttentionCellWrapper", "attention over a cell's own past is not here"),
        *(
            Named(name, "refused", refused=_WRAPPER)
            for name in (
                "MultiRNNCell",
                "ExtendedMultiRNNCell",
                "DropoutWrapper",
                "ResidualWrapper",
                "HighwayWrapper",
                "DeviceWrapper",
                "EmbeddingWrapper",
                "InputProjectionWrapper",
                "OutputProjectionWrapper",
            )
        ),
    ),
)


def recurrent(given: Answers, report: Report) -> Part:
    """The keys of an encoder or a decoder of ours that their `rnn_cell` block says."""
    chosen = CELLS.find(given["rnn_cell.cell_class"], report)
    if chosen is None:
        return {}
    params = given["rnn_cell.cell_params"]
    written = params if params.place else Said(None)  # not every cell calls its size num_units
    own = answers(written, chosen.rows, report, owner=chosen.name)
    return {
        "cell": chosen.make(own, report),
        "size": own["cell_size" if "cell_size" in own else "num_units"],
        "layers": given["rnn_cell.num_layers"],
        "dropout": left_out(given["rnn_cell.dropout_input_keep_prob"], report),
        "output_dropout": left_out(given["rnn_cell.dropout_output_keep_prob"], report),
        "residual": _residual(given),
        "dense": given["rnn_cell.residual_dense"].to(lambda dense: dense and _residual(given).value != "none"),
        "uniform": given["init_scale"],
    }


def _residual(given: Answers) -> Said:
    wanted = given["rnn_cell.residual_connections"]
    if not wanted.value:
        return wanted.to(lambda value: "none")
    if given["rnn_cell.num_layers"].value == 1:
        return wanted.to(lambda value: "none", "google/seq2seq joined nothing where there is one layer")
    return given["rnn_cell.residual_combiner"].to(str, "residual_connections is true")


def left_out(kept: Said, report: Report) -> Said:
    """The dropout rate of a probability to keep."""
    if not 0 < kept.value <= 1:
        report.problem(kept.place, f"expected a probability to keep, above 0 and at most 1, got {kept.value}")
    return kept.to(lambda share: round(1 - share, 10))
