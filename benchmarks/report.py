"""From runs to medians, verdicts and the printed table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from load import Run
from works import WORD, Work

QUIET = 0.1
"""Cores that others may use while a figure is still one."""

BUSY = 0.9
"""Of a core: a generator that uses more shows its own limit."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``met`` is None where nothing can be said, as without a peer."""

    words: str
    met: bool | None

    def __str__(self) -> str:
        return f"{self.words}: {'cannot be said' if self.met is None else 'met' if self.met else 'MISSED'}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one work gave: every run of every server, in the order they were made, and what kept a server from it."""

    work: Work
    runs: Mapping[str, Sequence[Run]]
    faults: Mapping[str, str]

    def medians(self) -> dict[str, dict[str, float]]:
        """Per server that made all its runs, the median of each figure."""
        return {
            server: {figure: median(run[figure] for run in runs) for figure in runs[0]}
            for server, runs in self.runs.items()
            if runs and server not in self.faults
        }

    def whole(self, server: str) -> bool:
        return server not in self.faults and all(run["whole"] for run in self.runs[server])

    def disturbance(self) -> float:
        """The most that others took during one of the runs, in cores."""
        return max((run["others_cores"] for runs in self.runs.values() for run in runs), default=0.0)

    def generator(self) -> dict[str, float]:
        """Cores that wsload used while it published, by server; it is pinned to one, so that one is all there is."""
        return {server: figures["client_cores"] for server, figures in self.medians().items()}

    def verdicts(self) -> list[Verdict]:
        """None when this server was not measured; otherwise that nothing was lost comes first."""
        if "ours" not in self.runs:
            return []
        medians = self.medians()
        arrived = "every delivery arrives" if self.work.load["msgs"] else "every connection subscribes"
        known = "ours" in medians
        targets = [Verdict(each.words(), each.met(medians) if known else False) for each in self.work.targets]
        return [Verdict(arrived, self.whole("ours")), *targets]

    def as_json(self) -> dict[str, object]:
        return {
            "work": self.work.name,
            "title": self.work.title,
            "load": dict(self.work.load),
            "verdicts": [{"target": each.words, "met": each.met} for each in self.verdicts()],
            "faults": dict(self.faults),
            "others_cores": self.disturbance(),
            "medians": self.medians(),
            "runs": {server: list(runs) for server, runs in self.runs.items()},
        }


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"


def aligned(cells: Iterable[str], columns: Sequence[str]) -> Iterator[str]:
    return (cell.rjust(max(14, len(column) + 2)) for cell, column in zip(cells, columns, strict=True))


def table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """One line a figure, with its ratios to the peers, and one a verdict."""
    for outcome in outcomes:
        medians = outcome.medians()
        yield ""
        yield outcome.work.title
        servers = list(outcome.runs)
        columns = [WORD[server] for server in servers] + ["÷ " + WORD[server] for server in servers if server != "ours"]
        yield f"  {'':32}" + "".join(aligned(columns, columns))
        for figure, words in outcome.work.shown.items():
            yield f"  {words:32}" + "".join(aligned(cells(medians, figure, servers), columns))
        for server in servers:
            if server in outcome.faults:
                yield f"  {WORD[server]}: {outcome.faults[server]}"
            elif not outcome.whole(server):
                yield f"  {WORD[server]}: {shortfall(outcome.runs[server])}"
        for server, busy in outcome.generator().items():
            if busy > BUSY:
                yield f"  {WORD[server]}: the generator used {busy:.2f} of its core, and may be what limits"
        for verdict in outcome.verdicts():
            yield f"  {verdict}"
        if (most := outcome.disturbance()) > QUIET:
            yield f"  DISTURBED: others used up to {most:.2f} of a core meanwhile, so the ratios are not to be believed"


def cells(medians: Mapping[str, Mapping[str, float]], figure: str, servers: Sequence[str]) -> Iterator[str]:
    for server in servers:
        yield number(medians[server][figure]) if server in medians else "–"
    for server in servers:
        if server == "ours":
            continue
        known = "ours" in medians and server in medians and medians[server][figure] > 0
        yield format(medians["ours"][figure] / medians[server][figure], ".2f") if known else "–"


def shortfall(runs: Sequence[Run]) -> str:
    missing = sum(run["expected"] - run["deliveries"] for run in runs)
    refused = sum(run["refused"] for run in runs)
    closed = sum(run["closed"] for run in runs)
    twice = sum(run["duplicates"] for run in runs)
    failed = sum(run["pub_errors"] for run in runs)
    return (
        f"not whole: {missing:.0f} deliveries missing, {twice:.0f} twice, {failed:.0f} publishes failed, "
        f"{refused:.0f} connections refused, {closed:.0f} closed"
    )


def target_line(work: Work, medians: Mapping[str, Mapping[str, float]], figure: str) -> float | None:
    """Where the target for ``figure`` lies in this run, to be drawn beside what was reached."""
    for each in work.targets:
        if each.figure == figure:
            return each.bound(medians)
    return None
