"""What is said of a release in several places is said alike: version, Pythons, platforms, set-up.

Reads the files at the root of the checkout; where tests run elsewhere, they are copied along.
"""

import ast
import re
import tomllib
from importlib import import_module
from importlib.metadata import metadata, version
from pathlib import Path
from typing import Any

import coincall_fast

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT: dict[str, Any] = PYPROJECT["project"]


def blocks(language: str, text: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def minors(texts: list[str], pattern: str) -> set[int]:
    return {int(minor) for text in texts for minor in re.findall(pattern, text)}


def test_one_version() -> None:
    headings = re.findall(r"^## .*", CHANGELOG, flags=re.MULTILINE)
    numbers = [n for heading in headings for n in re.findall(r"\d+\.\d+\.\d+\S*", heading)]
    said = {
        "pyproject.toml": PROJECT["version"],
        "installed": version("coincall-fast"),
        "__version__": coincall_fast.__version__,
        "CHANGELOG.md": numbers[0] if numbers else None,
    }
    assert set(said.values()) == {PROJECT["version"]}, said


def test_readme_has_two_set_up_commands() -> None:
    set_up = README.split("\n## Set up\n")[1].split("\n## ")[0]
    assert [len(block.splitlines()) for block in blocks("sh", set_up)] == [1, 1]


def test_readme_python_is_legal_and_its_imports_exist() -> None:
    for block in blocks("python", README):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("coincall_fast"):
                module = import_module(node.module or "")
                missing = [a.name for a in node.names if not hasattr(module, a.name)]
                assert missing == [], block


def test_one_set_of_pythons_and_platforms() -> None:
    wheels: list[str] = PYPROJECT["tool"]["cibuildwheel"]["build"]
    built = [{int(n) for n in re.findall(r"\d", w.split("cp31{")[1].split("}")[0])} for w in wheels]
    pythons = {10 + n for n in built[0]}
    assert built == [built[0]] * len(wheels)
    assert pythons == minors(PROJECT["classifiers"], r"Python :: 3\.(\d+)")
    assert PROJECT["requires-python"] == f">=3.{min(pythons)}"
    assert metadata("coincall-fast")["Requires-Python"] == PROJECT["requires-python"]

    promise = re.search(r"CPython 3\.(\d+) to 3\.(\d+)[^|]*?(?=\n\n|\|)", README)
    assert promise is not None
    assert {int(n) for n in promise.groups()} == {min(pythons), max(pythons)}
    platforms = "Linux x86_64 aarch64 glibc musl macOS arm64 Windows".split()
    assert [word for word in platforms if word not in promise[0]] == []
