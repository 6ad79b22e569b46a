"""Recurrent cells run along whole sequences, with their gradients written out.

Autograd would remember each small operation of each step, and add up the gradient of the recurrent weights step by
step.  Here a step keeps only what its gradient needs; whatever does not wait for the step behind it is done for all
steps at once; and the weights' gradient is one product.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


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


def layer_norm_lstm(
    projected: Tensor, h: Tensor, c: Tensor, weight: Tensor, gain: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    """As `lstm`, with gates and memory normalised; gain and bias [5, D] are those of the four gates and the memory."""
    given = [x.to(projected.dtype) for x in (h, c, weight, gain, bias)]
    with torch.autocast(projected.device.type, enabled=False):
        outputs, memories = _LayerNormLSTM.apply(projected.transpose(0, 1), *given)  # type: ignore[no-untyped-call]
    return outputs.transpose(0, 1), memories.transpose(0, 1)


class _GRUResetBefore(torch.autograd.Function):
    """r, z = s(x + U h);  c = tanh(x + U (r h));  h' = z h + (1 - z) c."""

    @staticmethod
    def forward(ctx: Any, projected: Tensor, h: Tensor, weight: Tensor) -> Tensor:
        D, across = h.size(1), weight.t().contiguous()
        of_gates, of_candidate = across[:, : 2 * D], across[:, 2 * D :]
        gates, candidates, states = _room(projected, 2 * D), _room(projected, D), _room(projected, D, more=1)
        states[0] = h
        inputs = zip(projected[..., : 2 * D].unbind(), projected[..., 2 * D :].unbind(), strict=True)
        kept = zip(gates.unbind(), *_halves(gates), candidates.unbind(), states[1:].unbind(), strict=True)
        for (to_gates, to_candidate), (g, r, z, c, after) in zip(inputs, kept, strict=True):
            torch.addmm(to_gates, h, of_gates, out=g).sigmoid_()
            torch.addmm(to_candidate, r * h, of_candidate, out=c).tanh_()
            h = torch.lerp(c, h, z, out=after)
        ctx.save_for_backward(gates, candidates, states, weight)
        return states[1:].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        gates, candidates, states, weight = ctx.saved_tensors
        D, before, (r, z) = candidates.size(-1), states[:-1], gates.chunk(2, -1)
        of_gates, of_candidate = weight.split((2 * D, D))
        # how the gradient of a step's state becomes that of its update and candidate, and that of r h that of its reset
        by_state = torch.stack([(before - candidates) * z * (1 - z), (1 - z) * (1 - candidates**2)], -2)
        by_reset = before * r * (1 - r)
        of_input = _room(gates, 3 * D)
        out = of_input.view(*candidates.shape[:2], 3, D)
        rest, both = out[..., 1:, :], of_input[..., : 2 * D]
        views = (gradients[0], by_state, by_reset, r, z, out[..., 0, :], rest, both, of_input[..., 2 * D :])
        steps = list(zip(*(x.unbind() for x in views), strict=True))
        dh = torch.zeros_like(candidates[0])
        for given, to_rest, to_reset, r_, z_, dr, drest, dgates, dc in reversed(steps):
            dh = dh + given
            torch.mul(dh[:, None], to_rest, out=drest)
            product = dc @ of_candidate
            torch.mul(product, to_reset, out=dr)
            dh = (dh * z_).addcmul_(product, r_).addmm_(dgates, of_gates)
        rows = of_input.flatten(0, 1).t()
        parts = rows[: 2 * D] @ before.flatten(0, 1), rows[2 * D :] @ (r * before).flatten(0, 1)
        return of_input, dh, torch.cat(parts)


