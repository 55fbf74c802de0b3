"""The prompts: ScaleCUA's form, filled from the kinds that an environment offers and from the loop's Turns.

Source: OpenGVLab/ScaleCUA, agent-sft/internvl_chat/internvl/conversation.py (system prompt, three answer forms) and
playground/config/prompt_template (user prompt): same lab, best evidence for how InternVL acts on screens.
"""

from foveate.actions.render import SIGNATURES
from foveate.actions.schema import BROWSER_KINDS, EMBODIED_KINDS, KINDS, POINTER_KINDS
from foveate.policies.base import Turn
from foveate.policies.internvl.profile import AnswerForm, Platform

PLATFORM_NAMES: dict[Platform, str] = {
    "web": "Web Browser",
    "desktop": "Linux (Ubuntu)",
    "embodied": "Embodied Robot",
}

_BLOCK = 10
"""Operations fall out of the prompt ten at a time, so that what stands before them stays the same for ten steps."""

_NOTE_CHARS = 300

_OUTPUT: dict[AnswerForm, str] = {
    "thought": "<think>\n[Your reasoning process here]\n</think>\n",
    "operation": "<operation>\n[Next intended operation description]\n</operation>\n",
    "action": "<action>\n[A set of executable action command]\n</action>",
}
_ENCLOSED: dict[AnswerForm, str] = {
    "action": "The generated action(s) should be enclosed within <action></action> tags.",
    "operation": (
        "The operation and action(s) in your response should be enclosed within <operation></operation> and "
        "<action></action> tags, respectively."
    ),
    "thought": (
        "The reasoning process, operation and action(s) in your response should be enclosed within <think></think>, "
        "<operation></operation> and <action></action> tags, respectively."
    ),
}
_THINK = """\
You are an AI assistant that rigorously follows this response protocol:

1. First, conduct a detailed analysis of the question. Consider different angles, potential solutions, and reason \
through the problem step-by-step. Enclose this entire thinking process within <think> and </think> tags.

2. After the thinking section, provide a clear, concise, and direct answer to the user's question. Separate the answer \
from the think section with a newline.

Ensure that the thinking process is thorough but remains focused on the query. The final answer should be standalone \
and not reference the thinking section."""

_SYSTEM = """\
You are an autonomous {agent} agent operating on the **{platform}** platform. Your primary function is to analyze \
{views} and perform appropriate {kind} actions to complete assigned tasks.

## Action Space
{signatures}

## Input Specification
- {input}

## Output Format
```
{output}
```

## Note
- Avoid actions that would lead to invalid states.
- The generated action(s) must exist within the defined action space.
- {enclosed}"""


def platform_of(kinds: frozenset[str]) -> Platform:
    """Tell from the kinds that an environment offers which platform its prompt is for."""
    if kinds & BROWSER_KINDS:
        return "web"
    if kinds & EMBODIED_KINDS and not kinds & POINTER_KINDS:
        return "embodied"
    return "desktop"


def action_space(kinds: frozenset[str]) -> str:
    """Write the signatures of the kinds, in the order of the schema."""
    return "\n\n".join(text for kind, text in SIGNATURES.items() if kind in kinds)


def system_prompt(platform: Platform, kinds: frozenset[str] = KINDS, answer: AnswerForm = "operation") -> str:
    """Write ScaleCUA's system message.

    Args:
        platform: What kind of world it is.
        kinds: What can be done there.
        answer: ``action`` is ScaleCUA's grounding mode, ``operation`` its planning without a chain of thought,
            ``thought`` its planning with one.
    """
    screen = platform != "embodied"
    view = "Screenshot of the current screen" if screen else "Picture from the body's camera"
    forms: tuple[AnswerForm, ...] = ("thought", "operation", "action")
    past = f" + your past interaction history with {'UI' if screen else 'the world'} to finish assigned tasks."
    return _SYSTEM.format(
        agent="GUI" if screen else "embodied",
        platform=PLATFORM_NAMES[platform],
        views="screen captures" if screen else "camera images",
        kind="UI" if screen else "body",
        signatures=action_space(kinds),
        input=f"{view} + task description{'' if answer == 'action' else past}",
        output="".join(_OUTPUT[form] for form in forms[forms.index(answer) :]),
        enclosed=_ENCLOSED[answer],
    )


def thinking_system_prompt(platform: Platform, kinds: frozenset[str] = KINDS, answer: AnswerForm = "operation") -> str:
    """Write ScaleCUA's system message, where a thought is asked for behind the words that InternVL3.5 thinks upon.

    Source: OpenGVLab/InternVL, internvl_chat, R1_SYSTEM_PROMPT.
    """
    text = system_prompt(platform, kinds, answer)
    return f"{_THINK}\n\n{text}" if answer == "thought" else text


def user_prompt(task: str, operations: str, notes: tuple[str, ...] = ()) -> str:
    """Write ScaleCUA's user message; what the runtime has to say about the last step follows the operations."""
    text = (
        "Please generate the next move according to the UI screenshot, the task and previous operations."
        f"\n\nTask:\n{task}\n\nPrevious operations:\n{operations}"
    )
    return text + ("\n\nNotes on the last step:\n" + "\n".join(f"- {note}" for note in notes) if notes else "")


def previous_operations(history: tuple[Turn, ...], *, limit: int = 20, chars: int = 200) -> str:
    """Write the operations of the Turns in which something was applied; ``None`` where there are none.

    Args:
        history: The Turns so far, oldest first.
        limit: Greatest number of operations; what exceeds it falls out in blocks of ten, for one line
            ``Steps 1-k: not shown``.
        chars: Greatest length of each, in characters.
    """
    texts = [_operation(turn) for turn in history if turn.applied]
    if not texts or limit < 1:
        return "None"
    hidden = 0
    if len(texts) > limit:
        block = min(_BLOCK, limit)
        hidden = -(-(len(texts) - limit) // block) * block
    lines = [f"Steps 1-{hidden}: not shown"] if hidden else []
    lines += [f"Step {number}: {text[:chars]}" for number, text in enumerate(texts[hidden:], hidden + 1)]
    return "\n".join(lines)


def last_notes(history: tuple[Turn, ...]) -> tuple[str, ...]:
    """Give the notes of the last Turn, one line of at most 300 characters each."""
    return tuple(" ".join(note.split())[:_NOTE_CHARS] for note in history[-1].notes) if history else ()


def _operation(turn: Turn) -> str:
    """Give a turn's operation on one line; of an answer without one, the kinds of what was applied."""
    written = " ".join(turn.decision.operation.split())
    return written or ", ".join(outcome.applied.kind for outcome in turn.outcomes if outcome.applied is not None)
