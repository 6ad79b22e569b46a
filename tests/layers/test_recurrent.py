"""Cells are those of PyTorch and of their papers; a stack is its cells one by one."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from seqloom.encoders import RNNEncoder
from seqloom.layers.embedding import Embedding
from seqloom.layers.experts import MixtureOfExperts, NoisyTopKGate
from seqloom.layers.feedforward import PositionWise
from seqloom.layers.recurrent import (
    Cell,
    GRUCell,
    LayerNormLSTMCell,
    LSTMCell,
    RecurrentStack,
    RNNCell,
    at,
    reverse,
)
from seqloom.structures import Sequences

LENGTHS = torch.tensor([4, 1, 5])
SENTENCES = Sequences(torch.arange(15).view(3, 5) % 7, torch.arange(5)[None] < LENGTHS[:, None])
IN, SIZE = 3, 4


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def randomized(module: Any) -> Any:
    for seed, parameter in enumerate(module.parameters()):
        parameter.data = random(*parameter.shape, seed=seed + 10)
    return module.double().eval()


X, H, C = random(6, IN), random(6, SIZE, seed=1), random(6, SIZE, seed=2)


def gates(x: Tensor, order: list[int]) -> Tensor:
    """The rows of each gate, in another order."""
    parts = x.detach().chunk(len(order))
    return torch.cat([parts[i] for i in order])


def once(cell: Cell, *state: Tensor) -> tuple[Tensor, ...]:
    return cell(cell.project(X), state)  # type: ignore[no-any-return]


ORDER = {nn.GRUCell: [0, 1, 2], nn.LSTMCell: [1, 2, 3, 0], nn.RNNCell: [0]}  # of the gates there, as places here


@pytest.mark.parametrize(
    ("cell", "theirs"),
    [(GRUCell, nn.GRUCell), (LSTMCell, nn.LSTMCell), (RNNCell, nn.RNNCell)],
    ids=["gru", "lstm", "rnn"],
)
def test_a_cell_is_that_of_pytorch(cell: type[Cell], theirs: Any) -> None:
    ours, reference = randomized(cell(IN, SIZE)), theirs(IN, SIZE, dtype=torch.float64)
    reference.weight_ih.data = gates(ours.input.weight, ORDER[theirs])
    reference.weight_hh.data = gates(ours.recurrent.weight, ORDER[theirs])
    reference.bias_ih.data = gates(ours.input.bias, ORDER[theirs])
    nn.init.zeros_(reference.bias_hh)
    state = [random(6, SIZE, seed=seed) for seed in range(1, 1 + ours.values)]
    wanted = reference(X, tuple(state) if len(state) > 1 else state[0])
    assert_close(once(ours, *state), wanted if len(state) > 1 else (wanted,))


def test_a_gru_with_a_bias_inside_its_reset_gate_is_that_of_pytorch_with_all_its_biases() -> None:
    ours, reference = randomized(GRUCell(IN, SIZE, candidate_bias=True)), nn.GRUCell(IN, SIZE, dtype=torch.float64)
    reference.weight_ih.data, reference.bias_ih.data = ours.input.weight.data, ours.input.bias.data
    reference.weight_hh.data = ours.recurrent.weight.data
    reference.bias_hh.data = torch.cat([torch.zeros(2 * SIZE), ours.candidate_bias.data])
    assert_close(once(ours, H), (reference(X, H),))
    assert not torch.allclose(reference.bias_hh[-SIZE:], torch.zeros(SIZE, dtype=torch.float64))
    with pytest.raises(ValueError, match="candidate_bias is for reset: after"):
        GRUCell(IN, SIZE, reset="before", candidate_bias=True)


def test_a_gru_that_resets_before_is_that_of_the_paper() -> None:
    """Cho et al. 2014, equations 5 to 8, where z keeps the state; TensorFlow's GRUCell is the same."""
    cell, x, h = randomized(GRUCell(IN, SIZE, reset="before")), X, H
    Wr, Wz, W = cell.input.weight.chunk(3)
    Ur, Uz, U = cell.recurrent.weight.chunk(3)
    br, bz, b = cell.input.bias.chunk(3)
    r, z = torch.sigmoid(x @ Wr.T + h @ Ur.T + br), torch.sigmoid(x @ Wz.T + h @ Uz.T + bz)
    candidate = torch.tanh(x @ W.T + (r * h) @ U.T + b)
    assert_close(once(cell, h)[0], z * h + (1 - z) * candidate)
    assert not torch.allclose(once(randomized(GRUCell(IN, SIZE)), h)[0], once(cell, h)[0])


