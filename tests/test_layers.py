"""Imports point down, and only the top of the house touches the network or the clock.

Reads the installed package, `_book.pyi` included, so that what is checked is what ships. The
compiled module's own imports are seen by loading it alone.
"""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

# A module imports only from lines below its own; modules of one line do not see each other.
# A package stands here under its own name, with all that is in it, or as its modules.
LAYERS = """
    __main__
    cli  pytest_plugin
    __init__
    coincall  bybit  gate
    guardian
    streams.stream  streams.player  rest.client
    rest.options  rest.futures  rest.account  rest.deadman
    rest.trading  rest.watch  rest.guard_process
    rest.inquiry  rest.countdown
    rest.calls  rest.tickets  rest.pages  rest.limits  rest.submitting  rest.sightings
    rest.outcomes
    tracking.reconciler
    tracking.tracker
    streams.link
    streams.fetcher
    streams.listeners  streams.connection
    streams.session
    streams.books
    streams.answers  streams.sequences  streams.repairs  streams.topics
    streams.dialect  streams.events  streams.inbox  streams.recorder  streams.fingerprint
    rest.endpoints
    streams.dial
    tracking.register  tracking.rules
    tracking.events  tracking.net
    tracking.orders  tracking.holdings
    tracking.exactly
    _book  rest.answers
    wire
    bybit_messages  gate_messages
    topics
    steps
    message  rest.reports
    records
    _message  rest.http  rest.direct
    rest.connection
    rest.exchange
    rest.instruments  rest.request  environment
    rest.parameters
    streams.latency  streams.recording  rest.ids  rest.decimals  rest.rates  rest.clock  rest.codes
    model  signing  backoff  connecting  lease
    _latency  _wire
    errors  change  tls  reading
    streams.__init__  rest.__init__  tracking.__init__
"""
APART = "sim"  # the simulated exchange shares no code with the client, so that it can check it
MAY_IMPORT_SIM = {"cli", "pytest_plugin"}

# The world outside: sockets, threads and clocks.
WORLD = """
    asyncio concurrent multiprocessing queue sched subprocess threading datetime time
    select selectors socket socketserver ssl
    aiohttp http requests urllib3 websocket
""".split()
MAY_TOUCH_WORLD = {"cli", "sim"} | set(
    """
    streams.stream streams.player streams.link streams.listeners streams.inbox
    tracking.reconciler tracking.tracker
    streams.connection streams.dial streams.recorder streams.fetcher
    rest.client rest.trading rest.calls rest.http rest.direct rest.connection rest.exchange
    rest.submitting rest.deadman rest.countdown rest.guard_process rest.limits
    rest.ids rest.sightings rest.inquiry rest.watch guardian connecting tls reading
    """.split()
)

PACKAGE = "coincall_fast"
UNITS = [line.split() for line in LAYERS.strip().splitlines()]
LEVEL = {unit: level for level, units in enumerate(reversed(UNITS)) for unit in units}


def package_dir() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def sources() -> dict[str, str]:
    """Source text by dotted name below the package; a package's own is ``name.__init__``."""
    root = package_dir()
    files = [*root.rglob("*.py"), *root.rglob("*.pyi")]
    return {
        ".".join(path.relative_to(root).with_suffix("").parts): path.read_text(encoding="utf-8")
        for path in files
    }


def unit_of(name: str) -> str:
    """What of the table a module belongs to: itself, or the package that stands there whole."""
    top = name.split(".")[0]
    return top if name not in LEVEL and top in {*LEVEL, APART} else name


