"""The fixture `coincall_exchange`, for a strategy's own tests; pytest finds it by itself.

    def test_my_strategy(coincall_exchange):
        keys = {"api_key": coincall_exchange.api_key, "api_secret": coincall_exchange.api_secret}
        with Stream("futures", ws_url=coincall_exchange.ws_url, **keys) as stream:
            strategy = MyStrategy(stream)
            coincall_exchange.drop_connections()
            assert strategy.pulls_its_quotes()

`@pytest.mark.coincall_exchange(seed=7, flow=0.0)` says how it is to be: what `sim.Exchange` takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .sim import Exchange

__all__ = ["coincall_exchange"]

_MARK = "coincall_exchange"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"{_MARK}(**switches): how the simulated exchange of this test is to be"
    )


@pytest.fixture
def coincall_exchange(request: pytest.FixtureRequest) -> Iterator[Exchange]:
    """A simulated exchange of its own for each test, the same market every time."""
    from .sim import Exchange  # stands on an extra, which only those tests need that ask for it

    mark = request.node.get_closest_marker(_MARK)
    with Exchange(**(mark.kwargs if mark else {})) as exchange:
        yield exchange
