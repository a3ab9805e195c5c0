"""A browser and a JupyterLab on copies of the notebooks; skipped, with the reason, without a browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.lab import HEIGHT, WIDTH, Lab
from tests.browser.server import ROOT, Server, running_lab

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage"]
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder are marked, so that ``-m 'not browser'`` leaves them out."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("browser")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the system's Chromium; nothing is downloaded."""
    pytest.importorskip("playwright.sync_api", reason="no browser test: pip install -e '.[browser]'")
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        pytest.skip(f"no browser test: none of {', '.join(BROWSERS)} is installed")
    return executable


@pytest.fixture(scope="session")
def server(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """JupyterLab on copies of the lessons, and of the small notebooks beside this file."""
    folder = tmp_path_factory.mktemp("notebooks")
    for path in [*(ROOT / "notebooks").glob("*.ipynb"), *HERE.glob("*.ipynb")]:
        shutil.copy(path, folder)
    with running_lab(folder, tmp_path_factory.mktemp("jupyter")) as server:
        yield server


# Not longer than a module: while Playwright is there, its event loop runs in this thread.
@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Chromium without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def lab(browser: Browser, server: Server) -> Iterator[Lab]:
    """A new page, 1280 pixels wide."""
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
    page = context.new_page()
    yield Lab(page, server)
    context.close()
