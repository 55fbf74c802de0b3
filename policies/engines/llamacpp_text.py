"""Prompts as llama.cpp reads them: it takes one text and looks for added tokens all over it.

Text that comes from people and pages must not become control tokens, and the tokens must be those of the reference.
Where a file has stand-ins (``internvl/gguf_tokenizer.py``) both hold exactly. Elsewhere a word joiner is put into what
looks like a control token: it stays mere text, one character longer.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from foveate.actions.errors import ModelUnavailable

_WORD_JOINER: Final = "\u2060"
_CONTROL: Final = re.compile(r"<img>|</img>|<IMG_CONTEXT>|<\|.*\|>|<video>")
_NOTHING: Final = re.compile(r"(?!)")


class PromptText:
    """Writes texts so that llama.cpp's tokenizer gives the reference's tokens.

    Args:
        added: Added tokens.
        stand_ins: What is written for a character that is to stay one; empty where the file has none.
        whole_words: Added tokens that are no part of a word.
        composed: Whether texts are brought to Unicode's form NFC.
    """

    def __init__(
        self,
        added: Sequence[str],
        stand_ins: Mapping[str, str],
        whole_words: frozenset[str] = frozenset(),
        *,
        composed: bool = False,
    ) -> None:
        self._added = _any_of(added)
        self._controls = _any_of([token for token in added if _CONTROL.fullmatch(token)])
        self._written = str.maketrans(dict(stand_ins))
        self._reserved = frozenset(stand_ins.values())
        self._whole_words, self._composed = whole_words, composed

    def untrusted(self, text: str) -> str:
        """Write a text of people or pages; what looks like a control token in it stays mere text."""
        text = self._taken(text)
        parts = self._parts(text)
        if not self._reserved:
            return _WORD_JOINER.join(parts)
        return "".join(self._exact(part) for part in parts)

    def trusted(self, text: str) -> str:
        """Write a text of our own."""
        text = self._taken(text)
        return self._exact(text) if self._reserved else text

    def _taken(self, text: str) -> str:
        wrong = self._reserved & set(text)
        if wrong:
            raise ModelUnavailable(
                f"the character {min(wrong)!r} stands for another one in this model's file: leave it out"
            )
        return unicodedata.normalize("NFC", text) if self._composed else text

    def _parts(self, text: str) -> list[str]:
        """Part a text behind the first character of what looks like a control token."""
        cuts = [found.start() + 1 for found in self._controls.finditer(text)]
        return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]

    def _exact(self, text: str) -> str:
        """Write added tokens as they are, and with stand-ins whatever is none by the tokenizers library's rule."""
        return "".join(piece if token else piece.translate(self._written) for piece, token in self._pieces(text))

    def _pieces(self, text: str) -> Iterator[tuple[str, bool]]:
        """Give a text's pieces from left to right, and whether each is an added token."""
        start = 0
        for found in self._added.finditer(text):
            if found[0] in self._whole_words and _within_word(text, found.start(), found.end()):
                continue
            yield text[start : found.start()], False
            yield found[0], True
            start = found.end()
        yield text[start:], False


def _any_of(texts: Sequence[str]) -> re.Pattern[str]:
    """Find any of some texts, from left to right, the longest first."""
    return re.compile("|".join(map(re.escape, sorted(texts, key=len, reverse=True)))) if texts else _NOTHING


def _within_word(text: str, start: int, end: int) -> bool:
    return bool(re.match(r"\w", text[end : end + 1]) or re.match(r"\w", text[start - 1 : start] if start else ""))
