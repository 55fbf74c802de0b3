"""JSON in which models call a function: found in a text, unwrapped, and handed to the vendor's own module."""

import json
from collections.abc import Iterator, Mapping

from foveate.actions.errors import ParseError
from foveate.actions.formats import anthropic, calls, odyssey, openai, osworld, qwen, refusals
from foveate.actions.formats.arguments import PLACES
from foveate.actions.formats.literal import Call, read_literal
from foveate.actions.formats.prose import check_lead
from foveate.actions.formats.reading import Found, Reading
from foveate.actions.formats.values import MAX_ACTIONS, Numeral, excerpt

_TRIES = 20
_MAX_NESTING = 4
_CALLS = ("bbox_2d", "point_2d", "action_type", "action", "actions", "name", "function", "type", "tool_calls")

_MARKERS = ("bbox_2d", "point_2d", "action_type", "action", "actions", "function", "tool_calls", "name")
_ARGUMENTS = ("arguments", "input", "parameters", "args")
_ENVELOPE = frozenset({"name", "type", "id", "call_id"})
_VALUES = frozenset({*PLACES, *_ARGUMENTS, "x", "y", "text", "content", "key", "keys", "value", "url", "direction"})
_COMMENTS = frozenset({"thought", "thoughts", "thinking", "reasoning", "explanation", "rationale", "description"})


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Make a mapping of what JSON gives; a name given twice would otherwise take the last value silently."""
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise ParseError(f"a JSON object gives {excerpt(name)} twice")
        found[name] = value
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_float=Numeral)


def detect(text: str) -> bool:
    """Tell whether a whole text is JSON that could be a call: a mapping, or a list of them."""
    bare = text.lstrip()
    return bare.startswith("{") or (bare.startswith("[") and bare[1:].lstrip().startswith("{"))


def read(text: str, reading: Reading) -> list[Found]:
    """Read one or more JSON values that follow each other.

    Raises:
        ParseError: If it is no JSON, or none of the known calls.
        OutOfFrame: If a place lies outside the frame.
    """
    found: list[Found] = []
    for value in _values(text.strip()):
        found += read_value(value, reading)
    return found


def search(text: str, reading: Reading) -> list[Found] | None:
    """Read the calls that stand as JSON within prose; None where there are none.

    Raises:
        ParseError: If one is a known call but wrong, or the prose around it forbids it.
        OutOfFrame: If a place lies outside the frame.
    """
    found: list[Found] = []
    prose: list[str] = []
    behind = 0
    at = text.find("{")
    for _ in range(_TRIES):
        if at < 0:
            break
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            at = text.find("{", at + 1)
            continue
        if isinstance(value, dict) and any(key in value for key in _CALLS):
            prose.append(text[behind:at])
            behind = end
            found += read_value(value, reading)
        at = text.find("{", end)
    if not prose:
        return None
    for before in prose:
        check_lead(before)
    refusals.check([*prose, text[behind:]])
    return found


def read_value(value: object, reading: Reading, nesting: int = 0) -> list[Found]:
    """Read one JSON value: a call, a wrapper around one, or a list of these.

    Raises:
        ParseError: If it is none of the known calls, or wrong.
        OutOfFrame: If a place lies outside the frame.
    """
    if nesting > _MAX_NESTING:
        raise ParseError(f"calls are wrapped at most {_MAX_NESTING} deep")
    if isinstance(value, list):
        if not 1 <= len(value) <= MAX_ACTIONS:
            raise ParseError(f"a list of calls holds 1 to {MAX_ACTIONS}, not {len(value)}")
        return [found for item in value for found in read_value(item, reading, nesting + 1)]
    if not isinstance(value, Mapping):
        raise ParseError(f"expected a call as a JSON object, not {excerpt(value)}")
    marked = [name for name in _MARKERS if value.get(name) is not None]
    if len(marked) > 1 and not (marked[0] in ("bbox_2d", "point_2d") and marked[1] == "name"):
        raise ParseError(f"one object is one call, not both {marked[0]} and {marked[1]}")
    if "bbox_2d" in value or "point_2d" in value:
        return qwen.read_grounding(value, reading)
    if isinstance(value.get("action_type"), str):
        return osworld.read(value, reading)
    for wrapper in ("function", "action", "actions", "tool_calls"):
        if isinstance(value.get(wrapper), Mapping | list):
            if value.get("pending_safety_checks"):
                raise ParseError("the call has pending safety checks, which only a person may acknowledge")
            return read_value(value[wrapper], reading, nesting + 1)
    if isinstance(value.get("name"), str):
        return _named(value, reading)
    if isinstance(value.get("action"), str):
        return _by_action(value, reading)
    if isinstance(value.get("type"), str):
        return openai.read(value, reading)
    raise ParseError(
        f"expected a call with a name, action or type, not JSON with {excerpt(', '.join(map(str, value)))}"
    )


def _named(value: Mapping[str, object], reading: Reading) -> list[Found]:
    name = str(value["name"])
    rest = {key: item for key, item in value.items() if key not in _ENVELOPE | _COMMENTS and item is not None}
    names = [key for key in _ARGUMENTS if key in rest]
    given = rest.pop(names[0]) if names else rest
    if names and (beside := rest.keys() & _VALUES):
        raise ParseError(f"the call of {excerpt(name)} gives {excerpt(min(beside))} beside {names[0]}")
    if isinstance(given, str):
        given = _one(given)
    if not isinstance(given, Mapping):
        raise ParseError(f"the arguments of {excerpt(name)} are a JSON object, not {excerpt(given)}")
    if name == "computer_use":
        return qwen.read(given, reading)
    if name == "mobile_use":
        return qwen.read_mobile(given, reading)
    if name in ("computer", "computer_use_preview", "computer-use-preview", "browser"):
        return openai.read(given, reading) if "action" not in given else anthropic.read(given, reading)
    module, _, bare = name.rpartition(".")
    return calls.read_call(Call(module, bare, (), {str(key): item for key, item in given.items()}), reading)


def _by_action(value: Mapping[str, object], reading: Reading) -> list[Found]:
    """Tell the vendors apart by what they alone write."""
    value = {key: item for key, item in value.items() if key not in _COMMENTS}
    if "args" in value or value["action"] in odyssey.NAMES:
        return odyssey.read(value, reading)
    only_qwen = any(key in value for key in ("pixels", "keys", "time", "status")) or value["action"] in qwen.ONLY
    return qwen.read(value, reading) if only_qwen else anthropic.read(value, reading)


def _values(text: str) -> Iterator[object]:
    at = 0
    while at < len(text):
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            if at:
                raise ParseError(f"expected JSON, not {excerpt(text[at : at + 200])}") from None
            yield read_literal(text)
            return
        yield value
        at = end
        while at < len(text) and text[at] in " \t\r\n,;":
            at += 1


def _one(text: str) -> object:
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        return read_literal(text)