def test_a_lstm_with_peepholes_is_its_formula() -> None:
    """Gers and Schmidhuber 2000: i and f see the memory before, o the memory after."""
    cell, x, h, c = randomized(LSTMCell(IN, SIZE, peepholes=True)), X, H, C
    o, i, f, g = (x @ cell.input.weight.T + cell.input.bias + h @ cell.recurrent.weight.T).chunk(4, 1)
    po, pi, pf = cell.peepholes
    after = torch.sigmoid(f + pf * c) * c + torch.sigmoid(i + pi * c) * torch.tanh(g)
    assert_close(once(cell, h, c), (torch.sigmoid(o + po * after) * torch.tanh(after), after))


def test_a_layer_normalised_lstm_is_its_formula() -> None:
    cell, x, h, c = randomized(LayerNormLSTMCell(IN, SIZE)), X, H, C

    def norm(x: Tensor, which: int) -> Tensor:
        centred = x - x.mean(1, keepdim=True)
        deviation = (x.var(1, keepdim=True, unbiased=False) + 1e-5).sqrt()
        return centred / deviation * cell.gain[which] + cell.bias[which]

    parts = (x @ cell.input.weight.T + h @ cell.recurrent.weight.T).chunk(4, 1)
    o, i, f, g = (norm(part, which) for which, part in enumerate(parts))
    after = norm(torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g), 4)
    assert_close(once(cell, h, c), (torch.sigmoid(o) * torch.tanh(after), after))


@pytest.mark.parametrize(
    ("cell", "biases"),
    [
        (GRUCell(IN, SIZE), [0, 0, 0]),
        (GRUCell(IN, SIZE, gate_bias=1.0), [1, 1, 0]),
        (LSTMCell(IN, SIZE), [0, 0, 1, 0]),
        (LSTMCell(IN, SIZE, forget_bias=0.5), [0, 0, 0.5, 0]),
        (RNNCell(IN, SIZE), [0]),
    ],
)
def test_biases_start_where_they_should(cell: Cell, biases: list[float]) -> None:
    assert cell.input.bias.unflatten(0, (-1, SIZE)).mean(1).tolist() == biases
    assert cell.input.bias.unflatten(0, (-1, SIZE)).std(1).tolist() == [0] * len(biases)


CELLS = {
    "gru": GRUCell,
    "gru before": partial(GRUCell, reset="before"),
    "gru biased": partial(GRUCell, candidate_bias=True),
    "lstm": LSTMCell,
    "norm": LayerNormLSTMCell,
}


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_along_a_sequence_is_step_by_step_and_so_are_its_gradients(cell: Any) -> None:
    """Every output and every state counts, each with its own weight, so that no part of a gradient can hide."""
    one, found = randomized(cell(IN, SIZE)), {}
    weights = [weight for name, weight in one.named_parameters() if not name.startswith("input")]
    for way in ("along", "steps"):
        given = [random(6, 5, one.gates * SIZE, seed=2), *(random(6, SIZE, seed=s) for s in range(3, 3 + one.values))]
        projected, *state = (x.requires_grad_() for x in given)
        run = one.along if way == "along" else lambda *given: Cell.along(one, *given)
        values = run(projected, tuple(state))
        total = sum((value * random(6, 5, SIZE, seed=7 + i)).sum() for i, value in enumerate(values))
        found[way] = values, torch.autograd.grad(total, [projected, *state, *weights])
    assert_close(found["along"], found["steps"])


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_in_bfloat16_a_sequence_stays_near(cell: Any) -> None:
    one = randomized(cell(IN, SIZE)).float()
    x, start = random(6, 5, IN).float(), tuple(torch.zeros(6, SIZE) for _ in range(one.values))
    with torch.autocast("cpu", torch.bfloat16):
        values = one.along(one.project(x), start)
        values[0].float().sum().backward()
    assert values[0].dtype == torch.bfloat16
    assert_close(values[0].float(), one.along(one.project(x), start)[0], rtol=0, atol=0.1)
    assert one.recurrent.weight.grad.dtype == torch.float32


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("residual", ["none", "add", "concat", "mean"])
@pytest.mark.parametrize("dense", [False, True])
def test_a_stack_is_its_cells_one_by_one(cell: Any, residual: Any, dense: bool) -> None:
    stack = randomized(RecurrentStack(IN, cell=cell, size=SIZE, layers=3, residual=residual, dense=dense))
    x, start = random(6, 5, IN), stack.unflatten(random(6, stack.state_size, seed=5))
    outputs, states, _ = stack(x, start)
    entered: list[Any] = [stack.transform(x)]
    for depth, layer in enumerate(stack.cells):
        values = layer.along(layer.project(entered[-1]), start[depth])  # type: ignore[operator, union-attr]
        assert_close(values, states[depth])
        ways = entered if dense else entered[-1:]
        if residual == "concat":
            entered.append(torch.cat([values[0], *ways], -1))
        else:
            share = {"none": 0, "add": 1, "mean": 1 / len(ways)}[residual]
            entered.append(values[0] + share * sum(ways) if share else values[0])
    assert_close(outputs, entered[-1])
    assert outputs.shape == (6, 5, stack.output_size)


