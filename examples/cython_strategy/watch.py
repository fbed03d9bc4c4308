"""A strategy in Cython that reads the compiled book: `python examples/cython_strategy/watch.py`

`pressure.pyx`, beside this, is compiled on the fly. That needs Cython, setuptools and a C compiler,
and finds the book's declarations (`_book.pxd`) where Python finds the package. In a package of your
own, `Extension("pressure", ["pressure.pyx"])` in its setup.py is all that it takes.
"""

import argparse
import importlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from coincall_fast import Channel, Stream
from coincall_fast.sim import Exchange

HERE = Path(__file__).parent
SETUP = """
from setuptools import Extension, setup
setup(name="pressure", ext_modules=[Extension("pressure", ["pressure.pyx"])])
"""
LOOKS = 20_000  # some 5 ms


def compiled(folder: Path) -> ModuleType:
    shutil.copy(HERE / "pressure.pyx", folder)
    (folder / "setup.py").write_text(SETUP)
    build = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    subprocess.run(build, cwd=folder, check=True)
    sys.path.insert(0, str(folder))
    return importlib.import_module("pressure")


def main() -> None:
    asked = argparse.ArgumentParser(description="Watches a live book from Cython.")
    asked.add_argument("--changes", type=int, default=10, help="of the book, to be waited for")
    changes = asked.parse_args().changes
    with tempfile.TemporaryDirectory() as folder, Exchange() as venue:
        pressure = compiled(Path(folder))
        key, secret = venue.api_key, venue.api_secret
        with Stream("futures", ws_url=venue.ws_url, api_key=key, api_secret=secret) as stream:
            stream.subscribe(Channel.BOOK, "BTCUSD")
            next(item for item in stream if getattr(item, "symbol", None) == "BTCUSD")
            watching = pressure.Pressure(stream.store["BTCUSD"])
            while watching.changes < changes:
                watching.watch(LOOKS)
        print(
            f"{watching.looks} looks at {watching.changes} books: pressure {watching.last:+.3f}, "
            f"from {watching.lowest:+.3f} to {watching.highest:+.3f}"
        )


if __name__ == "__main__":
    main()
