"""Recurrent cells run along whole sequences, with their gradients written out.

Autograd would remember each small operation of each step, and add up the gradient of the recurrent weights step by
step.  Here a step keeps only what its gradient needs, and the weights' gradient is one product over all steps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

sigmoid_backward, tanh_backward = torch.ops.aten.sigmoid_backward, torch.ops.aten.tanh_backward


def gru(projected: Tensor, h: Tensor, weight: Tensor, *, reset_after: bool) -> Tensor:
    """The states [N, T, D] of a GRU after each of its projected inputs [N, T, 3D], from h [N, D]; weight [3D, D].

    Gates are reset, update, candidate.  The reset gate acts after the product with the weight, or before it.
    """
    weight, h = weight.to(projected.dtype), h.to(projected.dtype)
    function = _GRUResetAfter if reset_after else _GRUResetBefore
    return function.apply(projected.transpose(0, 1), h, weight).transpose(0, 1)  # type: ignore[no-any-return,no-untyped-call]


def lstm(projected: Tensor, h: Tensor, c: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs and memories [N, T, D] of an LSTM after each of its projected inputs [N, T, 4D]; weight [4D, D].

    Gates are output, input, forget, candidate.
    """
    dtype = projected.dtype
    outputs, memories = _LSTM.apply(projected.transpose(0, 1), h.to(dtype), c.to(dtype), weight.to(dtype))  # type: ignore[no-untyped-call]
    return outputs.transpose(0, 1), memories.transpose(0, 1)


class _GRUResetBefore(torch.autograd.Function):
    """r, z = s(x + U h);  c = tanh(x + U (r h));  h' = z h + (1 - z) c."""

    @staticmethod
    def forward(ctx: Any, projected: Tensor, h: Tensor, weight: Tensor) -> Tensor:
        (T, N, _), D = projected.shape, h.size(1)
        of_gates, of_candidate = weight[: 2 * D].t(), weight[2 * D :].t()
        gates, candidates = projected.new_empty(T, N, 2 * D), projected.new_empty(T, N, D)
        states = projected.new_empty(T + 1, N, D)
        states[0] = h
        for x, g, c, before, after in zip(projected, gates, candidates, states, states[1:], strict=False):
            torch.addmm(x[:, : 2 * D], before, of_gates, out=g).sigmoid_()
            torch.addmm(x[:, 2 * D :], g[:, :D] * before, of_candidate, out=c).tanh_()
            torch.lerp(c, before, g[:, D:], out=after)
        ctx.save_for_backward(gates, candidates, states, weight)
        return states[1:].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        gates, candidates, states, weight = ctx.saved_tensors
        (T, N, D), (given,) = candidates.shape, gradients
        of_gates, of_candidate = weight[: 2 * D], weight[2 * D :]
        of_input, dh = gates.new_empty(T, N, 3 * D), torch.zeros_like(candidates[0])
        dg = torch.empty_like(gates[0])
        for t in range(T - 1, -1, -1):
            g, c, before = gates[t], candidates[t], states[t]
            r, z = g[:, :D], g[:, D:]
            dh = dh + given[t]
            kept = dh * z
            dc = tanh_backward(dh - kept, c)
            da = dc @ of_candidate
            torch.mul(da, before, out=dg[:, :D])
            torch.mul(dh, before - c, out=dg[:, D:])
            dx = sigmoid_backward(dg, g)
            of_input[t, :, : 2 * D], of_input[t, :, 2 * D :] = dx, dc
            dh = torch.addmm(kept.addcmul_(da, r), dx, of_gates)
        earlier = states[:-1]
        rows = of_input.flatten(0, 1).t()
        of_weight = torch.cat(
            [rows[: 2 * D] @ earlier.flatten(0, 1), rows[2 * D :] @ (gates[..., :D] * earlier).flatten(0, 1)]
        )
        return of_input, dh, of_weight


