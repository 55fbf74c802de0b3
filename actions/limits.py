"""What an episode may reach: hosts, files, secrets and masked regions, as one frozen object for Guard and Env."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from types import MappingProxyType
from urllib.parse import unquote, urlsplit

from foveate.actions.errors import UsageError
from foveate.actions.geometry import PixelBox
from foveate.actions.placeholders import PLACEHOLDER, Placeholders, fold

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""The names of this machine that count as one host."""

_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\Z")
_FORBIDDEN_IN_URL = re.compile(r"[\x00-\x20\x7f\\]")


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that is typed where it belongs and shown nowhere.

    In texts it is replaced in every form that ``actions.placeholders`` lists, wherever it stands, inside longer words
    too: a value that is an ordinary word takes that word out of every record. One of fewer than four letters, digits
    or signs is replaced only where it stands alone, with neither letter nor digit beside it.

    Attributes:
        value: The text that a placeholder stands for; absent from ``repr``.
        hosts: Hosts (with their subdomains) whose pages may receive it; at least one.

    Raises:
        UsageError: If the value is empty or blank, or there is no host or one that is none.
    """

    value: str = field(repr=False)
    hosts: tuple[str, ...]

    def __post_init__(self) -> None:
        if not fold(self.value):
            raise UsageError("a secret's value is empty or blank: leave the secret out or give its value")
        if not self.hosts:
            raise UsageError("a secret belongs to no host: name the hosts whose pages may receive it")
        object.__setattr__(self, "hosts", tuple(normal_host(host) for host in self.hosts))

    def belongs_to(self, origin: str | None) -> bool:
        """Tell whether a page of this origin (``https://example.org``) may receive the value."""
        host = host_of(origin) if origin else None
        return host is not None and any(covers(entry, host) for entry in self.hosts)


@dataclass(frozen=True, slots=True)
class Limits:
    """What Guard and Env both keep to.

    Attributes:
        allow: Hosts that may be asked (each with its subdomains, at any port; an IP address only itself), folders
            as ``file:///folder/``, and ``*`` for every host; None stands for the default list of the start address.
        secrets: What ``{{name}}`` in typed text stands for.
        masks: Regions of the image, in its pixels, blanked before an Observation exists.
        files: Paths that ``upload`` may send; the model sees their base names.
    """

    allow: tuple[str, ...] | None = None
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    masks: tuple[PixelBox, ...] = ()
    files: tuple[str, ...] = ()
    _placeholders: Placeholders = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.allow is not None:
            object.__setattr__(self, "allow", tuple(_normal_entry(entry) for entry in self.allow))
        for name in self.secrets:
            if not PLACEHOLDER.fullmatch(f"{{{{{name}}}}}"):
                raise UsageError(f"the secret's name {name!r} is not one: use letters, digits and _")
        object.__setattr__(self, "secrets", MappingProxyType(dict(self.secrets)))
        values = {name: secret.value for name, secret in self.secrets.items()}
        object.__setattr__(self, "_placeholders", Placeholders(values))

    def for_start(self, start: str | None) -> "Limits":
        """Fill in the default list for a start address, unless there is a list already."""
        return self if self.allow is not None else replace(self, allow=default_allow(start))

    @property
    def open_to_all(self) -> bool:
        """True where every host may be asked, so that nothing needs to be intercepted."""
        return self.allow is not None and "*" in self.allow

    def refusal(self, url: str) -> str | None:
        """Give the reason why an address may not be opened, or None where it may.

        http, https, ws, wss and permitted files alone can be opened; with ``allow=None`` nothing is listed yet, so
        nothing is permitted.
        """
        if _FORBIDDEN_IN_URL.search(url):
            return f"{url!r} is no address: it holds blanks, control characters or backslashes"
        try:
            parts = urlsplit(url)
            host = parts.hostname
            _ = parts.port
        except ValueError as exc:
            return f"{url!r} is no address: {exc}"
        if not parts.scheme:
            return f"{url!r} has no scheme: write the whole address, https://..."
        if parts.scheme == "file":
            return self._file_refusal(url, host, parts.path)
        if parts.scheme not in ("http", "https", "ws", "wss"):
            return f"the scheme {parts.scheme}: is not permitted"
        if not host:
            return f"{url!r} names no host"
        if self.permits_host(host):
            return None
        return f"{host} is outside the allowed hosts ({', '.join(self.allow or ()) or 'none'}): --allow {host}"

    def permits(self, url: str) -> bool:
        """Tell whether an address may be opened or asked."""
        return self.refusal(url) is None

    def permits_host(self, host: str) -> bool:
        """Tell whether a host may be asked, at any port."""
        try:
            normal = normal_host(host)
        except UsageError:
            return False
        return self.open_to_all or any(covers(entry, normal) for entry in self.allow or ())

    def hosts(self) -> tuple[str, ...]:
        """Give the allowed hosts, without folders."""
        return tuple(entry for entry in self.allow or () if not entry.startswith("file:"))

    def _file_refusal(self, url: str, host: str | None, path: str) -> str | None:
        clean = PurePosixPath(unquote(path))
        hidden = any(char in unquote(path) for char in ("\x00", "\\"))
        if host not in (None, "", "localhost") or ".." in clean.parts or hidden:
            return f"{url!r} is no plain file address"
        for entry in self.allow or ():
            if entry.startswith("file://") and clean.is_relative_to(unquote(urlsplit(entry).path)):
                return None
        return f"the file {clean} is outside the allowed folders"

    def mask_secrets(self, text: str) -> str:
        """Replace every secret's value in a text by its placeholder, in every form of ``actions.placeholders``."""
        return self._placeholders.put(text)

    @property
    def reach(self) -> int:
        """How many characters more a text is needed that is to be cut, so that it holds no half of a value then."""
        return self._placeholders.reach


def normal_host(host: str) -> str:
    """Write a host in the one form that is compared: lower case, ASCII, without a final dot or brackets.

    Raises:
        UsageError: If it is no host name and no IP address.
    """
    bare = host.strip().rstrip(".").strip("[]").lower()
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        pass
    if any(char in "ßς\u200c\u200d" for char in bare):  # browsers and Python's codec disagree on these
        raise UsageError(f"{host!r} can be read in two ways: write it in ASCII (xn--...)")
    try:
        ascii_host = bare.encode("idna").decode() if not bare.isascii() else bare
    except UnicodeError as exc:
        raise UsageError(f"{host!r} is no host name: {exc}") from exc
    if not _HOST.match(ascii_host):
        raise UsageError(f"{host!r} is no host name: give a name such as example.org, without scheme, port or path")
    return ascii_host


def covers(entry: str, host: str) -> bool:
    """Tell whether an entry covers a host, both in normal form: itself, its subdomains, any name of this machine."""
    if entry == host or (entry in LOOPBACK and host in LOOPBACK):
        return True
    return not _is_ip(entry) and host.endswith(f".{entry}")


def host_of(url: str) -> str | None:
    """Give an address's host in normal form, or None where it has none."""
    try:
        host = urlsplit(url).hostname
        return normal_host(host) if host else None
    except (ValueError, UsageError):
        return None


def default_allow(start: str | None) -> tuple[str, ...]:
    """Give the list for a start address: its host (a leading ``www.`` dropped), or the given file's folder.

    This machine is on it only where the start address is this machine or a file.
    """
    if not start:
        return ()
    if start.startswith("file:"):
        folder = PurePosixPath(unquote(urlsplit(start).path)).parent
        return (_folder_entry(str(folder)), *LOOPBACK)
    host = host_of(start)
    if host is None:
        return ()
    if host in LOOPBACK:
        return LOOPBACK
    bare = host.removeprefix("www.")
    return (bare if "." in bare else host,)  # www.com stands for itself, not for every name under com


def entry_for(blocked: str) -> str:
    """Give the entry that would have let pass what was not sent: a host, or a file's path, whose folder it names."""
    return _folder_entry(str(PurePosixPath(blocked).parent)) if blocked.startswith("/") else blocked


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _folder_entry(folder: str) -> str:
    from urllib.request import pathname2url

    return f"file://{pathname2url(folder.rstrip('/'))}/"


def _normal_entry(entry: str) -> str:
    if entry == "*":
        return entry
    if entry.startswith("file:"):
        return _folder_entry(unquote(urlsplit(entry).path))
    return normal_host(entry)
