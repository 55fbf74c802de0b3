"""Models from a hub: Hugging Face's, or ModelScope's where the id begins with ``modelscope:``.

The room that a download takes is checked before it begins; one that was interrupted goes on with the files that lack,
since a hub's client keeps whole files. Weights in safetensors, settings in JSON and texts are all that is fetched:
nothing of a repository's code.
"""

import logging
import re
import shutil
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies

from foveate.actions.errors import MissingDependency, ModelUnavailable, first_line

WANTED: Final = ("*.json", "*.txt", "*.jinja", "*.model", "*.safetensors")
"""Which files of a repository are fetched."""

MODELSCOPE: Final = "modelscope:"
"""How an id begins that is looked up at ModelScope."""

_log = logging.getLogger(__name__)
_ID = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
_CONNECT_S = 5.0
_SPARE = 64 * 2**20
"""Bytes that stay free beside a download."""


@dataclass(frozen=True, slots=True)
class HubId:
    """A model's id.

    Attributes:
        name: ``owner/name``.
        revision: A branch, tag or commit; None is the main branch's newest.
        modelscope: Whether it is ModelScope's.
    """

    name: str
    revision: str | None = None
    modelscope: bool = False

    @classmethod
    def read(cls, text: str) -> "HubId | None":
        """Read ``[modelscope:]owner/name[@revision]``; None where a text is no id."""
        found = _ID.fullmatch(text.removeprefix(MODELSCOPE))
        if found is None or found["name"].startswith("."):
            return None
        return cls(found["name"], found["revision"], text.startswith(MODELSCOPE))

    def __str__(self) -> str:
        """Write it as it is read."""
        where = MODELSCOPE if self.modelscope else ""
        return f"{where}{self.name}{f'@{self.revision}' if self.revision else ''}"


def fetch(model: HubId, check: Callable[[Path], object], *, endpoint: str | None = None) -> Path:
    """Give the folder that holds a hub's model; what lacks is downloaded.

    A commit as revision pins it; what was fetched before is used where no hub can be reached.

    Args:
        model: Which.
        check: Is given the folder when it holds ``config.json`` alone, before anything great is fetched, and raises
            where the model is not wanted.
        endpoint: Hugging Face's address; None is its client's own (``HF_ENDPOINT``).

    Raises:
        ModelUnavailable: If no hub that has it can be reached, or the disk has no room for it.
        MissingDependency: If the hub's client is not installed.
    """
    if model.modelscope:
        return _from_modelscope(model, check)
    hub = _HuggingFace(model, endpoint)
    check(hub.config())
    return hub.whole()


def fetch_config(model: HubId, *, endpoint: str | None = None) -> Path:
    """Give a folder that holds a hub's model's ``config.json``; nothing else is downloaded.

    Raises:
        ModelUnavailable: As ``fetch``.
        MissingDependency: As ``fetch``.
    """
    if model.modelscope:
        return _modelscope(model, ["config.json"])
    return _HuggingFace(model, endpoint).config()


class _HuggingFace:
    """One model of Hugging Face's hub, or of a mirror that speaks as it does."""

    def __init__(self, model: HubId, endpoint: str | None) -> None:
        try:
            import huggingface_hub
            from huggingface_hub import constants, errors
        except ImportError as exc:
            raise MissingDependency("a model from the hub", "pip install 'foveate[torch]'") from exc
        self._client: Any = huggingface_hub
        self._model = model
        self._address = endpoint or constants.ENDPOINT
        self._cache = Path(constants.HF_HUB_CACHE)
        self._forbidden = bool(constants.HF_HUB_OFFLINE)
        self._offline = self._forbidden or not _reachable(self._address)  # it would try for half a minute
        known = (errors.HFValidationError, errors.LocalEntryNotFoundError, *errors.HfHubHTTPError.__bases__)
        self._theirs: tuple[type[Exception], ...] = (*known, OSError, RuntimeError)
        self._how = {"endpoint": self._address, "revision": model.revision, "local_files_only": self._offline}

    def config(self) -> Path:
        """Fetch the configuration alone."""
        try:
            return Path(self._client.hf_hub_download(self._model.name, "config.json", **self._how)).parent
        except self._theirs as exc:
            raise self._error(exc) from exc

    def whole(self) -> Path:
        """Fetch everything that is wanted and lacks."""
        how = {**self._how, "allow_patterns": list(WANTED)}
        try:
            if not self._offline:
                with _no_bars():
                    listed = self._client.snapshot_download(self._model.name, **how, dry_run=True)
                check_room(self._model, (int(one.file_size) for one in listed if one.will_download), self._cache)
            return Path(self._client.snapshot_download(self._model.name, **how))
        except self._theirs as exc:
            raise self._error(exc) from exc

    def _error(self, exc: Exception) -> ModelUnavailable:
        cause: BaseException = exc
        while cause.__cause__ is not None:  # what the hub said, where the client says what may have been the matter
            cause = cause.__cause__
        where = f"the hub {self._address}"
        if self._forbidden:
            why = "HF_HUB_OFFLINE is set: nothing is asked of a hub"
        elif self._offline:
            why = f"{where} cannot be reached"
        else:
            why = f"{where} says: {first_line(cause)} (whole files are kept: the same command goes on)"
        return ModelUnavailable(
            f"there is no folder {str(self._model)!r}, and {why}: give 'tiny' or the folder of a downloaded checkpoint"
        )