@pytest.mark.parametrize("residual", ["none", "add", "concat", "mean"])
def test_step_by_step_is_all_at_once(residual: Any) -> None:
    stack = randomized(RecurrentStack(IN, cell=LSTMCell, size=SIZE, layers=2, residual=residual))
    x, state = random(6, 5, IN), stack.unflatten(random(6, stack.state_size, seed=5))
    outputs, states, _ = stack(x, state)
    for place in range(5):
        output, state, _ = stack.step(x[:, place], state)
        assert_close(output, outputs[:, place])
        assert_close(state, at(states, torch.full((6,), place)))


def test_one_layer_has_no_way_round_it() -> None:
    plain, asked = (RecurrentStack(IN, cell=GRUCell, size=SIZE, residual=way) for way in ("none", "add"))  # type: ignore[arg-type]
    assert [p.shape for p in plain.parameters()] == [p.shape for p in asked.parameters()]


def test_dropout_acts_before_and_behind_each_layer() -> None:
    """Everything dropped before the first layer leaves its biases alone to speak; dropped behind, nothing is heard."""
    torch.manual_seed(0)
    x = torch.ones(2000, 1, IN)
    for options, share in (({"dropout": 0.25}, 0.25), ({"output_dropout": 0.5}, 0.5)):
        stack = RecurrentStack(IN, cell=RNNCell, size=SIZE, **options).train()
        outputs, states, _ = stack(x, stack.zeros(x))
        if "output_dropout" in options:
            assert abs((outputs == 0).float().mean() - share) < 0.02
            assert (states[0][0] != 0).all(), "the state keeps what the output lost"
        else:
            kinds = len({tuple(row) for row in outputs[:, 0].detach().tolist()})
            assert kinds == 2**IN, "each input is there or not"


@pytest.mark.parametrize("after", [1, 2])
def test_a_network_between_layers_has_a_way_round_it(after: int) -> None:
    network = partial(PositionWise, inner_size=5)
    stack = randomized(RecurrentStack(IN, cell=LSTMCell, size=SIZE, layers=3, between=network, between_after=after))
    x, start = random(6, 5, IN), stack.zeros(random(6, 5))
    wanted = x
    for depth, layer in enumerate(stack.cells, 1):
        wanted, *_ = layer.along(layer.project(wanted), start[depth - 1])  # type: ignore[operator, union-attr]
        if depth == after:
            wanted = wanted + stack.between.network(wanted, None)[0]
    assert_close(stack(x, start)[0], wanted)


def test_a_network_between_layers_needs_one_above_it() -> None:
    with pytest.raises(ValueError, match="between_after: 2 needs a layer above it, but there are 2 in all"):
        RecurrentStack(IN, cell=LSTMCell, size=SIZE, layers=2, between=PositionWise, between_after=2)
    with pytest.raises(ValueError, match="between_after: 3 needs a layer above it, but there are 2 in all"):
        RNNEncoder(Embedding(7, IN), size=SIZE, layers=2, between=PositionWise, between_after=3)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("meet", ["every_layer", "top"])
def test_the_encoders_penalty_is_what_its_gates_ask_for(meet: Any, bidirectional: bool) -> None:
    between = partial(MixtureOfExperts, experts=4, k=2, inner_size=6)
    encoder = RNNEncoder(
        Embedding(7, IN), size=SIZE, layers=2, meet=meet, bidirectional=bidirectional, between=between
    ).train()
    penalties: list[Any] = []
    gates = [part for part in encoder.modules() if isinstance(part, NoisyTopKGate)]
    for gate in gates:
        gate.register_forward_hook(lambda gate, args, routing: penalties.append((len(args[0]), routing.penalty)))
    penalty = encoder(SENTENCES).penalty
    assert len(gates) == (2 if meet == "top" and bidirectional else 1)
    assert [rows for rows, _ in penalties] == [10] * len(gates), "the padding is left out"
    assert_close(penalty, sum(value for _, value in penalties))
    assert penalty.requires_grad


