"""The documents speak of what is there."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SOURCES = "\n".join(
    path.read_text()
    for package in ("bench", "controller", "drivers", "hal_sim", "motion")
    for path in sorted((ROOT / package).rglob("*.py"))
)
FILE = re.compile(r"`([\w./-]+/[\w.-]+\.(?:py|toml|yaml|md))`")
LINK = re.compile(r"\]\(([^)#:]+)\)")
FUNCTION = re.compile(r"`([a-z]+(?:_[a-z]+)+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_a_page_names_or_links_exists(page: Path) -> None:
    text = page.read_text()
    named = {name for name in FILE.findall(text) if not (ROOT / name).exists()}
    linked = {link for link in LINK.findall(text) if not (page.parent / link).exists()}
    assert not named | linked


def test_every_function_of_the_walk_through_a_cycle_exists() -> None:
    walk = (ROOT / "docs/architecture.md").read_text()
    names = set(FUNCTION.findall(walk))
    assert len(names) > 15
    missing = {name for name in names if not re.search(rf"\b{name}\b", SOURCES)}
    assert not missing


def test_the_readme_fits_the_first_screen() -> None:
    first = (ROOT / "README.md").read_text().splitlines()[:20]
    text = "\n".join(first)
    assert "make run" in text
    assert "make test" in text
    assert "![" in text


def test_every_dependency_is_in_the_list_of_licences() -> None:
    listed = (ROOT / "THIRD_PARTY.md").read_text().lower()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = project["dependencies"] + project["optional-dependencies"]["test"]
    names = {re.split(r"[^\w.-]", line)[0].lower() for line in needed}
    assert len(names) > 10
    assert not {name for name in names if f"| {name} |" not in listed}
