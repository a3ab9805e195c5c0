"""What a person does in JupyterLab, in words: open, run all, wait, press, look."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser.server import ROOT, Server

if TYPE_CHECKING:
    from playwright.sync_api import Locator, LocatorAssertions, Page

WIDTH, HEIGHT = 1280, 900
ANSWER_SECONDS = 60
_PICTURE = """panel => {
    const [image, canvas] = ["img", "canvas"].map(name => panel.querySelector(name));
    return image ? image.src : canvas.toDataURL();
}"""
_CUT_OFF = """panel => {
    const edge = panel.getBoundingClientRect().right + 1;
    const all = names => [...panel.querySelectorAll(names)];
    const over = all("img, canvas, button, table, input").filter(
        one => one.getBoundingClientRect().right > edge);
    const labels = all("*").filter(
        one => getComputedStyle(one).textOverflow === "ellipsis" && one.scrollWidth > one.clientWidth);
    return [...over.map(one => one.tagName), ...labels.map(one => one.innerText)];
}"""


def screenshot_folder() -> Path:
    """Where pictures go: CAVIAR_KIT_SCREENSHOTS, else results/browser."""
    folder = Path(os.environ.get("CAVIAR_KIT_SCREENSHOTS", ROOT / "results" / "browser"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Lab:
    """One page of JupyterLab."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page, self.server = page, server
        self.folder = server.folder
        page.set_default_timeout(1e3 * ANSWER_SECONDS)

    def open_notebook(self, name: str) -> None:
        """Open a notebook of the folder, and wait for its kernel."""
        self.page.goto(self.server.address(name))
        self.page.locator(".jp-Notebook .jp-Cell").first.wait_for()
        # the notebook's own sign of an idle kernel is there before the kernel
        self.page.locator("#jp-main-statusbar").get_by_text(re.compile(r"Python 3.*\| Idle")).wait_for()
        # room for the notebook: the file browser would take a fifth of the 1280 pixels
        self.page.keyboard.press("Control+b")

    def run_all(self) -> None:
        """Menu Run → Run All Cells."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        self._prompts().filter(has_text=re.compile(r"[\d*]")).first.wait_for()

    def wait_for_idle(self, seconds: float) -> None:
        """Until every cell has run; a cell that failed is an error at once."""
        error = self.page.locator('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"]')
        for _ in range(int(2 * seconds)):
            assert not error.count(), f"a cell failed:\n{error.first.inner_text()[-3000:]}"
            prompts = self._prompts().all_inner_texts()
            if prompts and all(re.search(r"\d", prompt) for prompt in prompts):
                return
            self.page.wait_for_timeout(500)
        raise AssertionError(f"still running after {seconds} s: {prompts}")

    def _prompts(self) -> Locator:
        return self.page.locator(".jp-CodeCell .jp-InputPrompt")

    def panel(self, text: str) -> Locator:
        """The last output in which ``text`` is to be read."""
        outputs = self.page.locator(".jp-OutputArea-output").filter(has=self.page.locator(".jupyter-widgets"))
        panel = outputs.filter(has_text=text).last
        panel.scroll_into_view_if_needed()
        return panel

    def drawing(self, panel: Locator) -> str:
        """The panel's first picture as text: of an image, or of an ipympl canvas."""
        return str(panel.evaluate(_PICTURE))

    def wait_for_another(self, panel: Locator, drawn: str) -> None:
        """Until the picture is not ``drawn`` any more."""
        for _ in range(4 * ANSWER_SECONDS):
            if self.drawing(panel) != drawn:
                return
            self.page.wait_for_timeout(250)
        raise AssertionError("the picture did not change")

    def slider(self, panel: Locator, label: str) -> Locator:
        """The row of a slider: its name, the slider, what it reads."""
        return panel.locator(".widget-slider").filter(has=self.page.get_by_text(label, exact=True))

    def turn(self, panel: Locator, label: str, key: str) -> None:
        """Press a key on a slider."""
        self.slider(panel, label).get_by_role("slider").focus()
        self.page.keyboard.press(key)

    def reading(self, panel: Locator, label: str) -> str:
        """What a slider reads."""
        return self.slider(panel, label).locator(".widget-readout").inner_text()

    def slider_end(self, panel: Locator, label: str) -> int:
        """The largest value of a slider."""
        return int(
            float(self.slider(panel, label).get_by_role("slider").get_attribute("aria-valuemax") or "nan")
        )

    def click_at(self, panel: Locator, x: float, y: float) -> None:
        """Click into the panel's canvas, at fractions of its width and height."""
        canvas = panel.locator("canvas").first
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        assert box is not None, "no canvas"
        self.page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])

    def cut_off(self, panel: Locator) -> list[str]:
        """Labels that end in …, and what reaches over the panel's right edge."""
        return list(panel.evaluate(_CUT_OFF))

    def expect(self, what: Locator) -> LocatorAssertions:
        """Playwright's assertions, which wait until they hold or time is up."""
        from playwright.sync_api import expect  # not at the top: it may not be installed

        expect.set_options(timeout=1e3 * ANSWER_SECONDS)
        return expect(what)

    def screenshot(self, name: str, what: Locator | None = None) -> Path:
        """Keep a picture of the page, or of a part of it however high."""
        path = screenshot_folder() / f"{name}.png"
        if what is None:
            self.page.screenshot(path=path)
            return path
        box = what.bounding_box() or {}
        self.page.set_viewport_size({"width": WIDTH, "height": HEIGHT + int(box.get("height", 0))})
        what.scroll_into_view_if_needed()
        what.screenshot(path=path)
        self.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
        return path
