"""Answers that match a regular expression: which tokens may come next, and which must.

xgrammar says both; it is imported when a grammar is first asked for. Text that must come is not decoded token by token
(jump forward), with one care: where a model would write it in a token that goes on beyond it, as the bundled checkpoint
writes ``0.25`` behind ``x=``, the beginning of that token is left to the model, which knows no other spelling.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foveate.actions.errors import MissingDependency, ModelUnavailable


class Constraints:
    """Compiles regular expressions for one tokenizer, each once.

    Args:
        tokenizer: The model's, of transformers.
        rows: Tokens that the model gives logits for.
        ends: Tokens that end an answer.

    Raises:
        MissingDependency: If xgrammar is not installed.
    """

    def __init__(self, tokenizer: Any, rows: int, ends: Sequence[int]) -> None:
        try:
            import xgrammar
        except ImportError as exc:
            raise MissingDependency("a grammar", f"pip install 'foveate[grammar]' ({exc})") from exc
        self._xgrammar = xgrammar
        self._tokenizer = tokenizer
        info = xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=rows, stop_token_ids=list(ends))
        self._compiler = xgrammar.GrammarCompiler(info)
        self._texts: list[bytes] = list(info.decoded_vocab)
        self._rows = rows

    def begin(self, pattern: str) -> "Constraint":
        """Begin an answer.

        Args:
            pattern: A regular expression that it matches from end to end.

        Raises:
            ModelUnavailable: If it is none, or one that xgrammar cannot take.
        """
        try:
            compiled = self._compiler.compile_regex(pattern)
        except (RuntimeError, ValueError) as exc:
            why = (str(exc).strip() or type(exc).__name__).splitlines()[-1][:200]
            raise ModelUnavailable(f"the grammar is no regular expression that xgrammar takes: {why}") from exc
        return Constraint(self._xgrammar, compiled, self._tokenizer, self._texts, self._rows)


class Constraint:
    """How far one answer has come; made by ``Constraints.begin``."""

    def __init__(self, xgrammar: Any, compiled: Any, tokenizer: Any, texts: Sequence[bytes], rows: int) -> None:
        self._matcher = xgrammar.GrammarMatcher(compiled)
        self._bitmask = xgrammar.allocate_token_bitmask(1, rows)
        self._tokenizer, self._texts, self._rows = tokenizer, texts, rows

    def allowed(self) -> Tensor:
        """Give which tokens may come next.

        Returns:
            bool (rows,), on the CPU.

        Raises:
            ModelUnavailable: If none may: the grammar asks for what the tokenizer cannot write.
        """
        found = self._allowed()
        if not found.any():
            raise ModelUnavailable("the grammar asks for a text that the model's tokenizer cannot write: change it")
        return torch.from_numpy(found)

    def _allowed(self) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        self._bitmask.fill_(-1)  # all are, where nothing is filled in
        self._matcher.fill_next_token_bitmask(self._bitmask)
        words = self._bitmask[0].numpy().view(np.uint8)
        return np.unpackbits(words, bitorder="little")[: self._rows].astype(np.bool_)

    def accept(self, token: int) -> None:
        """Take note of a token that was said.

        Raises:
            ModelUnavailable: If it may not come here.
        """
        if not self._matcher.accept_token(token):
            raise ModelUnavailable(f"token {token} does not match the grammar: was it drawn without it?")

    def forced(self, most: int) -> tuple[int, ...]:
        """Say which tokens must come next, and take note of them as said.

        Args:
            most: How many at most.
        """
        text = self._matcher.find_jump_forward_string()
        if not text or most < 1:
            return ()
        ids = list(self._tokenizer.encode(text, add_special_tokens=False))[:most]
        left = text.encode()
        kept: list[int] = []
        for token in ids:
            said = left.startswith(self._texts[token]) and not self._goes_on(left)
            if not said or not self._matcher.accept_token(token):
                break
            kept.append(token)
            left = left[len(self._texts[token]) :]
        return tuple(kept)

    def _goes_on(self, text: bytes) -> bool:
        """Tell whether a token that may come next holds the whole of a text and more."""
        return any(
            len(self._texts[token]) > len(text) and self._texts[token].startswith(text)
            for token in np.flatnonzero(self._allowed()).tolist()
        )
