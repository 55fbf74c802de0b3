"""Generated pages for an evaluation, each with one thing asked of it; measured by the generator's own Chromium."""

import asyncio
import json
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from foveate.actions.errors import UsageError
from foveate.agent.evaluation_asking import ASK, Asked
from foveate.agent.evaluation_items import NEXT_TRY, TRIES, Item
from foveate.agent.training.layouts import write_page
from foveate.agent.training.markup import Page
from foveate.agent.training.rendering import Renderer
from foveate.agent.training.words import Split

_LIVE = """<script>(() => {
  const part = document.querySelector("[data-scroll]");
  if (part) part.scrollTop = Math.round((part.scrollHeight - part.clientHeight) * %s);
  document.querySelectorAll(".caret").forEach(caret => caret.remove());
})()</script>"""

_VERDICT = """<script>(() => {
  const wanted = %s, at = %s;
  const fields = [...document.querySelectorAll("input, textarea, select")];
  const meant = document.elementFromPoint(at[0] * innerWidth, at[1] * innerHeight).closest("input, textarea");
  const says = field => ["checkbox", "radio"].includes(field.type) ? field.checked : field.value;
  const before = fields.map(says);
  const done = () => fields.every((field, i) => says(field) === (field === meant ? wanted.text : before[i]));
  Object.defineProperty(window, "foveateTask", {value: Object.freeze({instruction: wanted.task, done})});
})()</script>"""


class Pages:
    """Writes and measures pages, in a thread of its own: the generator's browser is a synchronous one.

    Args:
        browser: Path of the Chromium; None looks for one.
    """

    def __init__(self, browser: str | None = None) -> None:
        self._browser = browser
        self._thread = ThreadPoolExecutor(1, "foveate-pages")
        self._renderer: Renderer | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        finally:
            self._thread.shutdown()

    async def asked(self, item: Item) -> Asked:
        """Write an item's page, measure it and ask.

        Raises:
            MissingDependency: If Playwright or a Chromium is missing.
            UsageError: If no page of the item's seeds has what is asked for.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._asked, item)

    def _close(self) -> None:
        if self._renderer is not None:
            self._renderer.close()

    def _asked(self, item: Item) -> Asked:
        if self._renderer is None:
            self._renderer = Renderer(across=1, browser=self._browser).__enter__()
        split: Split = "unseen" if item.split == "unseen" else "seen"
        for number in range(TRIES):
            page = write_page(item.seed + number * NEXT_TRY, split)
            (screen,) = self._renderer.draw([page])
            rng = random.Random(f"{item.key} {number}")  # noqa: S311 - choosing, not secrets
            asked = ASK[item.suite](rng, page, screen)
            if asked is not None:
                return asked
        raise UsageError(f"none of {TRIES} pages has what {item.key} asks for: give another --seed")


def live(page: Page, *scripts: str) -> str:
    """Write a page as a file that a browser opens as it was measured; carets that were drawn are left out."""
    whole = page.html.removesuffix("</body>") + "".join((_LIVE % json.dumps(page.scroll), *scripts))
    return f"<!doctype html><html>{whole}</body></html>"


def with_verdict(asked: Asked) -> str:
    """Write a typing item's page as one that says by itself whether the text stands in the field, and nowhere else."""
    if asked.question.element is None:
        raise ValueError(f"{asked.question.task!r} is about no field")
    aim = asked.screen.elements[asked.question.element].aim
    wanted = {"task": asked.question.task, "text": asked.text}
    given = tuple(json.dumps(value).replace("<", "\\u003c") for value in (wanted, aim))
    return live(asked.page, _VERDICT % given)
