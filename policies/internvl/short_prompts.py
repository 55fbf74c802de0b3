"""The bundled checkpoint's prompts: ScaleCUA's form with the fixed parts cut to a few words."""

from foveate.policies.internvl.profile import AnswerForm, Platform

SYSTEM = "You are a GUI agent."
"""The whole system message; the checkpoint's tokenizer holds it as one token."""

PREFILL = "<operation>\n"
"""How every answer begins: it says what it does before it does it."""

_NOTE_CHARS = 80


def short_system_prompt(platform: Platform, kinds: frozenset[str], answer: AnswerForm) -> str:
    """Write the system message; it is the same for every platform, kind and form of answer."""
    return SYSTEM


def short_user_prompt(task: str, operations: str, notes: tuple[str, ...] = ()) -> str:
    """Write the user message: task, previous operations, and the beginning of what the runtime has to say."""
    text = f"Task:\n{task}\n\nPrevious operations:\n{operations}"
    if not notes:
        return text
    return text + "\n\nNotes on the last step:\n" + "\n".join(f"- {note[:_NOTE_CHARS]}" for note in notes[:2])
