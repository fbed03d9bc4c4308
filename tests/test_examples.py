"""Every example runs as its docstring says, in a process of its own, on the simulated exchange."""

import re
from pathlib import Path

import pytest

from commands import run

EXAMPLES = Path(__file__).parent.parent / "examples"

# What each is run with, and what it must say.
SHORT = {
    "ten_lines.py": ([], r"BTCUSD \d+\.?\d* \d+\.?\d* \d+\.\d{4}\n(?s:.*)ETHUSD"),
    "chain.py": (["--rows", "4"], r"^ +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+ +26500 "),
    "record_and_replay.py": (["--frames", "6"], r"a gap of \d+ ms\nlive: (\d+) books"),
    "cython_strategy/watch.py": (
        ["--changes", "3"],
        r"^\d+ looks at \d+ books: pressure [+-]0\.\d+",
    ),
    "test_outage.py": ([], r"^3 passed"),
}
MAKER = "market_maker/run.py"  # has tests of its own
SHOWN = {
    path.relative_to(EXAMPLES).as_posix()
    for path in EXAMPLES.rglob("*.py")
    if re.search(r"`(python|pytest) examples/", path.read_text(encoding="utf-8"))
}


def test_all_are_run():
    assert {*SHORT, MAKER} == SHOWN


@pytest.mark.parametrize("name", SHORT)
def test_example(name):
    arguments, said = SHORT[name]
    path = EXAMPLES / name
    shown = f"{'pytest' if name.startswith('test_') else 'python'} examples/{name}"
    assert shown in path.read_text(encoding="utf-8")
    # The tests in it, apart from the plugins that distribute or time those around them.
    command = ["-m", "pytest", "-q", "-p", "no:xdist"] if "pytest" in shown else []
    done = run(*arguments, command=(*command, str(path)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(said, done.stdout, re.M), done.stdout
    assert "Traceback" not in done.stderr


def test_a_recording_plays_to_what_was_seen_live():
    done = run("--frames", "4", command=(str(EXAMPLES / "record_and_replay.py"),))
    assert done.returncode == 0, done.stderr
    live, once, twice = re.findall(r"(\d+) books", done.stdout)
    assert int(live) <= int(once) == int(twice)
    first, second = re.findall(r"fingerprint (\w+)", done.stdout)
    assert first == second
    narrowest = re.search(r"live and again: ([\d.]+) ([\d.]+)", done.stdout)
    assert narrowest is not None
    assert narrowest[1] == narrowest[2]
