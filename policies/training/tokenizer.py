"""The tokenizer of the bundled checkpoint: characters, bytes for what is no Latin script, and a few whole phrases.

A character a token makes reading learnable by a few million parameters: what the eye reads and what the prompt says
are the same symbols. Coordinates (``0.00`` to ``0.99``) and the fixed phrases of prompt and answer are one token
each, so that a prompt takes tens of tokens and an answer takes few steps. All of it is plain text when decoded.
"""

from tokenizers import AddedToken, Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<img>",
    "</img>",
    "<IMG_CONTEXT>",
    "<quad>",
    "</quad>",
    "<video>",
)
"""Tokens that decoding may skip; the names are InternVL's."""

MARKS = ("<ref>", "</ref>", "<box>", "</box>", "<think>", "</think>")
"""One token each, but text: an answer decoded without special tokens keeps them."""

COORDINATES = tuple(f"0.{number:02d}" for number in range(100))
"""One token an axis: every place of the UNIT convention at two decimals."""

PHRASES = (
    "system\n",
    "user\n",
    "assistant\n",
    "You are a GUI agent.",
    "Task:\n",
    "\n\nPrevious operations:\n",
    "\n\nNotes on the last step:\n",
    "None",
    *(f"Step {number}: " for number in range(1, 10)),
    "<operation>",
    "</operation>\n<action>\n",
    "</operation>",
    "<action>",
    "click(x=",
    ", y=",
    ")\n</action>",
    "</action>",
    'write(message="',
    'press(keys="',
    "scroll(clicks=",
    "wait(seconds=",
    'response(answer="',
    'terminate(status="success")\n</action>',
    'terminate(status="failure")\n</action>',
    '")\n</action>',
    "Click ",
    "Type ",
    "Press ",
    "Scroll ",
    "Wait ",
    "Answer ",
    "The task is finished",
    "Tick ",
    "Untick ",
    "Choose ",
    "Delete ",
    "Open ",
    "Increase ",
    "Decrease ",
    "Finished",
    "Not possible",
    "</operation>\n<action>\nclick(x=",
    '</operation>\n<action>\nwrite(message="',
    '</operation>\n<action>\nterminate(status="success", info="',
    '</operation>\n<action>\nterminate(status="failure", info="',
    " icon",
)
"""Fixed parts of prompt and answer, one token each."""

VOCABULARY = 768
"""Rows of the embedding; what no token uses is spare."""

_PUNCTUATION = "–—‘’“”„…•€™→←↑↓✓✕×÷"


def characters() -> tuple[str, ...]:
    """Give the characters that are a token of their own: ASCII, Latin-1, Latin Extended-A, common punctuation."""
    ascii_text = [chr(code) for code in range(0x20, 0x7F)]
    latin = [chr(code) for code in range(0xA1, 0x180) if code != 0xAD]
    extra = [mark for mark in _PUNCTUATION if mark not in latin]
    return ("\n", "\t", *ascii_text, *latin, *extra)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Build the tokenizer; the same ids every time.

    Returns:
        A fast tokenizer that gives back any Unicode text unchanged, with InternVL's names for the image tokens.
    """
    pieces = (*SPECIAL, *characters(), *(f"<0x{byte:02X}>" for byte in range(256)))
    model = models.BPE(vocab={piece: number for number, piece in enumerate(pieces)}, merges=[], byte_fallback=True)
    tokenizer = Tokenizer(model)
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(piece, special=True, normalized=False) for piece in SPECIAL])
    places = [AddedToken(piece, single_word=True, normalized=False) for piece in COORDINATES]  # 10.50 is no place
    tokenizer.add_tokens([*(AddedToken(piece, normalized=False) for piece in MARKS), *places])
    tokenizer.add_tokens([AddedToken(piece, normalized=False) for piece in PHRASES])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",  # noqa: S106 - no password
        pad_token="<|endoftext|>",  # noqa: S106
        clean_up_tokenization_spaces=False,
        model_max_length=2048,
        extra_special_tokens={
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
        },
    )
