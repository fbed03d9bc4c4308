"""Instructions that a call takes, by callgrind: a busy machine counts what an idle one does.

    python bench/instructions.py            compares with bench/instructions.json
    python bench/instructions.py record     writes it

A comparison fails when a row takes more than 3 % more than was recorded. Counts depend on the
compiler, on Cython and on CPython, so it says where those differ from the recorded ones.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from coincall_fast import _book

HERE = Path(__file__).parent
RECORD = HERE / "instructions.json"
BAND = 0.03


def counted() -> dict[str, float]:
    """Runs counted.py once. Each of its marks makes callgrind write a part and start from 0; of a
    row's two parts the second has one more of the same calls, and the marks themselves cancel."""
    if not shutil.which("valgrind"):
        sys.exit("needs valgrind")
    with tempfile.TemporaryDirectory() as directory:
        parts = Path(directory, "part")
        command = [
            "valgrind",
            "--quiet",
            "--tool=callgrind",
            "--dump-before=getppid",
            f"--callgrind-out-file={parts}",
            sys.executable,
            HERE / "counted.py",
        ]
        environment = os.environ | {"PYTHONHASHSEED": "0"}
        run = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        rows = [line.split(" ", 1) for line in run.stdout.splitlines()]
        answer = {}
        for i, (calls, name) in enumerate(rows):
            once, twice = (_total(Path(f"{parts}.{3 * i + part}")) for part in (2, 3))
            answer[name] = (twice - once) / int(calls)
        return answer


def _total(part: Path) -> int:
    return int(re.search(r"^totals: (\d+)", part.read_text(), re.MULTILINE)[1])


def made_with() -> dict[str, str]:
    core = Path(_book.__file__).read_bytes()
    compilers = set(re.findall(rb"(?:GCC: \([^)]*\)|clang version) [\d.]+", core))
    cython = set(re.findall(rb"_cython_(\d+(?:_\d+)+)", core))
    return {
        "core": ", ".join(sorted(name.decode() for name in compilers)),
        "cython": ", ".join(sorted(name.decode().replace("_", ".") for name in cython)),
        "python": f"{platform.python_version()}, {platform.python_compiler()}",
        "machine": platform.machine(),
    }


def record() -> int:
    rows = {name: round(count, 1) for name, count in counted().items()}
    RECORD.write_text(json.dumps({"made with": made_with(), "rows": rows}, indent=2) + "\n")
    return 0


def compare() -> int:
    recorded = json.loads(RECORD.read_text())
    for what, here in made_with().items():
        there = recorded["made with"][what]
        if there != here:
            print(f"{what}: recorded with {there}, this is {here}")
    then, now = recorded["rows"], counted()
    slower = 0
    print(f"{'instructions a call':<24}{'recorded':>12}{'now':>12}")
    for name in then | now:
        if name in then and name in now:
            change = now[name] / then[name] - 1
            slower += change > BAND
            print(f"{name:<24}{then[name]:12,.1f}{now[name]:12,.1f}{change:+10.1%}")
        else:
            print(f"{name}: {'only recorded' if name in then else 'not recorded'}")
    if slower:
        print(f"{slower} rows take over {BAND:.0%} more instructions than recorded")
    return int(slower > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", nargs="?", choices=("compare", "record"), default="compare")
    sys.exit(record() if parser.parse_args().action == "record" else compare())
