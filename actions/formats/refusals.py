"""Prose that forbids, takes back or makes conditional the action that it surrounds.

A model that shows an action in order to refuse it must not have it done; one that tells a difficulty and how it gets
round it means its action. So only four things count: the clause that leads to an action negates or conditions it, a
sentence after it takes it back, and a refusal of the task before it that no intention follows. Quoted words and what
was said in thoughts, strings and tags do not.
"""

import re
from collections.abc import Sequence

from foveate.actions.errors import ParseError
from foveate.actions.formats.values import excerpt

_REACH = 2_000
"""Characters on each side of an action that are looked at."""

_QUOTED = re.compile(r"\"[^\"\n]{1,80}\"|“[^”\n]{1,80}”|(?<!\w)'[^'\n]{1,80}'(?!\w)|「[^」\n]{1,80}」")
_COMMENT = re.compile(r"^[ \t]*#(?!#).*$", re.MULTILINE)
_SENTENCE = re.compile(r"[.!?](?:\s+|$)|[。！？]")
_CLAUSE = re.compile(
    r"[,;—–，；]|\s-+\s|\b(?:so|but|then|therefore|thus|hence|because|instead(?! of)|since|although|while)\b"
)
_ACT = (
    r"(?:do|doing|click|press|type|run|execute|perform|issue|use|take|choose|select|submit|send|output|write|call|make|"
    r"try|go|open|scroll|drag|recommend|suggest|want|tap|touch|allow|carry|follow|proceed)"
)
_NOT = (
    r"(?:(?:will|would|should|must|shall|may|can|could|do|need|am going) ?(?:not|never)"
    r"|(?:ca|wo|do|would|should|must|could|need)n?['’]t|cannot)"
)
_UNABLE = rf"(?:{_NOT}|(?:am|['’]m) (?:unable|not able) to|(?:is|are) unable to)"
_UNSEEN = re.compile(
    rf"\b{_UNABLE} (?:\w+ly )?(?:find|see|locate|identify|detect|recogni[sz]e|tell|spot)\b(?!.*\b(?:i|we|let)\b)"
    r"|(?:找不到|看不到|没有找到|无法(?:找到|确定|定位))"
)
_FORBIDDING = re.compile(
    r"^not(?: (?:this|that|these|those|here|there|it|so|like (?:this|that)|allowed|recommended|correct|safe|right"
    r"|to be \w+|the (?:right|correct) \w+))?$"
    r"|^(?:please |you )?(?:do not|don['’]?t|never|avoid|must not|mustn['’]t)\b(?! (?:forget|worry|panic|mind)\b)"
    r"|^no$|^(?:as |for )?(?:an? |one )?(?:\w+ )?example(?: \w+)?$|^(?:usage|format|syntax|signature)$"
    r"|^(?:(?:the|a|this is|this would be|as) ){0,2}(?:wrong|incorrect|bad|forbidden|mistaken)"
    r"(?: (?:action|answer|way|one|step|example|call|choice|move|click))?$"
    rf"|\b{_NOT} (?:\w+ly )?(?:going to |want to |like to )?{_ACT}\b(?!.*\b(?:i|we|let)\b)"
    rf"|\bnot to {_ACT}\b(?!.*\b(?:i|we|let)\b)|\b(?:not allowed|forbidden|prohibited)(?: to \w+)?$"
    r"|\b(?:i|we|you)(?: \w+){0,2} (?:refuse|decline|avoid)(?: to\b| this| that| \w+ing\b|$)"
    r"(?!.*\b(?:by|with|press|click|i|we)\b)"
    r"|(?:\bnot|\bnever|n['’]t|\binstead of|\brather than|\bwithout|\bexcept|\bif|\bwhether)(?: at| in| on)?$"
    r"|(?:不要|不应|不可以|不会|拒绝|切勿|禁止|不能(?:点|做|执行|这)|错误的)[^，。；]{0,20}$"
)
_CONDITION = re.compile(
    r"^(?:if|elif|unless|while|until|when(?:ever)?|in case|for (?:each|every)|repeat|loop)\b[^,，;；]*[,，]?"
    r"\s*(?:then)?$"
    r"|^(?:else(?: if\b.*)?|otherwise|(?:and/)?or|alternatively|option \w{1,10}"
    r"|(?:the )?(?:first|second|third|other|another) (?:option|alternative|way|possibility))$"
    r"|^(?:如果|若|否则)[^，；]*，?$"
)
_THOUGHT = re.compile(
    r"(?:thoughts?|reasoning|reflection|observation|plan|history"
    r"|(?:previous|last|past)(?: (?:actions?|steps?|operations?))?)"
    r"[ \t*]{0,9}(?:[:：]|$)(?!.*\bactions?[ \t*]{0,9}$)"
)
_ALTERNATIVE = re.compile(r"^(?:or|otherwise|alternatively|else)\b")
_SELF = r"\bi(?: must| have to| will| would)? (?:refuse|decline)(?= to\b|\W*$|[.!,;:])"
_HELP = r"(?:help(?! (?:noticing|but))|assist|comply|participate|fulfil+|engage)"
_SORRY = rf"\b(?:sorry|apologi[sz]e)\b[^.!?\n]{{0,40}}?{_UNABLE} (?:{_HELP}|do|complete|perform|provide|support)\b"
_DECLINED = re.compile(
    rf"{_SELF}|\bi(?: am)? ?{_UNABLE} {_HELP}\b|{_SORRY}|\bas an ai\b"
    r"|(?:抱歉|对不起)[^。]{0,20}(?:无法|不能)(?:帮|完成|执行|协助|提供)|我(?:必须|要)?拒绝"
)
_INTENTION = re.compile(
    r"\b(?:so|but|instead|however|therefore|thus|hence|let me|let['’]s|i['’]ll|i will(?! not| never)"
    r"|i can(?!not|['’]t| not)"
    r"|i (?:click|press|type|scroll|use|open|go|try|start|write|select|choose|take|drag|move))\b"
    r"|所以|因此|但|我(?:点击|输入|按|将)"
)
_IT = r"(?:this|that|it|so)"
_WRONG = (
    r"(?:wrong|incorrect|harmful|dangerous|forbidden|a mistake|mistaken"
    r"|not (?:correct|right|allowed|safe|what|to be))"
)
_UNDONE = re.compile(
    rf"\b(?:i|we)(?: am)? ?{_UNABLE} (?:(?:do|perform|execute|run|click|carry out|go through with) {_IT}|do so)\b"
    r"|(?:^|[.!?\n])\W{0,9}(?:but )?(?:do not|don['’]t|never) (?:do|click|execute|run|perform|press|use|send|submit)"
    rf" (?:{_IT}|there|here)\b"
    r"|(?:不会|不能|无法|不要|别)(?:这样|这么|执行|点击)",
    re.MULTILINE,
)
_TAKEN_BACK = re.compile(
    rf"{_DECLINED.pattern}|(?:^\W{{0,9}}|\b{_IT} )(?:is|was|would be|will be) {_WRONG}\b"
    rf"|\bnever mind\b|\bscratch that\b|\b(?:disregard|ignore) {_IT}\b|\bon second thought|\bi take {_IT} back\b",
    re.MULTILINE,
)


