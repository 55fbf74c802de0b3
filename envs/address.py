"""What a user gives as a start: an address, or a file's path with an optional query; and why it does not load."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import pathname2url

from foveate.actions.errors import UsageError
from foveate.actions.limits import entry_for
from foveate.actions.paths import at_home

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_TAIL = re.compile(r"[?#]")


def start_address(given: str) -> str:
    """Make an address of a start; a path may carry a query or a fragment, ``page.html?seed=3``.

    Only text is looked at: whether the file exists is checked by ``check_start``.

    Raises:
        UsageError: If it is empty.
    """
    text = given.strip()
    if not text:
        raise UsageError("the start address is empty: give https://... or a file's path")
    if _SCHEME.match(text):
        return text
    folder, slash, name = text.rpartition("/")
    tail = _TAIL.search(name)
    cut = len(name) if tail is None else tail.start()
    path = at_home(f"{folder}{slash}{name[:cut]}").absolute()
    return f"file://{pathname2url(str(path))}{name[cut:]}"


def check_start(given: str, address: str) -> None:
    """Check that a file that is the start exists.

    Args:
        given: What the user wrote.
        address: What ``start_address`` made of it.

    Raises:
        UsageError: If there is no such file.
    """
    if not address.startswith("file:"):
        return
    path = Path(unquote(urlsplit(address).path))
    if path.is_dir():
        raise UsageError(f"{given} is a folder: name the page in it")
    whole = at_home(given)
    if not path.exists() and whole.is_file():
        raise UsageError(f"{given}: a file whose name holds ? or # is given as an address: {whole.absolute().as_uri()}")
    if not path.exists():
        raise UsageError(f"{given}: there is no such file (an address begins with https:// or http://)")


def load_failure(given: str, error: Exception, blocked: str | None, limit_s: float) -> str:
    """Say why a start did not load.

    Args:
        given: What the user wrote.
        error: What loading it raised.
        blocked: The host outside the allowed ones that it led to; None where it did not.
        limit_s: The longest that it was waited for, in seconds.
    """
    if blocked is not None:
        return f"{given} did not load: it leads to {blocked}, outside what is allowed: --allow {entry_for(blocked)}"
    found = re.search(r"net::(ERR_[A-Z0-9_]+)", str(error))
    if found is not None:
        return f"{given} did not load: {found[1].removeprefix('ERR_').replace('_', ' ').lower()} ({found[1]})"
    if "Timeout" in str(error) or isinstance(error, TimeoutError):
        return f"{given} did not load: no answer within {limit_s:g} s"
    if "Download is starting" in str(error):
        return (
            f"{given} did not load: it is a file to download, no page: give the address of a page (HTML, text, picture)"
        )
    return f"{given} did not load: {str(error).splitlines()[0]}"
