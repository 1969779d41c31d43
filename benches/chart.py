"""A bar chart as SVG that reads well on light and on dark pages, and needs nothing but a browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LABELS, VALUES = 760, 250, 90
BAR, GAP, HEAD, MARGIN = 15, 7, 42, 16

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600; font-size: 14px }
  .note { font-size: 11.5px; fill: #57606a }
  .ours { fill: #c2570c }
  .other { fill: #9aa4b1 }
  .target { stroke: #24292f; stroke-width: 2 }
  .page { fill: #ffffff }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .note { fill: #9aa5b1 }
    .ours { fill: #f08c3c }
    .other { fill: #5d6775 }
    .target { stroke: #e6edf3 }
    .page { fill: #0d1117 }
  }
"""


@dataclass(frozen=True)
class Bar:
    label: str
    value: float
    shown: str
    """The value as text, with its unit."""
    ours: bool = False
    target: float | None = None


@dataclass(frozen=True)
class Panel:
    title: str
    note: str
    bars: Sequence[Bar]
    limit: float | None = None
    """The value of a full-width bar; None for the largest."""

    @property
    def height(self) -> int:
        return HEAD + len(self.bars) * (BAR + GAP) + MARGIN


def draw(panels: Sequence[Panel]) -> str:
    height = sum(panel.height for panel in panels) + MARGIN
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    label = escape("; ".join(panel.title for panel in panels))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{label}">',
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{height}" rx="6"/>',
    ]
    top = MARGIN
    for panel in panels:
        lines += draw_panel(panel, top)
        top += panel.height
    return "\n".join([*lines, "</svg>", ""])


def draw_panel(panel: Panel, top: int) -> list[str]:
    room = WIDTH - LABELS - VALUES - MARGIN
    limit = panel.limit or max((bar.value for bar in panel.bars), default=1.0)
    lines = [
        f'<text class="title" x="{MARGIN}" y="{top + 12}">{escape(panel.title)}</text>',
        f'<text class="note" x="{MARGIN}" y="{top + 29}">{escape(panel.note)}</text>',
    ]
    y = top + HEAD
    for bar in panel.bars:
        width = max(1.0, min(1.0, bar.value / limit) * room)
        line = min(1.0, (bar.target or 0.0) / limit) * room
        kind = "ours" if bar.ours else "other"
        lines += [
            f'<text x="{LABELS - 8}" y="{y + 12}" text-anchor="end">{escape(bar.label)}</text>',
            f'<rect class="{kind}" x="{LABELS}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>',
            f'<text x="{LABELS + max(width, line) + 8:.1f}" y="{y + 12}">{escape(bar.shown)}</text>',
        ]
        if bar.target is not None:
            x = f"{LABELS + line:.1f}"
            lines.append(f'<line class="target" x1="{x}" x2="{x}" y1="{y - 2}" y2="{y + BAR + 2}"/>')
        y += BAR + GAP
    return lines