def check(prose: Sequence[str], *, places: bool = False) -> None:
    """Check the prose around actions.

    Args:
        prose: What stands before the first action, between each two, and after the last.
        places: True where the actions are places alone: what is said not to be found is at none of them.

    Raises:
        ParseError: If some of it forbids, takes back or makes conditional an action next to it.
    """
    for index, piece in enumerate(prose):
        if not piece or piece.isspace():
            continue
        if index < len(prose) - 1:
            _before(_plain(piece[-_REACH:]), later=index > 0, places=places)
        if index:
            after = _plain(piece[:_REACH])
            found = _TAKEN_BACK.search(after) or _UNDONE.search(after)
            if found is not None:
                raise _refused(found[0])


def _plain(text: str) -> str:
    """Give a text in lower case without what it quotes and without comments."""
    return _QUOTED.sub('"x"', _COMMENT.sub("", text)).lower()


def _before(text: str, *, later: bool, places: bool) -> None:
    declined = list(_DECLINED.finditer(text))
    if declined and not _INTENTION.search(text, declined[-1].end()):
        raise _refused(declined[-1][0])
    lines = [line for row in text.split("\n") if (line := row.strip(" \t\r*`>-•#:："))]
    if not lines:
        return
    sentence = [part for part in _SENTENCE.split(lines[-1]) if part.strip()]
    last = re.sub(r"^\d{1,3}[.)]\s*", "", sentence[-1].strip() if sentence else "")
    if not text.endswith("\n") and _THOUGHT.match(lines[-1]):
        raise ParseError("no action: what stands in a thought's line is none")
    if lines[-1][-1:] in ".!?。！？":
        undone = _UNDONE.search(last)
        if undone is not None:
            raise _refused(undone[0])
        return
    if _CONDITION.search(last) or (later and _ALTERNATIVE.search(last)):
        raise ParseError(f"an action that depends on something is none: {excerpt(last)}; give the one to do now")
    clause = _CLAUSE.split(last)[-1].strip(" \"'(（")
    if _FORBIDDING.search(clause) or (places and text.rstrip()[-1:] not in ":：" and _UNSEEN.search(clause)):
        raise _refused(clause)


def _refused(words: str) -> ParseError:
    return ParseError(
        f"no action: the model refused, it takes back or forbids its own action: {excerpt(words.strip())}"
    )
