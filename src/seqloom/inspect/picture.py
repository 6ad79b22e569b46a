"""A still picture of attention, as an SVG file that needs nothing else."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from seqloom.inspect.attention import AttentionView
from seqloom.inspect.labels import columns, shortened, visible, visible_line

ACCENT, BED, INK, FAINT, PAPER = "#2456a6", "#f3f4f6", "#1b1f24", "#5b6470", "#ffffff"
FONT = "system-ui, -apple-system, 'Segoe UI', 'Noto Sans', sans-serif"
LABEL_COLUMNS, LABEL_SIZE, COLUMN_WIDTH = 20, 13, 7.6  # size and width in pixels
MARGIN = 16


def svg(view: AttentionView, *, layer: int | None = None, head: int | None = None) -> str:
    """A still picture as a file of its own: target tokens downwards, source tokens across, darker where more weight.

    `layer` and `head` count from 0; without one the mean over all of them is shown.  Colours are given as attributes
    and classes, never as styles, so that a page that allows no styles shows them and its style sheet may change them.
    """
    weights = view.matrix(layer=layer, head=head)
    frame = _Frame(view.source, view.target)
    heading = visible_line(view.title) or "Attention"
    width, height = frame.size
    top = max(float(weights.max()), 1e-3)  # full colour: thinly spread attention can be seen, too
    room = int((width - 2 * MARGIN) / COLUMN_WIDTH)
    below = [visible_line(view.subtitle), _choice(view, layer, head)]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        f' role="img" font-family="{escape(FONT)}" font-size="{LABEL_SIZE}">',
        f"<title>{escape(heading)}</title>",
        f'<rect class="paper" width="{width}" height="{height}" fill="{PAPER}"/>',
        f'<text class="ink" x="{MARGIN}" y="28" font-size="15" font-weight="600" fill="{INK}">'
        f"{escape(shortened(heading, int(room * 0.84)))}</text>",
        f'<text class="faint" x="{MARGIN}" y="48" font-size="12" fill="{FAINT}">'
        f"{escape(shortened(' · '.join(filter(None, below)), room))}</text>",
        *frame.source_labels(),
        *frame.target_labels(),
        *frame.cells(weights, top),
        *_legend(frame, top),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


class _Frame:
    """Where the labels and cells of a picture stand, in pixels."""

    def __init__(self, source: Sequence[str], target: Sequence[str]) -> None:
        self.source, self.target = [visible(token) for token in source], [visible(token) for token in target]
        longest = max(len(source), len(target))
        self.cell = next(cell for most, cell in ((12, 34), (24, 26), (40, 20), (longest, 17)) if longest <= most)
        self.turned = _turned(self.source, self.cell)
        longest_turned = _label_width([label for label, turned in zip(self.source, self.turned, strict=True) if turned])
        self.left = MARGIN + _label_width(self.target) + 8
        self.top = 64 + max(LABEL_SIZE + 8, round(longest_turned * 0.87) + 16)  # 0.87 is the sine of 60°
        overhang = round(longest_turned * 0.5)
        width = self.left + self.cell * len(source) + max(MARGIN, overhang)
        self.size = max(width, 320), self.top + self.cell * len(target) + 52

    def source_labels(self) -> list[str]:
        """The source tokens above their columns, turned if they are wider than these."""

        def place(index: int) -> str:
            x, y = self.left + self.cell * index + self.cell / 2, self.top - 8
            if self.turned[index]:
                return f'transform="translate({x + 3:g} {y}) rotate(-60)"'
            return f'x="{x:g}" y="{y}" text-anchor="middle"'

        return _labels(self.source, place)

    def target_labels(self) -> list[str]:
        """The target tokens to the left of their rows."""

        def place(index: int) -> str:
            y = self.top + self.cell * index + self.cell / 2 + LABEL_SIZE * 0.36
            return f'x="{self.left - 8}" y="{y:g}" text-anchor="end"'

        return _labels(self.target, place)

    def cells(self, weights: NDArray[np.float64], top: float) -> list[str]:
        """A square for each weight, which says its number when pointed at; full colour at `top`."""
        cell, (rows, across) = self.cell, weights.shape
        parts = [
            f'<rect class="bed" x="{self.left}" y="{self.top}" width="{cell * across}" height="{cell * rows}"'
            f' rx="3" fill="{BED}"/>',
            f'<g class="accent" fill="{ACCENT}">',
        ]
        for row, target in enumerate(map(_apart, self.target)):
            for column, source in enumerate(map(_apart, self.source)):
                weight = weights[row, column]
                parts.append(
                    f'<rect x="{self.left + cell * column}" y="{self.top + cell * row}" width="{cell - 1}"'
                    f' height="{cell - 1}" fill-opacity="{weight / top:.3g}">'
                    f"<title>{escape(target)} → {escape(source)}: {weight:.3f}</title></rect>"
                )
        return [*parts, "</g>"]


def _choice(view: AttentionView, layer: int | None, head: int | None) -> str:
    layers, heads = np.shape(view.weights)[:2]
    of_layers = view.names[layer] if layer is not None else f"mean of {layers} layers" if layers > 1 else ""
    of_heads = f"head {head + 1}" if head is not None else f"mean of {heads} heads" if heads > 1 else ""
    return ", ".join(filter(None, (visible_line(of_layers), of_heads)))


def _label_width(labels: Sequence[str]) -> int:
    return round(max((min(columns(label), LABEL_COLUMNS) for label in labels), default=0) * COLUMN_WIDTH)


def _labels(labels: Sequence[str], place: Callable[[int], str]) -> list[str]:
    return [
        f'<text class="ink" {place(index)} fill="{INK}">{escape(shortened(label, LABEL_COLUMNS))}'
        f"<title>{escape(label)}</title></text>"
        for index, label in enumerate(labels)
    ]


def _apart(label: str) -> str:
    """The label between isolating marks if it is written from right to left, so that what follows stays behind it."""
    turned = any(unicodedata.bidirectional(character) in ("R", "AL", "AN") for character in label)
    return f"\u2068{label}\u2069" if turned else label


def _turned(labels: Sequence[str], cell: int) -> list[bool]:
    """Which labels are too wide to stand above a cell: all are turned if several are, or else one by one."""
    widths = [_label_width([label]) for label in labels]
    several = sorted(widths)[max(0, min(len(widths) - 2, int(len(widths) * 0.9)))] > cell + 2
    return [several or width > cell + 2 for width in widths]


def _legend(frame: _Frame, top: float) -> list[str]:
    """A bar from no weight to full colour, with the numbers at its ends."""
    x, y, steps, step = frame.left, frame.size[1] - 30, 12, 8
    end = x + steps * step
    bar = [
        f'<rect x="{x + step * index}" y="{y}" width="{step}" height="8" fill-opacity="{index / (steps - 1):.3g}"/>'
        for index in range(steps)
    ]
    return [
        f'<rect class="bed" x="{x}" y="{y}" width="{steps * step}" height="8" fill="{BED}"/>',
        f'<g class="accent" fill="{ACCENT}">',
        *bar,
        "</g>",
        f'<text class="faint" x="{x}" y="{y + 22}" font-size="11" fill="{FAINT}">0</text>',
        f'<text class="faint" x="{end}" y="{y + 22}" text-anchor="end" font-size="11" fill="{FAINT}">{top:#.2g}</text>',
    ]