def test_uniform_matrices_start_within_their_bounds() -> None:
    torch.manual_seed(0)
    stack = RecurrentStack(IN, cell=partial(LSTMCell, peepholes=True), size=30, layers=2, uniform=0.04)
    for name, parameter in stack.named_parameters():
        if "weight" in name:
            assert 0.038 < parameter.abs().max() <= 0.04
    assert stack.cells[0].input.bias.unique().tolist() == [0, 1], "biases stay"  # type: ignore[union-attr, operator]


@pytest.mark.parametrize("cell", [partial(LSTMCell, peepholes=True), LayerNormLSTMCell])
def test_uniform_leaves_rows_as_they_are_however_narrow_the_cells(cell: Any) -> None:
    """Peepholes, gains and biases: in narrow cells there are as many rows as features."""
    stacks = [RecurrentStack(IN, cell=cell, size=3, uniform=uniform) for uniform in (0.04, None)]
    one, other = (dict(stack.named_parameters()) for stack in stacks)
    for name in one:
        assert ("weight" in name) or torch.equal(one[name], other[name]), name


@pytest.mark.parametrize("meet", ["every_layer", "top"])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("layers", [1, 2])
def test_an_encoder_is_pytorchs_over_packed_sentences(cell: str, layers: int, meet: Any) -> None:
    """Outputs at real positions and last states; directions that meet at the top are two networks of PyTorch's."""
    factory = {"gru": GRUCell, "lstm": LSTMCell}[cell]
    encoder = randomized(RNNEncoder(Embedding(7, IN), cell=factory, size=SIZE, layers=layers, meet=meet, summary="all"))
    x = encoder.embedding(SENTENCES.ids)
    packed = nn.utils.rnn.pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    if meet == "every_layer":
        sides = [[level[d].cells[0] for level in encoder.levels] for d in range(2)]
        outputs, state = networks(cell, sides, packed)
    else:
        sides = [list(encoder.levels[0][d].cells) for d in range(2)]
        forwards = networks(cell, sides[:1], packed)
        turned = nn.utils.rnn.pack_padded_sequence(reverse(x, LENGTHS), LENGTHS, batch_first=True, enforce_sorted=False)
        backwards = networks(cell, sides[1:], turned)
        outputs = torch.cat([forwards[0], reverse(backwards[0], LENGTHS)], -1)
        state = [torch.stack([f, b], 1).flatten(0, 1) for f, b in zip(forwards[1], backwards[1], strict=True)]
    result = encoder(SENTENCES)
    assert_close(result.values[SENTENCES.mask], outputs[SENTENCES.mask])
    by_layer = torch.stack(state, 1).view(layers, 2, len(state), 3, SIZE)  # [layers, directions, values, B, SIZE]
    assert_close(result.summary, by_layer.permute(3, 0, 2, 1, 4).flatten(1))


def networks(name: str, sides: list[list[Any]], packed: Any) -> tuple[Tensor, list[Tensor]]:
    """What PyTorch's network with these cells says: outputs [B, S, D] and each value [layers * directions, B, SIZE]."""
    made, order = {"gru": (nn.GRU, [0, 1, 2]), "lstm": (nn.LSTM, [1, 2, 3, 0])}[name]
    network: Any = made(IN, SIZE, len(sides[0]), batch_first=True, bidirectional=len(sides) == 2, dtype=torch.float64)
    for cells, suffix in zip(sides, ("", "_reverse"), strict=False):
        for layer, cell in enumerate(cells):
            getattr(network, f"weight_ih_l{layer}{suffix}").data = gates(cell.input.weight, order)
            getattr(network, f"weight_hh_l{layer}{suffix}").data = gates(cell.recurrent.weight, order)
            getattr(network, f"bias_ih_l{layer}{suffix}").data = gates(cell.input.bias, order)
            nn.init.zeros_(getattr(network, f"bias_hh_l{layer}{suffix}"))
    outputs, state = network(packed)
    unpacked, _ = nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)
    return unpacked, list(state) if isinstance(state, tuple) else [state]


def test_residual_connections_need_one_direction() -> None:
    with pytest.raises(ValueError) as said:
        RNNEncoder(Embedding(7, IN), residual="add")
    assert str(said.value) == "residual connections go along one direction: they need meet: top"


def test_turning_round_twice_is_doing_nothing() -> None:
    for x in (random(3, 5, IN), random(3, 5), random(3, 5, 2, 2)):
        assert torch.equal(reverse(reverse(x, LENGTHS), LENGTHS), x)


def test_only_what_is_real_is_turned_round() -> None:
    x = random(3, 5, IN)
    turned = reverse(x, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        assert torch.equal(turned[row, :length], x[row, :length].flip(0))
        assert torch.equal(turned[row, length:], x[row, length:])
