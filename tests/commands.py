"""The command line run as a user runs it: a process, its output and its exit code."""

import os
import signal
import subprocess
import sys
from typing import Any

PYTHON = [sys.executable, "-W", "error"]
COMMAND = [*PYTHON, "-m", "coincall_fast"]
PATIENCE_S = 40


def environment(**variables):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COINCALL_")}
    return {**kept, **variables}


def run(*arguments, command=("-m", "coincall_fast"), **variables):
    return subprocess.run(
        [*PYTHON, *command, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=environment(**variables),
    )


def start(*arguments, **variables) -> Any:
    """A process that goes on, with its output to be read as it comes.

    It takes Ctrl-C even where the tests themselves were started in the background, deaf to it.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(**variables),
        )
    finally:
        signal.signal(signal.SIGINT, before)


def keys_of(exchange):
    return {"COINCALL_API_KEY": exchange.api_key, "COINCALL_API_SECRET": exchange.api_secret}