def imports(name: str, source: str, units: set[str]) -> set[str]:
    """What a module imports: ``.unit`` for one of this package, the top name of any other."""
    parent = [PACKAGE, *name.split(".")[:-1]]
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            targets = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = parent[: len(parent) - node.level + 1] if node.level else []
            base = [*start, *(node.module or "").split(".")]
            targets = [[part for part in (*base, alias.name) if part] for alias in node.names]
        else:
            continue
        for top, *rest in targets:
            if top != PACKAGE:
                found.add(top)
                continue
            named = (".".join(rest[:2]), ".".join(rest[:1]), ".".join([*rest[:1], "__init__"]))
            found.add("." + next((unit for unit in named if unit in units), "__init__"))
    return found


def violations(modules: dict[str, str]) -> list[str]:
    units = {unit_of(name) for name in modules}
    found = [f"{unit} is in no layer" for unit in units - set(LEVEL) - {APART}]
    for name, source in modules.items():
        unit = unit_of(name)
        for target in imports(name, source, units):
            other = target.removeprefix(".")
            if other == target:
                wrong = other in WORLD and unit not in MAY_TOUCH_WORLD
            elif other == unit or unit not in {*LEVEL, APART}:
                wrong = False
            elif APART in (unit, other):
                wrong = other != APART or unit not in MAY_IMPORT_SIM
            else:
                wrong = other in LEVEL and LEVEL[other] >= LEVEL[unit]
            if wrong:
                found.append(f"{name} imports {target}")
    return sorted(found)


def test_imports_point_down() -> None:
    assert violations(sources()) == []


def test_every_name_of_the_table_exists() -> None:
    assert set(LEVEL) - {unit_of(name) for name in sources()} == set()


def test_the_compiled_module_loads_only_what_is_below_it() -> None:
    """Under an empty package, so that `__init__` cannot load anything first."""
    program = f"""
import sys, types
package = types.ModuleType({PACKAGE!r})
package.__path__ = [{str(package_dir())!r}]
sys.modules[{PACKAGE!r}] = package
import {PACKAGE}._book
print(*(name.split(".")[1] for name in sys.modules if name.startswith("{PACKAGE}.")))
"""
    run = [sys.executable, "-c", program]
    loaded = set(subprocess.run(run, check=True, capture_output=True, text=True).stdout.split())
    assert "_book" in loaded
    above = {unit for unit in loaded - {"_book"} if LEVEL.get(unit, 99) >= LEVEL["_book"]}
    assert above == set()


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("streams.session", "import time", ["streams.session imports time"]),
        ("wire", "def f():\n    from time import monotonic", ["wire imports time"]),
        ("signing", "import http.client", ["signing imports http"]),
        ("coincall", "import threading", ["coincall imports threading"]),
        ("streams.link", "from .stream import X", ["streams.link imports .streams.stream"]),
        ("streams.link", "from . import stream", ["streams.link imports .streams.stream"]),
        ("wire", "import coincall_fast.rest.client", ["wire imports .rest.client"]),
        ("rest.http", "from ..streams import link", ["rest.http imports .streams.link"]),
        ("rest.codes", "from coincall_fast import OrderBook", ["rest.codes imports .__init__"]),
        ("model", "from .wire import Wire", ["model imports .wire"]),
        ("wire", "from .sim import server", ["wire imports .sim"]),
        ("sim.server", "from ..signing import sign", ["sim.server imports .signing"]),
        ("sim.server", "from ..rest.http import X", ["sim.server imports .rest.http"]),
        ("cli.table", "from .. import __main__", ["cli.table imports .__main__"]),
        ("helpers", "", ["helpers is in no layer"]),
        ("rest.helpers", "", ["rest.helpers is in no layer"]),
        ("streams.link", "import socket\nfrom .session import Session", []),
        ("cli.table", "from . import live\nfrom ..sim import serve\nfrom .. import OrderBook", []),
        ("sim.server", "import aiohttp\nfrom .market import Market\nfrom . import market", []),
    ],
)
def test_the_check_itself(name: str, source: str, expected: list[str]) -> None:
    whole = dict.fromkeys([*LEVEL, "sim.__init__", "sim.market"], "")
    assert violations(whole | {name: source}) == expected
