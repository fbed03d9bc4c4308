"""Ends a run with the table that the README quotes: nanoseconds a call, and the ratio to ours."""

import gc
from collections import defaultdict

import pytest

OURS = "OrderBook.apply"


@pytest.fixture(autouse=True)
def _quiet_collector():
    """What exists before a benchmark is none of its business."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def pytest_terminal_summary(terminalreporter, config):
    session = getattr(config, "_benchmarksession", None)
    groups = defaultdict(dict)
    for bench in session.benchmarks if session else ():
        if bench.stats.rounds and "contender" in bench.extra_info:
            ns = bench.stats.median * 1e9 / bench.extra_info["calls"]
            groups[bench.group][bench.extra_info["contender"]] = ns
    for group, contenders in groups.items():
        terminalreporter.section(group)
        ours = contenders.get(OURS)
        for contender, ns in sorted(contenders.items(), key=lambda item: item[1]):
            ratio = f"{ns / ours:8.1f} x" if ours else ""
            terminalreporter.write_line(f"{contender:<20} {ns:12,.0f} ns {ratio}")
