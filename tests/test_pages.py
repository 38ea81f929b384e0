"""What all the tutorial and how-to pages have in common: what they name exists."""

from __future__ import annotations

import inspect
import re

import pytest

import epsignal_sync as eps

from .pages import Page
from .test_samples import ROOT

PAGES = ["first-blocked-call", "prepare-the-pbx", "epsignal-or-rcc", "tls", "reconnect", "services"]
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]*)\)")


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest) -> Page:
    return Page(f"{request.param}.md")


def anchors(text: str) -> set[str]:
    """Return what the headings of a page are called in links to them, as GitHub and Sphinx make it of them."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_each_link_leads_somewhere(page: Page) -> None:
    for target in LINK.findall(page.text):
        name, _, anchor = target.partition("#")
        assert not name or (ROOT / "docs" / name).is_file(), target
        text = (ROOT / "docs" / name).read_text(encoding="utf-8") if name else page.text
        assert not anchor or anchor in anchors(text), target


def test_each_file_exists(page: Page) -> None:
    for name in re.findall(r"`((?:samples|docs)/[\w-]+\.\w+)`", page.text):
        assert (ROOT / name).is_file(), name


def test_each_name_of_the_library_exists(page: Page) -> None:
    for name in re.findall(r"\beps\.([A-Za-z_]+)", page.text):
        assert hasattr(eps, name), name
    for name in re.findall(r"`client\.(\w+)", page.text):
        assert hasattr(eps.Client, name), name
    for name in re.findall(r"`phone\.(\w+)", page.text):
        assert hasattr(eps.Device, name), name
    for name in re.findall(r"`call\.(\w+)", page.text):
        assert hasattr(eps.Call, name), name


def test_each_option_exists(page: Page) -> None:
    options = {*inspect.signature(eps.connect).parameters, *inspect.signature(eps.Device.intercept).parameters}
    prose = re.sub(r"^```.*?^```$", "", page.text, flags=re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"`([a-z]\w*)=[^`]*`", prose))
    assert named <= options, named - options


def test_each_fence_ends(page: Page) -> None:
    """An odd one would have the rest of the page shown as code."""
    opened = re.findall(r"^```(\w*)$", page.text, re.MULTILINE)
    assert all(opened[::2]) and not any(opened[1::2]), opened
