"""Fixtures that more than one module wants."""

import pytest


@pytest.fixture
def book():
    """Three levels a side."""
    from small_book import loaded

    return loaded()


@pytest.fixture
def exchange():
    """A simulated exchange on loopback, the same market every time."""
    from coincall_fast.sim import Exchange

    with Exchange(seed=11) as running:
        yield running
