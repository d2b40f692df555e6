"""Measures broadcaster beside its peers, in turns, on this machine: see README.md here.

Exit status: 0 all targets met, 1 one was missed or a delivery lost, 2 it could not be measured, or not in peace.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import machine
from chart import draw
from load import Run, compile_wsload, measure
from report import QUIET, Outcome, table
from servers import BUILD, HERE, SERVERS, BenchError, Server, install_peers, make_certificate, running
from works import WORD, WORKS, Work

RESULTS = HERE / "results"


def options(arguments: Sequence[str]) -> argparse.Namespace:
    names = [work.name for work in WORKS]
    parser = argparse.ArgumentParser(description="Measure broadcaster beside its peers.")
    parser.add_argument("--works", metavar="NAME,…", default=",".join(names), help=f"which of {', '.join(names)}")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="runs of each, of which the median counts")
    parser.add_argument("--quick", action="store_true", help="one run of a fifth of the events: a look, not a figure")
    parser.add_argument("--only-server", choices=list(WORD), help="leave the others out; ratios cannot be said then")
    parser.add_argument("--json", type=Path, metavar="PATH", help="where to write everything that was measured")
    chosen = parser.parse_args(arguments)
    chosen.works = chosen.works.split(",")
    if unknown := sorted(set(chosen.works) - set(names)):
        parser.error(f"no such work: {', '.join(unknown)}; there are {', '.join(names)}")
    if chosen.repeat < 1:
        parser.error("--repeat is at least 1")
    return chosen


def run_work(work: Work, servers: Sequence[Server], repeat: int, pins: tuple[list[str], list[str]]) -> Outcome:
    """All servers within the same minutes, each run a fresh process, and none of them always the first."""
    runs: dict[str, list[Run]] = {server.name: [] for server in servers}
    faults: dict[str, str] = {}
    for turn in range(repeat):
        for server in [*servers[turn % len(servers) :], *servers[: turn % len(servers)]]:
            if server.name in faults:
                continue
            progress(f"{work.name}, run {turn + 1} of {repeat}: {WORD[server.name]}")
            others = machine.Others()
            try:
                with running(server, work.tls, pins[0]) as address:
                    run = measure(server, address, work, pins[1])
                runs[server.name].append({**run, "others_cores": others.cores()})
            except BenchError as error:
                faults[server.name] = str(error)
    progress("")
    return Outcome(work, runs, faults)


def progress(words: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{words}", end="", file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> int:
    chosen = options(arguments)
    servers = [server for server in SERVERS if chosen.only_server in (None, server.name)]
    names = [server.name for server in servers]
    works = [work.shortened() if chosen.quick else work for work in WORKS if work.name in chosen.works]
    repeat = 1 if chosen.quick else chosen.repeat
    complete = len(works) == len(WORKS) and servers == list(SERVERS) and repeat >= 3 and not chosen.quick
    with_peers = names != ["ours"]

    machine.raise_file_limit()
    compile_wsload()
    if any(work.tls for work in works):
        make_certificate()
    if with_peers:
        install_peers()
    server_pin, generator_pin, pinning = machine.pins()
    told: dict[str, object] = {
        "date": machine.today(),
        "command": shlex.join(["benchmarks/run.py", *arguments]),
        "machine": machine.describe(),
        "versions": machine.versions(with_peers),
        "pinning": pinning,
        "repeat": repeat,
    }
    for key, value in told.items():
        print(f"{key:9} {', '.join(f'{k} {v}' for k, v in value.items()) if isinstance(value, dict) else value}")

    outcomes = []
    for work in works:
        able = [server for server in servers if work.dialect in server.dialects]
        outcomes.append(run_work(work, able, repeat, (server_pin, generator_pin)))
        print("\n".join(table(outcomes[-1:])), flush=True)

    disturbed = any(outcome.disturbance() > QUIET for outcome in outcomes)
    folder = RESULTS if complete and not disturbed else BUILD  # only a sound measurement replaces a sound one
    folder.mkdir(exist_ok=True)
    written = chosen.json or folder / f"{str(told['date'])[:10]}.json"
    written.write_text(json.dumps({**told, "works": [each.as_json() for each in outcomes]}, indent=1) + "\n")
    picture = folder / "latest.svg"
    found = machine.describe()
    picture.write_text(
        draw(outcomes, f"{told['date']}, {found['cpu']}, {pinning}, medians of {repeat}; dashed: the target")
    )
    print(f"\nwritten: {written} and {picture}")
    verdicts = [verdict.met for outcome in outcomes for verdict in outcome.verdicts()]
    good = (True, None) if chosen.only_server else (True,)  # without peers nobody expects ratios
    if not all(met in good for met in verdicts):
        return 1
    return 2 if disturbed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BenchError as error:
        print(f"benchmarks/run.py: {error}", file=sys.stderr)
        sys.exit(2)
