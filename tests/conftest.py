"""Fixtures that more than one module wants."""

import contextlib
import gc
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import hypothesis
import pytest

pytest.register_assert_rewrite("both")

# A case that a busy machine keeps waiting for a fifth of a second is no failure.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")


def pytest_collection_finish():
    """Thousands of tests stay until the end: no collection of garbage need look at them again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _own_state(tmp_path_factory):
    """No test leaves anything in the state of whoever runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture
def book():
    """Three levels a side."""
    from small_book import loaded

    return loaded()


@pytest.fixture
def exchange():
    """A simulated exchange on loopback, the same market every time."""
    from coincall_fast.sim import Exchange

    switches = json.loads(os.environ.get("COINCALL_FAST_EXCHANGE", "{}"))
    with Exchange(seed=11, **switches) as running:
        yield running


@pytest.fixture
def short_waits(monkeypatch):
    """Waits between attempts, whose length is the subject of test_session.py, and of those for the
    outcome of an order, of test_outcomes.py."""
    from coincall_fast.backoff import Backoff
    from coincall_fast.rest import inquiry
    from coincall_fast.rest.outcomes import Pace

    monkeypatch.setattr(Backoff, "FIRST_S", 0.005)
    quick = Pace((0.01, 0.02, 0.05), 100, apart_s=0.01, total_s=0.5, spare_s=0.5, each_s=0)
    monkeypatch.setattr(inquiry, "PACE", quick)


@pytest.fixture(params=["direct", "requests"])
def way(request, monkeypatch):
    """REST goes over sockets of our own, all of it, and then by requests."""
    from coincall_fast.rest.calls import Rest

    chosen = {"direct": "_urgent", "requests": "_ordinary"}[request.param]
    monkeypatch.setattr(Rest, "_way", lambda rest, endpoint: getattr(rest, chosen))
    return request.param


@pytest.fixture
def no_names(monkeypatch):
    """No name but this machine's is known: no test reaches beyond it."""
    known = socket.getaddrinfo

    def look_up(host, *more, **how):
        if host in ("127.0.0.1", "localhost"):
            return known(host, *more, **how)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def _build(built: Path, outcome: Path) -> None:
    """Leaves an extension in `built`, and then in `outcome` what went wrong, if anything did."""
    told = "it was interrupted"
    try:
        shutil.copytree(Path(__file__).parent / "cimport_reader", built, dirs_exist_ok=True)
        # With -E and away from the checkout, what Cython finds is what is installed. A sanitizer
        # that is loaded into this process (.ci/run) is no business of the compiler's.
        environ = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
        build = [sys.executable, "-E", "setup.py", "build_ext", "--build-lib", "lib"]
        done = subprocess.run(
            build, check=False, cwd=built, env=environ, capture_output=True, encoding="utf-8"
        )
        told = f"{done.returncode}: {done.stdout}{done.stderr}" if done.returncode else ""
    finally:
        outcome.with_suffix(".part").write_text(told, encoding="utf-8")
        outcome.with_suffix(".part").replace(outcome)  # whole, for whoever waits for it


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """Somebody else's package that cimports the installed one: built here, and imported."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # the first worker of a run builds it, for all of them
    built, outcome = shared / "cimport_reader", shared / "cimport_reader.outcome"
    with contextlib.suppress(FileExistsError):
        built.mkdir()
        _build(built, outcome)
    end_s = time.monotonic() + 50
    while not outcome.exists():
        assert time.monotonic() < end_s, "whoever builds it does not get ready"
        time.sleep(0.02)
    assert outcome.read_text(encoding="utf-8") == ""
    (compiled,) = (built / "lib").iterdir()
    spec = importlib.util.spec_from_file_location("cimport_reader", compiled)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
