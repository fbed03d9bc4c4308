"""docs/unverified.md names what there is: each place that it gives, and each switch."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

from coincall_fast.sim import Exchange

DOC = (Path(__file__).parent.parent / "docs" / "unverified.md").read_text(encoding="utf-8")
SIM, _, CLIENT = DOC.partition("# What the client assumes")
PLACES = [row.split(" | ")[-1] for row in SIM.splitlines() if row.startswith("| ")]
CLIENT_PLACES = sorted(
    set(re.findall(r"`((?:streams|rest|coincall|bybit|gate|wire|model)\.[\w.]+)", CLIENT))
)
# What is no alternative of the venue's, but where, when and for whom it runs.
OURS = {"seed", "host", "port", "api_key", "api_secret", "permissions", "cash", "edition", "flow"}
OURS |= {"expiries", "speed", "start_ms", "clock_offset_ms", "faults"}
OURS |= {"options_period_ms", "futures_period_ms"}  # documented: 100 and 200 ms


@pytest.mark.parametrize("place", PLACES)
def test_what_depends_on_an_assumption_exists(place: str) -> None:
    before = ""
    for given in re.findall(r"`(\.?[a-z_0-9]+(?:\.[A-Za-z_0-9]+)*)`", place):
        name = before.rpartition(".")[0] + given if given.startswith(".") else given
        before = name
        module, *attributes = name.split(".")
        if name == "not.allow":  # a message
            continue
        found = importlib.import_module(f"coincall_fast.sim.{module}")
        for attribute in attributes:
            found = getattr(found, attribute)


@pytest.mark.parametrize("place", CLIENT_PLACES)
def test_what_the_client_does_about_it_exists(place: str) -> None:
    names = place.split(".")
    modules = 2 if names[0] in ("streams", "rest") else 1
    found = importlib.import_module("coincall_fast." + ".".join(names[:modules]))
    for attribute in names[modules:]:
        found = getattr(found, attribute)


def test_there_are_such_places() -> None:
    assert len(CLIENT_PLACES) > 20


def test_every_switch_is_in_the_list() -> None:
    named = set(re.findall(r"`Exchange\((\w+)=", SIM))
    assert named == set(inspect.signature(Exchange).parameters) - OURS
