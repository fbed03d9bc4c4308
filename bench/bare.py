"""bare.pyx, compiled with the flags of the core and imported."""

import os
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_suffix(".pyx")


def build(directory: Path) -> type:
    """The class `Bare`, compiled there; skips the test where Cython is not installed."""
    pytest.importorskip("Cython", reason="needs Cython")
    pytest.importorskip("setuptools", reason="needs setuptools")
    source = shutil.copy(SOURCE, directory)
    subprocess.run(
        [sys.executable, "-m", "Cython.Build.Cythonize", "--inplace", "--quiet", source],
        env=os.environ | {"CFLAGS": "-O3 -g0"},
        cwd=directory,
        check=True,
    )
    built = directory / f"bare{EXTENSION_SUFFIXES[0]}"
    spec = spec_from_file_location("bare", built)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Bare