class _GRUResetAfter(torch.autograd.Function):
    """r, z = s(x + U h);  c = tanh(x + r (U h));  h' = z h + (1 - z) c."""

    @staticmethod
    def forward(ctx: Any, projected: Tensor, h: Tensor, weight: Tensor) -> Tensor:
        D, across = h.size(1), weight.t().contiguous()
        gates, candidates, states = _room(projected, 2 * D), _room(projected, D), _room(projected, D, more=1)
        heard = _room(projected, 3 * D)
        states[0] = h
        inputs = zip(projected[..., : 2 * D].unbind(), projected[..., 2 * D :].unbind(), strict=True)
        said = zip(heard.unbind(), heard[..., : 2 * D].unbind(), heard[..., 2 * D :].unbind(), strict=True)
        kept = zip(gates.unbind(), *_halves(gates), candidates.unbind(), states[1:].unbind(), strict=True)
        for (to_gates, to_candidate), (u, ug, uc), (g, r, z, c, after) in zip(inputs, said, kept, strict=True):
            torch.mm(h, across, out=u)
            torch.add(to_gates, ug, out=g).sigmoid_()
            torch.addcmul(to_candidate, r, uc, out=c).tanh_()
            h = torch.lerp(c, h, z, out=after)
        ctx.save_for_backward(gates, candidates, heard, states, weight)
        return states[1:].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        gates, candidates, heard, states, weight = ctx.saved_tensors
        D, before, (r, z) = candidates.size(-1), states[:-1], gates.chunk(2, -1)
        by_update, by_candidate = (before - candidates) * z * (1 - z), (1 - z) * (1 - candidates**2)
        # how the gradient of a step's candidate becomes that of its reset gate, and that of what it hears of the state
        by_both = torch.stack([heard[..., 2 * D :] * r * (1 - r), r], -2)
        of_recurrent, of_candidates = _room(gates, 3 * D), torch.empty_like(candidates)
        out = of_recurrent.view(*candidates.shape[:2], 3, D)
        update, ends = out[..., 1, :], out[..., ::2, :]
        views = (gradients[0], by_update, by_candidate, by_both, z, of_recurrent, update, ends, of_candidates)
        steps = list(zip(*(x.unbind() for x in views), strict=True))
        dh = torch.zeros_like(candidates[0])
        for given, to_update, to_candidate, to_both, z_, du, dz, dboth, dc in reversed(steps):
            dh = dh + given
            torch.mul(dh, to_update, out=dz)
            torch.mul(dh, to_candidate, out=dc)
            torch.mul(dc[:, None], to_both, out=dboth)
            dh = (dh * z_).addmm_(du, weight)
        of_input = torch.cat([of_recurrent[..., : 2 * D], of_candidates], -1)
        return of_input, dh, of_recurrent.flatten(0, 1).t() @ before.flatten(0, 1)


