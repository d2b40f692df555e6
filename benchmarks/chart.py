"""The picture of a run: one panel a figure, one bar a server, a mark where the target lies. Plain SVG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from report import Outcome, number, target_line
from works import WORD

WIDTH, LEFT, RIGHT = 900, 150, 110
BAR, GAP, HEAD, FOOT = 18, 6, 34, 26
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 } .small { font-size: 11px; fill: #57606a }
.ours { fill: #0969da } .soketi, .socketio { fill: #8c959f } .uws, .echo_server { fill: #d0d7de }
.target { stroke: #cf222e; stroke-width: 2; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .small { fill: #8d96a0 }
  .ours { fill: #4493f8 } .soketi, .socketio { fill: #6e7681 } .uws, .echo_server { fill: #3d444d }
  .target { stroke: #f85149 }
}"""


def draw(outcomes: Sequence[Outcome], caption: str) -> str:
    top = 10
    parts: list[str] = []
    for outcome in outcomes:
        medians, servers = outcome.medians(), list(outcome.runs)
        for figure, words in outcome.work.shown.items():
            title = f"{outcome.work.title}: {words}{'' if figure.endswith('per_s') else ' (less is better)'}"
            parts += panel(top, title, figure, outcome, medians, servers)
            top += HEAD + len(servers) * (BAR + GAP)
    parts.append(f'<text class="small" x="10" y="{top + FOOT - 6}">{escape(caption)}</text>')
    height = top + FOOT + 4
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="Benchmark figures"><style>{STYLE}\n</style>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def panel(
    top: int,
    title: str,
    figure: str,
    outcome: Outcome,
    medians: Mapping[str, Mapping[str, float]],
    servers: Sequence[str],
) -> Iterator[str]:
    target = target_line(outcome.work, medians, figure)
    values = {server: medians[server][figure] for server in servers if server in medians}
    longest = max([*values.values(), target or 0, 1e-9])
    scale = (WIDTH - LEFT - RIGHT) / longest
    yield f'<text class="title" x="10" y="{top + 18}">{escape(title)}</text>'
    for row, server in enumerate(servers):
        y = top + HEAD - 6 + row * (BAR + GAP)
        length = max(values.get(server, 0), 0) * scale
        said = number(values[server]) if server in values else "not measured"
        yield f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end">{WORD[server]}</text>'
        yield f'<rect class="{server}" x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>'
        yield f'<text x="{LEFT + length + 6:.1f}" y="{y + 13}">{said}</text>'
    if target is not None:
        x, y = LEFT + target * scale, top + HEAD - 8
        yield f'<line class="target" x1="{x:.1f}" x2="{x:.1f}" y1="{y}" y2="{y + BAR + 4}"/>'
