"""docs/unverified.md names what there is: each place that it gives, and each switch."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

from coincall_fast.sim import Exchange

DOC = (Path(__file__).parent.parent / "docs" / "unverified.md").read_text(encoding="utf-8")
SIM = DOC.partition("# What the client assumes")[0]
PLACES = [row.split(" | ")[-1] for row in SIM.splitlines() if row.startswith("| ")]
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


def test_every_switch_is_in_the_list() -> None:
    named = set(re.findall(r"`Exchange\((\w+)=", SIM))
    assert named == set(inspect.signature(Exchange).parameters) - OURS