@contextmanager
def _no_bars() -> Iterator[None]:
    """Keep the client's bar away while it only looks what lacks."""
    from huggingface_hub import utils

    bars: Any = utils
    hidden = bars.are_progress_bars_disabled()
    bars.disable_progress_bars()
    try:
        yield
    finally:
        if not hidden:
            bars.enable_progress_bars()


def check_room(model: HubId, sizes: Iterable[int], folder: Path) -> None:
    """Check that a download fits on the disk, and say how much it is.

    Args:
        model: What is to be fetched.
        sizes: Bytes of each file that lacks.
        folder: Where they will lie; it need not exist yet.

    Raises:
        ModelUnavailable: If there is no room; names what is needed, what is free and how to fetch it elsewhere.
    """
    files = list(sizes)
    needed = sum(files)
    if not needed:
        return
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if needed + _SPARE > free:
        raise ModelUnavailable(
            f"{model} takes {_in_units(needed)} more, and {there} has {_in_units(free)} free: make room, or set "
            "HF_HOME (of ModelScope MODELSCOPE_CACHE) to a folder on a larger disk"
        )
    _log.info("fetching %s: %d files, %s, to %s", model, len(files), _in_units(needed), folder)


def _modelscope(model: HubId, wanted: list[str]) -> Path:
    try:
        from modelscope import snapshot_download
    except ImportError as exc:
        raise MissingDependency("a model from ModelScope", "pip install modelscope") from exc
    revision = {"revision": model.revision} if model.revision else {}
    try:
        return Path(snapshot_download(model.name, allow_patterns=wanted, **revision))
    except Exception as exc:  # its client raises what its own transport raised, of many kinds
        raise ModelUnavailable(
            f"ModelScope cannot give {model}: {first_line(exc)} (whole files are kept: the same command goes on)"
        ) from exc


def _from_modelscope(model: HubId, check: Callable[[Path], object]) -> Path:
    folder = _modelscope(model, ["config.json"])
    check(folder)
    try:
        from modelscope.hub.api import HubApi

        listed = HubApi().get_model_files(model.name, revision=model.revision, recursive=True)
        sizes = {str(one["Path"]): int(one["Size"] or 0) for one in listed}
    except Exception as exc:  # as above
        raise ModelUnavailable(
            f"ModelScope does not list the files of {model}: {str(exc)[:200]}: try again, or give the folder of a "
            "downloaded checkpoint"
        ) from exc
    endings = tuple(pattern.removeprefix("*") for pattern in WANTED)
    lacking = [size for path, size in sizes.items() if path.endswith(endings) and not (folder / path).is_file()]
    check_room(model, lacking, folder)
    return _modelscope(model, list(WANTED))


def _in_units(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def _reachable(hub: str) -> bool:
    """Tell whether something answers at the hub's address; a proxy is taken at its word."""
    address, proxies = urlsplit(hub), getproxies()
    if address.hostname is None or address.scheme in proxies or "all" in proxies:
        return True
    port = address.port or (80 if address.scheme == "http" else 443)
    try:
        with socket.create_connection((address.hostname, port), timeout=_CONNECT_S):
            return True
    except OSError:
        return False
