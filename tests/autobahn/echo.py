"""Goes through all cases of Autobahn's fuzzing server, and prints what its report says."""

import json
import sys
import time
from collections import Counter
from pathlib import Path

from coincall_fast.errors import TransportError
from wire_echo import converse

AGENT = "coincall_fast"
GOOD = {"OK", "INFORMATIONAL"}


def main(server: str, reports: Path) -> int:
    end_s = time.monotonic() + 20
    while True:
        try:
            count = int(converse(f"{server}/getCaseCount", echo=False)[0])
            break
        except TransportError:
            if time.monotonic() > end_s:
                raise
            time.sleep(0.1)
    for case in range(1, count + 1):
        converse(f"{server}/runCase?case={case}&agent={AGENT}")
    converse(f"{server}/updateReports?agent={AGENT}")
    results = json.loads((reports / "index.json").read_text())[AGENT]
    for name, result in results.items():
        if not {result["behavior"], result["behaviorClose"]} <= GOOD:
            print(f"case {name}: {result['behavior']}, close {result['behaviorClose']}")
    for kind in ("behavior", "behaviorClose"):
        told = Counter(result[kind] for result in results.values())
        print(f"{kind} of {len(results)}:", ", ".join(f"{n} {what}" for what, n in told.items()))
    return int(any("FAILED" in (r["behavior"], r["behaviorClose"]) for r in results.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
