"""Secrets in text: wherever a value can be recognised, its placeholder is put.

A value is found as it is and in any case, as a host name writes it, in any normal form of Unicode, with its blanks
collapsed, dropped or turned into line ends, as file names write it, and percent-encoded, HTML-escaped, JSON-escaped
(each wholly or in part, inside one another up to six deep), as hexadecimal and as base64 on one line.

What cannot be found: a value in pixels, reversed, hashed, encrypted or compressed, spelt out key by key, with other
characters between its own, cut off by somebody else, or inside a downloaded file.
"""

import base64
import html
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
"""A secret's placeholder in text, ``{{name}}``."""

SHORT = 4
"""Letters, digits and signs below which a value is replaced only where it stands alone: anything else would tear
ordinary words and numbers to pieces."""

_DEPTH = 6  # encodings inside one another; the first that changes nothing is the last
_WIDEST = 20  # characters that one character of a value takes at most: four bytes, percent-encoded twice

_HEX = "[0-9a-fA-F]"
_PERCENT = "%(?:25)*"  # encoded again and again, a percent sign is %25, %2525 ...
_MORE = f"{_PERCENT}[89abAB]{_HEX}"
_WRITTEN = re.compile(
    f"{_PERCENT}u{_HEX}{{4}}"
    f"|{_PERCENT}[c-dC-D]{_HEX}{_MORE}|{_PERCENT}[eE]{_HEX}(?:{_MORE}){{2}}|{_PERCENT}[fF][0-7](?:{_MORE}){{3}}"
    f"|{_PERCENT}{_HEX}{{2}}"
    f"|&(?:#[0-9]{{1,8}};?|#[xX]{_HEX}{{1,7}};?|[A-Za-z][A-Za-z0-9]{{1,31}};)"
    rf"|\\u[dD][89abAB]{_HEX}{{2}}\\u[dD][c-fC-F]{_HEX}{{2}}"
    rf"|\\(?:u{_HEX}{{4}}|u\{{{_HEX}{{1,6}}\}}|U{_HEX}{{8}}|x{_HEX}{{2}}|[\\\"'/bfnrt])"
    "|[xX][nN]--[A-Za-z0-9-]{1,59}"
)
_MARKS = ("%", "&", "\\", "n--", "N--")  # without one of them nothing above is there
_AGAIN = re.compile(f"{_PERCENT}(?={_HEX}{{2}})")
_CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_BLANKS = re.compile(r"[\s+]+")  # forms write + for a blank
_ODD = re.compile(r"[^\t-\r\x1c-~]")  # whatever does not fold to one character


class _Folding(dict[int, str]):
    """What each character is compared as: one form for every case, width and normal form, nothing for the unseen."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        if not char.isspace():
            folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).upper().casefold())
            seen = (each for each in folded if not each.isspace() and unicodedata.category(each)[0] != "C")
            char = re.sub(r'[<>:"/\\|?*~]', "_", "".join(seen))  # as in file names
        self[code] = char
        return char


_FOLDING = _Folding()


class _Text(NamedTuple):
    """A text that was decoded, with the place in the original of each of its characters."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def with_each(self, pattern: re.Pattern[str], put: Callable[[re.Match[str]], str]) -> "_Text":
        """Put something else for every match."""
        parts: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        done = 0
        for match in pattern.finditer(self.text):
            begin, end = match.span()
            new = put(match)
            parts += self.text[done:begin], new
            starts += self.starts[done:begin]
            starts += [self.starts[begin]] * len(new)
            ends += self.ends[done:begin]
            ends += [self.ends[end - 1]] * len(new)
            done = end
        if done == 0:
            return self
        parts.append(self.text[done:])
        starts += self.starts[done:]
        ends += self.ends[done:]
        return _Text("".join(parts), starts, ends)


class _Core(NamedTuple):
    """The part of a value's base64 that does not depend on what stands beside the value."""

    text: str
    lead: int
    tail: int


class _Hit(NamedTuple):
    start: int
    end: int
    name: str


class _Value:
    """The forms of one value; they appear in no repr."""

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        plain = value
        for _ in range(_DEPTH):
            plain = _WRITTEN.sub(_read, plain)  # a value may itself look encoded
        forms = {fold(value), *(form for form in [fold(plain)] if len(form) >= SHORT)}
        self.solid = tuple(form for form in forms if not re.search(r"\s", form))
        dense = {form: _BLANKS.sub("", form) for form in forms}  # a short rest of a form that is found itself is none
        self.spaced = tuple(
            rest
            for form, rest in dense.items()
            if rest != form and rest and (len(rest) >= SHORT or form not in self.solid)
        )
        self.cores: tuple[_Core, ...] = ()
        if len("".join(fold(value).split())) >= SHORT:
            data = value.strip().encode("utf-8", "surrogatepass")
            self.solid += (data.hex(),)
            self.cores = tuple(_core(data, offset) for offset in range(3))


