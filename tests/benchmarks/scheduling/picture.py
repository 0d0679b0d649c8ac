"""The picture of docs/scheduling.md: bars, drawn as plain SVG."""

from __future__ import annotations

from dataclasses import dataclass
from xml.sax.saxutils import escape

_COLOURS = {"first come": "#9aa5b1", "priority": "#c9a227", "namel3ss": "#2b7a78"}
_WIDTH, _BAR, _GAP, _LEFT, _RIGHT = 720, 22, 8, 150, 90


@dataclass(frozen=True)
class Panel:
    """One group of bars: what is measured, and its value by discipline."""

    title: str
    unit: str
    values: dict[str, float]


def draw(panels: list[Panel]) -> str:
    """The panels one below the other, each on its own scale."""
    parts: list[str] = []
    top = 10
    for panel in panels:
        parts.append(f'<text x="10" y="{top + 18}" class="title">{escape(panel.title)}</text>')
        top += 30
        largest = max(panel.values.values())
        for name, value in panel.values.items():
            width = round((_WIDTH - _LEFT - _RIGHT) * value / largest, 1)
            middle = top + _BAR * 0.7
            parts.append(f'<text x="{_LEFT - 10}" y="{middle}" text-anchor="end">{escape(name)}</text>')
            parts.append(
                f'<rect x="{_LEFT}" y="{top}" width="{width}" height="{_BAR}" fill="{_COLOURS[name]}"/>'
            )
            label = f"{value:,.0f} {panel.unit}".strip()
            parts.append(f'<text x="{_LEFT + width + 8}" y="{middle}">{escape(label)}</text>')
            top += _BAR + _GAP
        top += 16
    described = "; ".join(
        f"{panel.title}: "
        + ", ".join(f"{name} {value:.0f} {panel.unit}" for name, value in panel.values.items())
        for panel in panels
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" role="img">',
            f"<title>{escape(described)}</title>",
            "<style>text { font: 13px sans-serif; fill: #222 } .title { font-weight: bold }</style>",
            f'<rect width="{_WIDTH}" height="{top}" fill="#fff"/>',
            *parts,
            "</svg>",
            "",
        ]
    )
