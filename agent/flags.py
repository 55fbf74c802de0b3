"""Reading of flags that are more than a word: sizes, addresses, hosts, files, the record's folder."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from foveate.actions.errors import RecordError, UsageError
from foveate.actions.guard import Limits
from foveate.agent.record_folder import make_folder, refuse_used_folder
from foveate.envs.address import check_start, start_address
from foveate.envs.base import Viewport


def parse_viewport(text: str | None) -> Viewport | None:
    """Read ``WIDTHxHEIGHT`` in CSS pixels.

    Raises:
        UsageError: If it is something else, or no size that a browser can have.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if found is None or not all(64 <= int(side) <= 8192 for side in found.groups()):
        raise UsageError(f"--viewport {text}: give WIDTHxHEIGHT, each 64 to 8192 CSS pixels, for example 1280x720")
    return Viewport(int(found[1]), int(found[2]))


def limits_of(url: str | None, allow: Sequence[str], files: Sequence[Path]) -> Limits:
    """Make the limits of a run: the default list of its start address, and what the user adds.

    Raises:
        UsageError: If the start address or a host is none, or a file does not exist.
    """
    for file in files:
        if file.is_dir():
            raise UsageError(f"--file {file} is a folder: name each file that may be uploaded")
        if not file.is_file():
            raise UsageError(f"--file {file}: there is no such file")
    limits = Limits(files=tuple(str(file.resolve()) for file in files))
    start = None if url is None else start_address(url)
    if url is not None and start is not None:
        check_start(url, start)
    known = limits.for_start(start)
    if start is not None and (refusal := known.refusal(start)) is not None:
        raise UsageError(f"--url {url}: {refusal}")
    if not allow:
        return limits
    added = Limits(allow=tuple(allow))
    return replace(known, allow=(*(known.allow or ()), *(added.allow or ())))


def record_folder(folder: Path | None, name: str) -> Path:
    """Give the folder to record in; without one given, make ``runs/<time>-<slug>``.

    Raises:
        UsageError: If the one given is in use.
        RecordError: If it cannot be made or read.
    """
    try:
        if folder is None:
            return make_folder(None, name)
        refuse_used_folder(folder)
    except OSError as exc:
        raise RecordError(
            f"the record {folder or 'runs'} cannot be made: {exc.strerror or exc}: give a folder that can be written "
            "with --record DIR, or use --no-record"
        ) from exc
    return folder
