"""How src/_*.pyx become modules of coincall_fast.

COINCALL_FAST_BUILD chooses the mode:

release  what wheels are made of (the default)
portable release without SIMD, which is what other processors than x86-64 get
debug    bounds checks, assertions and line numbers
asan     debug under the address and undefined-behaviour sanitizers
trace    line events, so that coverage sees the .pyx
"""

import os
import sys
from glob import glob

from setuptools import Extension, setup

UNCHECKED = dict.fromkeys(("boundscheck", "wraparound", "initializedcheck"), False)
SANITIZE = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer"]
TRACE = [("CYTHON_TRACE_NOGIL", "1"), ("CYTHON_USE_SYS_MONITORING", "0")]

# mode: (compiler flags, linker flags, C macros, Cython directives)
MODES = {
    "release": (["-O3", "-g0"], [], [], UNCHECKED),
    "portable": (["-O3", "-g0"], [], [("COINCALL_FAST_PORTABLE", "1")], UNCHECKED),
    "debug": (["-O0", "-g3", "-UNDEBUG"], [], [], {}),
    # -fno-wrapv: Python's own flags define signed overflow, which would hide it.
    "asan": (["-O1", "-g3", "-UNDEBUG", "-fno-wrapv", *SANITIZE], SANITIZE, [], {}),
    "trace": (["-O0"], [], TRACE, {"linetrace": True}),
}
mode = os.environ.get("COINCALL_FAST_BUILD", "release")
if mode not in MODES:
    sys.exit(f"COINCALL_FAST_BUILD={mode!r}: must be one of {', '.join(MODES)}")
cflags, ldflags, macros, directives = MODES[mode]
if sys.platform == "win32":  # MSVC spells these differently and needs none of them
    cflags, ldflags = [], []


def extension(name: str) -> Extension:
    return Extension(
        f"coincall_fast.{name}",
        [f"src/{name}.pyx"],
        include_dirs=["src"],
        depends=sorted(glob("src/*.h") + glob("src/*.px[di]") + glob("src/coincall_fast/*.pxd")),
        define_macros=macros,
        extra_compile_args=cflags,
        extra_link_args=ldflags,
    )


setup(
    ext_modules=[extension(name) for name in ("_book", "_latency", "_message", "_wire")],
    options={
        "build_ext": {
            # Cython does not see an edit to a .pxd that is not beside its .pyx, nor a change of
            # mode, and would silently keep the old C: so always rebuild.
            "force": True,
            "cython_directives": directives,
            "cython_include_dirs": ["src"],
            "cython_line_directives": mode in ("debug", "asan"),
            # Coverage reads the C beside the .pyx; otherwise src/ stays clean.
            "cython_c_in_temp": mode != "trace",
        }
    },
)
