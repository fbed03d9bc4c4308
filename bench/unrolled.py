"""A small expression, evaluated so often in a row that the clock and the loop do not count."""

from collections.abc import Callable

TIMES = 100


def unrolled(expression: str, **names: object) -> Callable[[], None]:
    """A function that evaluates it TIMES times; the names in it are local variables."""
    parameters = ", ".join(f"{name}={name}" for name in names)
    lines = [f"def evaluate({parameters}):", *[f"    {expression}"] * TIMES]
    scope = dict(names)
    exec("\n".join(lines), scope)
    return scope["evaluate"]
