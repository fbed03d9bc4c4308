"""`doctor`, of this machine: the package, its compiled core, Python, NumPy and the processor."""

import importlib
import os
import platform
import sys
import sysconfig
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from ... import __version__, _book
from .checks import Check, failed, ok, warned

__all__ = ["look"]

COMPILED = ("_book", "_latency", "_message", "_wire")
X86_64 = ("x86_64", "AMD64")
SHOWN = ("SSE42", "AVX2", "AVX512F", "NEON", "ASIMD", "SVE")  # of what a processor can


def look() -> Iterator[Check]:
    yield ok("package", f"coincall-fast {__version__} in {os.path.dirname(_book.__file__)}")
    yield _core()
    yield _python()
    yield _numpy()
    yield _processor()


def _core() -> Check:
    modules = [importlib.import_module(f"coincall_fast.{name}") for name in COMPILED]
    again = "install it again: pip install --force-reinstall coincall-fast"
    return core(modules, _book.SIMD, platform.machine(), again)


def core(modules: list[ModuleType], simd: str | None, processor: str, again: str) -> Check:
    """All modules are compiled, and read levels as fast as this processor can."""
    python = [module.__name__ for module in modules if str(module.__file__).endswith(".py")]
    if python:
        return failed("core", f"not compiled: {', '.join(python)}", again)
    seen = f"{len(modules)} compiled modules, levels are read "
    if simd is not None:
        return ok("core", f"{seen}by {simd}")
    seen += "digit by digit"
    if processor in X86_64:
        return warned("core", f"{seen} on {processor}", f"COINCALL_FAST_BUILD was set: {again}")
    return ok("core", f"{seen}, as on every {processor}")


def _python() -> Check:
    return python(
        is_debug=hasattr(sys, "gettotalrefcount"),
        flags=f"{sysconfig.get_config_var('CFLAGS') or ''}",  # Windows has none
        is_free_threaded=bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    )


def python(*, is_debug: bool, flags: str, is_free_threaded: bool) -> Check:
    """An interpreter that is not slower than it has to be."""
    seen = f"{platform.python_implementation()} {platform.python_version()}"
    if is_debug:
        return warned("python", f"{seen}, a debug build", "use a release build: it is much faster")
    levels = [flag for flag in flags.split() if flag.startswith("-O")]
    if levels and levels[-1] in ("-O0", "-Og", "-O1"):
        advice = "use an optimised build, as distributions have"
        return warned("python", f"{seen}, compiled with {levels[-1]}", advice)
    if is_free_threaded:
        advice = "use the ordinary build: this one turns its GIL on for the compiled core"
        return warned("python", f"{seen}, free-threaded", advice)
    return ok("python", f"{seen}, compiled with {levels[-1]}" if levels else seen)


def _numpy() -> Check:
    return ok("numpy", str(np.__version__))


def _processor() -> Check:
    config: dict[str, Any] = np.show_config(mode="dicts")  # type: ignore[assignment]
    simd = config.get("SIMD Extensions", {})
    able = {*simd.get("baseline", ()), *simd.get("found", ())}
    shown = [name for name in SHOWN if name in able]
    seen = f"{os.cpu_count()} × {platform.machine()}, {platform.system()}"
    return ok("processor", f"{seen}, {' '.join(shown)}" if shown else seen)
