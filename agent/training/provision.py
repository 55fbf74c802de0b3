"""Make what training needs and does not find: pages and demonstrations by Chromium, where there is one.

``python -m foveate.agent.training.provision --work DIR`` makes the shards that ``configs/tiny.toml`` names; those that
are there are kept, so that an interrupted call goes on; one that was made of fewer seeds is made again. Without
Chromium training makes do with what is there, and with the pages that are drawn without a browser; ``--data FILE``
unpacks what ``foveate data pack`` brought together elsewhere, and makes nothing.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from foveate.actions.errors import FoveateError, MissingDependency, UsageError
from foveate.agent.training.work_folder import alone
from foveate.policies.training.packs import unpack

PAGES: Final = 20_000
"""Screens of pages, where nothing else is said."""

PROGRAMS: Final = 6_000
"""Programs that are demonstrated, several screens each, where nothing else is said."""


def provide(work: Path, *, pages: int, programs: int, workers: int, say: Callable[[str], None]) -> None:
    """Make the missing shards of a work folder: ``shards/pages`` and ``shards/programs``.

    Args:
        work: The folder.
        pages: Screens of pages; seeds from 0.
        programs: Programs to demonstrate; seeds from 0.
        workers: Processes, each with browsers of its own.
        say: Takes a line for people.

    Raises:
        FoveateError: If a browser fails.
    """
    if not has_chromium():
        found = {name: len(list((work / "shards" / name).glob("*.tar"))) for name in ("pages", "programs")}
        shards = ", ".join(f"{count} shards of {name}" for name, count in found.items())
        say(f"no Chromium here: training goes with what is there ({shards}) and with pages drawn without a browser")
        return
    from foveate.agent.training import making
    from foveate.agent.training.programs import demonstrations

    folder = work / "shards"
    drawn = [
        one
        for one in making.orders(folder / "pages", range(pages), "seen", 1, making.Way())
        if _wanting(one.path, one.seeds, say)
    ]
    if drawn:
        say(f"{len(drawn)} shards of pages are missing: they are drawn now")
        say(f"pages: {making.make(drawn, workers=workers, say=say)}")
    shown = [
        one for one in demonstrations.orders(folder / "programs", range(programs)) if _wanting(one.path, one.seeds, say)
    ]
    if shown:
        say(f"{len(shown)} shards of programs are missing: the oracle demonstrates them now")
        say(f"programs: {demonstrations.make(shown, workers=workers, say=say)}")


def take(pack: Path, work: Path, *, say: Callable[[str], None]) -> None:
    """Unpack what was brought together elsewhere into a work folder's shards.

    Raises:
        UsageError: If it is no pack, or holds neither pages nor programs, which alone are trained on.
    """
    written = unpack(pack, work / "shards", say)
    if not written.keys() & {"pages", "programs"}:
        raise UsageError(
            f"{pack} holds {', '.join(written)}, and training looks for pages and programs: pack folders of these names"
        )
    say(", ".join(f"{count:,} screens of {name} unpacked" for name, count in written.items()))


def _wanting(path: Path, seeds: range, say: Callable[[str], None]) -> bool:
    """Tell whether a shard is to be made: it is missing, was made for fewer seeds, or is broken, and so deleted."""
    from foveate.agent.training.making import seeds_in
    from foveate.policies.training.shards import check_bytes

    if not path.exists():
        return True
    try:
        check_bytes(path)
    except UsageError as error:
        say(f"{error}; it is made again now")
        path.unlink()
        return True
    held = seeds_in(path)
    if held and held.start <= seeds.start and held.stop >= seeds.stop:
        return False
    say(f"{path} holds {len(held)} of {len(seeds)} seeds: it is made again")
    return True


def has_chromium() -> bool:
    """Tell whether pages can be drawn here: Playwright and a Chromium, its own or another."""
    try:
        from playwright.sync_api import sync_playwright

        from foveate.envs.chromium import find_chromium
    except ImportError:
        return False
    try:
        find_chromium(None, "")
    except MissingDependency:
        with sync_playwright() as playwright:
            return Path(playwright.chromium.executable_path).is_file()
    return True


def _count(least: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text} is no whole number of {least} or more")
        return int(text)

    return count


def main(arguments: list[str] | None = None) -> int:
    """Make what is missing; gives the exit code."""
    parser = argparse.ArgumentParser(description="Make the shards that training does not find.")
    parser.add_argument("--work", type=Path, required=True, help="the folder that training works in")
    parser.add_argument("--pages", type=_count(0), default=PAGES, help="screens of pages")
    parser.add_argument("--programs", type=_count(0), default=PROGRAMS, help="programs to demonstrate")
    parser.add_argument("--workers", type=_count(1), default=2, help="processes")
    parser.add_argument("--data", type=Path, help="a pack to train on, in place of making any")
    chosen = parser.parse_args(arguments)

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - for people

    try:
        with alone(chosen.work):
            if chosen.data is not None:
                take(chosen.data, chosen.work, say=say)
            else:
                provide(chosen.work, pages=chosen.pages, programs=chosen.programs, workers=chosen.workers, say=say)
    except UsageError as exc:
        say(f"error: {exc}")
        return 2
    except FoveateError as exc:
        say(f"error: {exc}")
        return 3
    except KeyboardInterrupt:
        say("Interrupted: the same command goes on.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