class Placeholders:
    """Puts placeholders in the place of values.

    Args:
        values: Each secret's value by its name.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = tuple(_Value(name, value) for name, value in values.items())
        self._names = frozenset(values)
        self._solid = tuple(form for value in self._values for form in value.solid)
        self._spaced = tuple(form for value in self._values for form in value.spaced)
        self._cores = tuple(core.text for value in self._values for core in value.cores)
        self.reach = _WIDEST * max(map(len, values.values()), default=0)
        """Characters that a value takes in a text at most; a text that is to be cut is needed that much longer."""

    def put(self, text: str) -> str:
        """Replace every value in a text; what was replaced before stays."""
        if not self._values:
            return text
        layer = text
        for _ in range(_DEPTH):
            if self._holds(layer):
                return self._replaced(text)
            below = _WRITTEN.sub(_read, layer) if any(mark in layer for mark in _MARKS) else layer
            if below == layer:
                break
            layer = below
        return text

    def _holds(self, text: str) -> bool:
        folded = text.translate(_FOLDING)
        if any(form in folded for form in self._solid):
            return True
        if self._spaced:
            dense = "".join(folded.split()).replace("+", "")
            if any(form in dense for form in self._spaced):
                return True
        plain = _one_alphabet(text)
        return any(core in plain for core in self._cores)

    def _replaced(self, text: str) -> str:
        taken = [match.span() for match in PLACEHOLDER.finditer(text) if match[1] in self._names]
        hits: list[_Hit] = []
        layer = _Text(text, range(len(text)), range(1, len(text) + 1))
        for _ in range(_DEPTH):
            hits += self._hits(layer)
            below = layer.with_each(_WRITTEN, _read)
            if below.text == layer.text:
                break
            layer = below
        free = (hit for hit in hits if not any(begin <= hit.start and hit.end <= end for begin, end in taken))
        return _written_over(text, sorted(free))

    def _hits(self, layer: _Text) -> Iterator[_Hit]:
        odd = layer.with_each(_ODD, lambda match: _FOLDING[ord(match[0])])
        folded = odd._replace(text=odd.text.translate(_FOLDING))
        dense = folded.with_each(_BLANKS, lambda match: "") if self._spaced else folded
        plain = _one_alphabet(layer.text)
        for value in self._values:
            for source, forms in ((folded, value.solid), (dense, value.spaced)):
                for form in forms:
                    for start, end in _places(source.text, form):
                        if len(form) >= SHORT or not _has_neighbour(source.text, start, end):
                            yield _Hit(source.starts[start], source.ends[end - 1], value.name)
            for core in value.cores:
                for start, end in _places(plain, core.text):
                    start, end = max(0, start - core.lead), min(len(plain), end + core.tail)
                    end += len(plain[end : end + 2]) - len(plain[end : end + 2].lstrip("="))
                    yield _Hit(layer.starts[start], layer.ends[end - 1], value.name)


def fold(text: str) -> str:
    """Give a text as it is compared, without blanks around it."""
    return text.translate(_FOLDING).strip()


def _read(match: re.Match[str]) -> str:
    """Give what something encoded stands for; itself where that is nothing."""
    token = match[0]
    if token[0] == "&":
        return html.unescape(token)
    if token[0] == "%":
        if token[-5:-4] == "u":
            return chr(int(token[-4:], 16))
        data = bytes.fromhex(_AGAIN.sub("", token))
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data.decode("latin-1")
    if token[0] == "\\":
        return _unescaped(token[1:])
    try:
        return token[4:].encode().decode("punycode")
    except (ValueError, OverflowError):
        return token


def _unescaped(token: str) -> str:
    """Give the character of an escape without its backslash, ``u00e9`` or ``n``."""
    if len(token) == 1:
        return _CONTROLS.get(token, token)
    digits = token[1:].strip("{}").split("\\u")
    try:
        return "".join(chr(int(each, 16)) for each in digits).encode("utf-16", "surrogatepass").decode("utf-16")
    except (ValueError, OverflowError):
        return token


def _core(data: bytes, offset: int) -> _Core:
    """Give the core of some bytes' base64 where ``offset`` bytes (0 to 2) stand before them in a group of three."""
    encoded = base64.b64encode(bytes(offset) + data).decode()
    bits = 8 * (offset + len(data))
    return _Core(encoded[-(-8 * offset // 6) : bits // 6], 1 if offset else 0, 1 if bits % 6 else 0)


def _one_alphabet(text: str) -> str:
    """Write the base64 of addresses as the common one."""
    return text.replace("-", "+").replace("_", "/")


def _places(text: str, form: str) -> Iterator[tuple[int, int]]:
    start = text.find(form)
    while start >= 0:
        yield start, start + len(form)
        start = text.find(form, start + 1)


def _has_neighbour(text: str, start: int, end: int) -> bool:
    return text[start - 1 : start].isalnum() or text[end : end + 1].isalnum()


def _written_over(text: str, hits: Sequence[_Hit]) -> str:
    """Put placeholders over hits in order; of those that overlap the longest names what stands for all of them."""
    parts: list[str] = []
    longest: _Hit | None = None
    end = 0
    for hit in (*hits, _Hit(len(text), len(text), "")):
        if longest is not None and hit.start < end:
            longest, end = max(longest, hit, key=lambda each: each.end - each.start), max(end, hit.end)
            continue
        if longest is not None:
            parts.append(f"{{{{{longest.name}}}}}")
        parts.append(text[end : hit.start])
        longest, end = hit, hit.end
    return "".join(parts)