class _LSTM(torch.autograd.Function):
    """o, i, f = s(x + U h);  g = tanh(x + U h);  c' = f c + i g;  h' = o tanh(c')."""

    @staticmethod
    def forward(ctx: Any, projected: Tensor, h: Tensor, c: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        D, across = h.size(1), weight.t().contiguous()
        gates, shown = _room(projected, 4 * D), _room(projected, D)
        outputs, memories = _room(projected, D, more=1), _room(projected, D, more=1)
        outputs[0], memories[0] = h, c
        views = (projected, gates, gates[..., : 3 * D], *gates.chunk(4, -1), shown, outputs[1:], memories[1:])
        steps = zip(*(x.unbind() for x in views), strict=True)
        for x, g, three, o, i, f, candidate, seen, output, memory in steps:
            torch.addmm(x, h, across, out=g)
            three.sigmoid_()
            candidate.tanh_()
            c = torch.mul(f, c, out=memory).addcmul_(i, candidate)
            h = torch.mul(o, torch.tanh(c, out=seen), out=output)
        ctx.save_for_backward(gates, outputs, memories, shown, weight)
        return outputs[1:].clone(), memories[1:].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        gates, outputs, memories, shown, weight = ctx.saved_tensors
        o, i, f, candidate = gates.chunk(4, -1)
        by_output, by_shown = shown * o * (1 - o), o * (1 - shown**2)
        # how the gradient of a step's memory becomes that of its input and forget gates and of its candidate
        by_memory = [candidate * i * (1 - i), memories[:-1] * f * (1 - f), i * (1 - candidate**2)]
        of_input, to_rest = torch.empty_like(gates), torch.stack(by_memory, -2)
        out = of_input.view(*shown.shape[:2], 4, -1)
        views = (*gradients, by_output, by_shown, to_rest, f, of_input, out[..., 0, :], out[..., 1:, :])
        dh, dc = torch.zeros_like(shown[0]), torch.zeros_like(shown[0])
        for given, kept, to_o, to_c, rest, f_, dx, do, drest in reversed(
            list(zip(*(x.unbind() for x in views), strict=True))
        ):
            dh = dh + given
            dc = (dc + kept).addcmul_(dh, to_c)
            torch.mul(dh, to_o, out=do)
            torch.mul(dc[:, None], rest, out=drest)
            dh, dc = dx @ weight, dc * f_
        return of_input, dh, dc, of_input.flatten(0, 1).t() @ outputs[:-1].flatten(0, 1)


class _LayerNormLSTM(torch.autograd.Function):
    """o, i, f = s(n(x + U h));  g = tanh(n(x + U h));  c' = n(f c + i g);  h' = o tanh(c').

    n(a) is the layer norm of a, times a gain, plus a bias.
    """

    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, h: Tensor, c: Tensor, weight: Tensor, gain: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor]:
        D, across = h.size(1), weight.t().contiguous()
        sums, gates = _room(projected, 4 * D), _room(projected, 4 * D)
        written, shown = _room(projected, D), _room(projected, D)
        outputs, memories = _room(projected, D, more=1), _room(projected, D, more=1)
        outputs[0], memories[0] = h, c
        gate_gain, gate_bias = gain[:4].flatten(), bias[:4].flatten()
        views = (projected, sums, gates, gates[..., : 3 * D], *gates.chunk(4, -1), written, shown, outputs[1:])
        gate_norms, memory_norms = [], []
        for step, (x, a, g, three, o, i, f, candidate, w, seen, output) in enumerate(
            zip(*(x.unbind() for x in views), strict=True)
        ):
            torch.addmm(x, h, across, out=a)
            normal, *statistics = torch.native_layer_norm(a.view(-1, 4, D), (D,), None, None, _EPSILON)
            gate_norms.append(statistics)
            torch.addcmul(gate_bias, normal.view(-1, 4 * D), gate_gain, out=g)
            three.sigmoid_()
            candidate.tanh_()
            torch.mul(f, c, out=w).addcmul_(i, candidate)
            c, *statistics = torch.native_layer_norm(w, (D,), gain[4], bias[4], _EPSILON)
            memory_norms.append(statistics)
            memories[step + 1] = c
            h = torch.mul(o, torch.tanh(c, out=seen), out=output)
        kept = [torch.stack(values) for norms in (gate_norms, memory_norms) for values in zip(*norms, strict=True)]
        ctx.save_for_backward(sums, gates, written, shown, outputs, memories, weight, gain, *kept)
        return outputs[1:].clone(), memories[1:].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        sums, gates, written, shown, outputs, memories, weight, gain, *norms = ctx.saved_tensors
        D, (o, i, f, candidate) = shown.size(-1), gates.chunk(4, -1)
        by_output, by_shown = shown * o * (1 - o), o * (1 - shown**2)
        # how the gradient of what a step writes becomes that of its input and forget gates and of its candidate
        by_written = [candidate * i * (1 - i), memories[:-1] * f * (1 - f), i * (1 - candidate**2)]
        to_rest = torch.stack(by_written, -2)
        # of each gate behind its norm and gain; of each sum before its norm; of each memory behind its own
        of_gates, of_sums, of_memory = (torch.empty_like(x) for x in (gates, gates, shown))
        out = of_gates.view(*shown.shape[:2], 4, D)
        views = (*gradients, by_output, by_shown, to_rest, f, sums.view_as(out), written, out, of_sums, of_memory)
        dh, dc = torch.zeros_like(shown[0]), torch.zeros_like(shown[0])
        steps = list(zip(*(x.unbind() for x in (*views, *norms)), strict=True))
        for given, kept, to_o, to_c, rest, f_, a, w, dgates, dsums, dmemory, m, r, mean, rstd in reversed(steps):
            dh = dh + given
            torch.add(dc, kept, out=dmemory).addcmul_(dh, to_c)
            dw = _before_norm(dmemory, w, mean, rstd, gain[4])
            torch.mul(dh, to_o, out=dgates[:, 0])
            torch.mul(dw[:, None], rest, out=dgates[:, 1:])
            dsums.copy_(_before_norm(dgates * gain[:4], a, m, r, None).view_as(dsums))
            dh, dc = dsums @ weight, dw * f_
        normal = (sums.view_as(out) - norms[0]) * norms[1]
        of_gain = (out * normal).sum((0, 1)), (of_memory * (written - norms[2]) * norms[3]).sum((0, 1))[None]
        of_bias = out.sum((0, 1)), of_memory.sum((0, 1))[None]
        of_weight = of_sums.flatten(0, 1).t() @ outputs[:-1].flatten(0, 1)
        return of_sums, dh, dc, of_weight, torch.cat(of_gain), torch.cat(of_bias)


_EPSILON = 1e-5  # that of torch's layer_norm


def _before_norm(gradient: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, gain: Tensor | None) -> Tensor:
    """The gradient of x from that of its norm times `gain`."""
    wanted = [True, False, False]
    shape = x.shape[-1:]
    return torch.ops.aten.native_layer_norm_backward(gradient, x, shape, mean, rstd, gain, None, wanted)[0]  # type: ignore[no-any-return]


def _room(like: Tensor, size: int, *, more: int = 0) -> Tensor:
    """Room for what each step of [T, N, ...] keeps, and `more` steps, [T + more, N, size]."""
    return like.new_empty(len(like) + more, like.size(1), size)


def _halves(x: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The two halves of each step."""
    first, second = x.chunk(2, -1)
    return first.unbind(), second.unbind()
