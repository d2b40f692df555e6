"""wsload: how it is built, called and read."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from servers import BUILD, HERE, Address, BenchError, Server
from works import Work

WSLOAD = BUILD / "wsload"
EVENT_BYTES = 128
PATIENCE_SECONDS = 120

Run = dict[str, float]
"""What wsload prints, and whether the run was whole."""


def compile_wsload() -> None:
    source = HERE / "wsload.c"
    if WSLOAD.exists() and WSLOAD.stat().st_mtime >= source.stat().st_mtime:
        return
    BUILD.mkdir(exist_ok=True)
    command = ["gcc", "-O2", "-Wall", "-Wextra", "-pthread", "-o", str(WSLOAD), str(source), "-lssl", "-lcrypto"]
    try:
        subprocess.run(command, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BenchError(f"wsload does not compile ({error}); Debian and Ubuntu: gcc, libssl-dev") from error


def command_for(
    server: Server, at: Address, dialect: str, load: Mapping[str, int], channel: str, *more: str
) -> list[str]:
    fixed = {"port": at.port, "pid": at.pid, "size": EVENT_BYTES, "timeout": PATIENCE_SECONDS}
    numbers = [f"--{name}={value}" for name, value in {**fixed, **load}.items()]
    return [str(WSLOAD), *numbers, *server.dialects[dialect](channel), *server.flags, *more]


def measure(server: Server, at: Address, work: Work, pin: Sequence[str]) -> Run:
    """One run of ``work``: wsload's figures; those of the other channel, where there is one, as ``aside_…``."""
    if work.warm_up:
        with started([*pin, *command_for(server, at, work.dialect, work.warm_up, "warm-up")]) as warm_up:
            result(warm_up)
    command = [*pin, *command_for(server, at, work.dialect, work.load, "bench", *work.flags)]
    if not work.aside:
        with started(command) as load:
            return result(load)
    beside = [*pin, *command_for(server, at, work.dialect, work.aside, "aside", "--on-cue")]
    with started(beside) as aside, started([*command, "--on-cue"]) as load:
        expect(aside, "ready")
        expect(load, "ready")
        cue(aside)
        cue(load)
        expect(load, "done")
        meanwhile = result(aside)
        run = result(load)
    run |= {f"aside_{name}": value for name, value in meanwhile.items()}
    run["whole"] = run["whole"] and meanwhile["whole"]
    return run


@contextmanager
def started(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def cue(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def expect(process: subprocess.Popen[str], word: str) -> None:
    assert process.stderr
    said = process.stderr.readline().strip()
    if said != word:
        raise BenchError(f"wsload says {said!r} where {word!r} was due")


def result(process: subprocess.Popen[str]) -> Run:
    """Its line of figures, once standard input is closed and it ends; ``whole``: every delivery arrived, once."""
    figures, complaints = process.communicate()
    if process.returncode not in (0, 1):
        raise BenchError(f"wsload could not try it: {complaints.strip() or f'it ended with {process.returncode}'}")
    run: Run = json.loads(figures)
    run["whole"] = process.returncode == 0
    return run
