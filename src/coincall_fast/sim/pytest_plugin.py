"""The fixture `coincall_exchange`, for a strategy's own tests.

    pytest_plugins = ["coincall_fast.sim.pytest_plugin"]  # in conftest.py

    def test_my_strategy(coincall_exchange):
        run(rest_url=coincall_exchange.rest_url, ws_url=coincall_exchange.ws_url, …)
        coincall_exchange.drop_connections()

`@pytest.mark.coincall_exchange(seed=7, flow=0.0)` says how it is to be: what `Exchange` takes.
"""

from collections.abc import Iterator

import pytest

from .exchange import Exchange

__all__ = ["coincall_exchange"]

_MARK = "coincall_exchange"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"{_MARK}(**switches): how the simulated exchange of this test is to be"
    )


@pytest.fixture
def coincall_exchange(request: pytest.FixtureRequest) -> Iterator[Exchange]:
    """A simulated exchange of its own for each test, the same market every time."""
    mark = request.node.get_closest_marker(_MARK)
    with Exchange(**(mark.kwargs if mark else {})) as exchange:
        yield exchange
