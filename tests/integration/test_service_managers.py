"""What runs the server for people: a real supervisord, and the steps of the Dockerfile, run as a script."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes import BROADCASTER, PATIENCE, broadcaster, clean_environment, free_port, get, until

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
APP = '[[apps]]\nid = "a"\nkey = "k"\nsecret = "s"\n'


def answers(port: int) -> bool:
    try:
        return get(f"http://127.0.0.1:{port}/ready")[0] == 200
    except OSError:
        return False


@contextmanager
def supervised(directory: Path, program: str) -> Iterator[subprocess.Popen[bytes]]:
    config = directory / "supervisord.conf"
    config.write_text(f"[supervisord]\nnodaemon=true\nuser=root\nlogfile=/dev/null\nlogfile_maxbytes=0\n{program}")
    command = [str(Path(sys.executable).with_name("supervisord")), "-c", str(config)]
    if os.geteuid() != 0:
        config.write_text(config.read_text().replace("user=root\n", ""))
    process = subprocess.Popen(command, cwd=directory, env=clean_environment(), stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def test_under_supervisor_it_runs_comes_back_when_it_died_and_drains_when_stopped(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "broadcaster.toml").write_text(
        f'[server]\nlisten = ["tcp:{port}:interface=127.0.0.1"]\ndrain_seconds = 1\n{APP}'
    )
    printed = broadcaster(["supervisor"], tmp_path)
    assert printed.returncode == 0
    log = tmp_path / "server.log"
    with supervised(tmp_path, f"{printed.stdout}stdout_logfile={log}\n"):
        until(lambda: answers(port), "the start")
        first = json.loads(broadcaster(["status", "--json"], tmp_path).stdout)["pid"]
        os.kill(first, signal.SIGKILL)
        until(lambda: answers(port), "the second start")
        assert json.loads(broadcaster(["status", "--json"], tmp_path).stdout)["pid"] != first
    assert "SIGTERM: draining" in log.read_text()
    assert broadcaster(["status"], tmp_path).returncode == 1


# ---- the image ------------------------------------------------------------------------------------------------


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """The instructions in their order, continued lines joined, comments left out."""
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", dockerfile, flags=re.MULTILINE))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


def stages(dockerfile: str) -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for name, rest in instructions(dockerfile):
        if name == "FROM":
            found.append([])
        found[-1].append((name, rest))
    return found


def test_the_image_is_small_runs_as_nobody_and_hears_sigterm() -> None:
    build, final = stages((ROOT / "Dockerfile").read_text())
    last = dict(final)
    assert build[0][1].split()[0] == last["FROM"], "a virtual environment fits the Python that it was made with"
    assert last["USER"] == "65534:65534"
    entry, arguments = json.loads(last["ENTRYPOINT"]), json.loads(last["CMD"])
    assert [*entry, *arguments] == ["broadcaster", "start"], "exec form: nothing stands between it and SIGTERM"
    assert not any("pip" in rest or "apt" in rest for name, rest in final if name == "RUN")


def test_the_steps_of_the_image_make_a_server_that_runs_as_nobody_would(tmp_path: Path) -> None:
    """As docker would do them, in a directory that stands for the root of both stages."""
    build, final = stages((ROOT / "Dockerfile").read_text())
    root = tmp_path / "root"
    (root / "src").mkdir(parents=True)
    (root / "run").mkdir()
    (root / "etc").mkdir()
    for name in ("broadcaster", "twisted", "setup.cfg", "pyproject.toml", "README.md"):
        source = ROOT / name
        assert f"!{name}" in (ROOT / ".dockerignore").read_text().split()
        if source.is_dir():
            shutil.copytree(source, root / "src" / name, ignore=shutil.ignore_patterns("__pycache__", "dropin.cache"))
        else:
            shutil.copy(source, root / "src" / name)
    environment = clean_environment()
    for stage in (build, final):
        for name, rest in stage:
            if name == "RUN":
                command = re.sub(r"(?<![\w./])/(opt|run|etc)/", rf"{root}/\1/", rest)
                command = re.sub(r"^python ", f"{shlex.quote(sys.executable)} ", command)
                command = command if os.geteuid() == 0 else command.replace("-o 65534 -g 65534", "")
                subprocess.run(["sh", "-e", "-c", command], cwd=root / "src", env=environment, check=True, timeout=300)
            elif name == "ENV":
                for word in re.sub(r"(?<![\w./])/(opt|run|etc)/", rf"{root}/\1/", rest).split():
                    key, _, value = word.partition("=")
                    environment[key] = value.replace("$PATH", environment["PATH"])
    port = free_port()
    (root / "etc" / "broadcaster" / "broadcaster.toml").write_text(
        f'[server]\nlisten = ["tcp:{port}:interface=127.0.0.1"]\n{APP}'
    )
    last = dict(final)
    directory = root / last["WORKDIR"].lstrip("/")
    command = [*json.loads(last["ENTRYPOINT"]), *json.loads(last["CMD"])]
    program = shutil.which(command[0], path=environment["PATH"])
    assert program is not None and Path(program).is_relative_to(root) and program != BROADCASTER
    process = subprocess.Popen([program, *command[1:]], cwd=directory, env=environment, stdout=subprocess.DEVNULL)
    try:
        until(lambda: answers(port), "the start")
        healthy = json.loads(re.sub(r"^.*CMD ", "", last["HEALTHCHECK"]))
        asked = subprocess.run([program, *healthy[1:]], cwd=directory, env=environment, stdout=subprocess.DEVNULL)
        assert asked.returncode == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