class _GRUResetAfter(torch.autograd.Function):
    """r, z = s(x + U h);  c = tanh(x + r (U h));  h' = z h + (1 - z) c."""

    @staticmethod
    def forward(ctx: Any, projected: Tensor, h: Tensor, weight: Tensor) -> Tensor:
        (T, N, _), D = projected.shape, h.size(1)
        across = weight.t()
        gates, candidates = projected.new_empty(T, N, 2 * D), projected.new_empty(T, N, D)
        heard, states = projected.new_empty(T, N, D), projected.new_empty(T + 1, N, D)
        states[0] = h
        for x, g, c, u, before, after in zip(projected, gates, candidates, heard, states, states[1:], strict=False):
            recurrent = before @ across
            torch.add(x[:, : 2 * D], recurrent[:, : 2 * D], out=g).sigmoid_()
            u.copy_(recurrent[:, 2 * D :])
            torch.addcmul(x[:, 2 * D :], g[:, :D], u, out=c).tanh_()
            torch.lerp(c, before, g[:, D:], out=after)
        ctx.save_for_backward(gates, candidates, heard, states, weight)
        return states[1:].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        gates, candidates, heard, states, weight = ctx.saved_tensors
        (T, N, D), (given,) = candidates.shape, gradients
        of_recurrent, dh = gates.new_empty(T, N, 3 * D), torch.zeros_like(candidates[0])
        of_candidates, dg = torch.empty_like(candidates), torch.empty_like(gates[0])
        for t in range(T - 1, -1, -1):
            g, c, before, du = gates[t], candidates[t], states[t], of_recurrent[t]
            r, z = g[:, :D], g[:, D:]
            dh = dh + given[t]
            kept = dh * z
            dc = tanh_backward(dh - kept, c)
            torch.mul(dc, heard[t], out=dg[:, :D])
            torch.mul(dh, before - c, out=dg[:, D:])
            du[:, : 2 * D] = sigmoid_backward(dg, g)
            torch.mul(dc, r, out=du[:, 2 * D :])
            of_candidates[t] = dc
            dh = torch.addmm(kept, du, weight)
        of_input = torch.cat([of_recurrent[..., : 2 * D], of_candidates], -1)
        return of_input, dh, of_recurrent.flatten(0, 1).t() @ states[:-1].flatten(0, 1)


class _LSTM(torch.autograd.Function):
    """o, i, f = s(x + U h);  g = tanh(x + U h);  c' = f c + i g;  h' = o tanh(c')."""

    @staticmethod
    def forward(ctx: Any, projected: Tensor, h: Tensor, c: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        (T, N, _), D = projected.shape, h.size(1)
        across = weight.t()
        gates, outputs = projected.new_empty(T, N, 4 * D), projected.new_empty(T + 1, N, D)
        memories, shown = projected.new_empty(T + 1, N, D), projected.new_empty(T, N, D)
        outputs[0], memories[0] = h, c
        for t in range(T):
            g = torch.addmm(projected[t], outputs[t], across, out=gates[t])
            g[:, : 3 * D].sigmoid_()
            g[:, 3 * D :].tanh_()
            o, i, f, candidate = g.chunk(4, 1)
            after = torch.mul(f, memories[t], out=memories[t + 1]).addcmul_(i, candidate)
            torch.mul(o, torch.tanh(after, out=shown[t]), out=outputs[t + 1])
        ctx.save_for_backward(gates, outputs, memories, shown, weight)
        return outputs[1:].clone(), memories[1:].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        gates, outputs, memories, shown, weight = ctx.saved_tensors
        (T, _, D), (of_outputs, of_memories) = shown.shape, gradients
        of_input, dh, dc = torch.empty_like(gates), torch.zeros_like(shown[0]), torch.zeros_like(shown[0])
        dg = torch.empty_like(gates[0])
        for t in range(T - 1, -1, -1):
            g, dx = gates[t], of_input[t]
            o, i, f, candidate = g.chunk(4, 1)
            dh = dh + of_outputs[t]
            dc = dc + of_memories[t] + tanh_backward(dh * o, shown[t])
            torch.mul(dh, shown[t], out=dg[:, :D])
            torch.mul(dc, candidate, out=dg[:, D : 2 * D])
            torch.mul(dc, memories[t], out=dg[:, 2 * D : 3 * D])
            dx[:, : 3 * D] = sigmoid_backward(dg[:, : 3 * D], g[:, : 3 * D])
            dx[:, 3 * D :] = tanh_backward(dc * i, candidate)
            dh, dc = dx @ weight, dc * f
        return of_input, dh, dc, of_input.flatten(0, 1).t() @ outputs[:-1].flatten(0, 1)
