"""Ends a run with the tables that the README quotes: nanoseconds a call, and ratios.

Ratios are of medians. A median far above the least of its samples was disturbed: run it again.
"""

import gc
from collections import defaultdict

import pytest

# A contender of this name is 1.0 in a column of its own.
UNITS = (
    "OrderBook.apply",
    "OrderBook",
    "decode",
    "decode_into",
    "Connection",
    "msgspec",
    "bare @property",
    "bare method",
    "requests",
)


@pytest.fixture(autouse=True)
def _quiet_collector():
    """What exists before a benchmark is none of its business."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.hookimpl(trylast=True)  # after the long tables of pytest-benchmark
def pytest_terminal_summary(terminalreporter, config):
    session = getattr(config, "_benchmarksession", None)
    groups = defaultdict(dict)
    for bench in session.benchmarks if session else ():
        if bench.stats.rounds and "contender" in bench.extra_info:
            per_call = 1e9 / bench.extra_info["calls"]
            times = bench.stats.median * per_call, bench.stats.min * per_call
            groups[bench.group][bench.extra_info["contender"]] = times
    for group, contenders in groups.items():
        terminalreporter.section(group)
        units = [unit for unit in UNITS if unit in contenders] if len(contenders) > 1 else []
        heads = "".join(f"{f'x {unit}':>18}" for unit in units)
        terminalreporter.write_line(f"{'':<20}{'ns':>9}{'least':>9}{heads}")
        for contender, (ns, least) in sorted(contenders.items(), key=lambda item: item[1]):
            digits = 0 if ns > 99 else 1
            ratios = "".join(f"{ns / contenders[unit][0]:18.2f}" for unit in units)
            terminalreporter.write_line(
                f"{contender:<20}{ns:9,.{digits}f}{least:9,.{digits}f}{ratios}"
            )
