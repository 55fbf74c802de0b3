"""The page around a program: style sheet, state, goal, scripts."""
# ruff: noqa: E501 - markup reads better unbroken

import json
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from typing import Any

from foveate.agent.oracles.wants import All, Clicked, Until
from foveate.agent.training.markup import shown
from foveate.agent.training.programs.kit import Kit
from foveate.agent.training.programs.task import Made

_STYLE = """
html{height:auto}body{overflow:auto;min-height:100vh;overflow-wrap:anywhere}[hidden]{display:none!important}
main{padding-bottom:14px;align-items:stretch}
button,.btn,.tool,.bare,a{touch-action:manipulation;user-select:none}
.mark{flex:none;display:inline-flex;align-items:center;justify-content:center;padding:0;background:none;border:1.5px solid #888;
cursor:pointer;color:inherit}
.mark svg,.mark i{visibility:hidden}.mark[aria-checked=true] svg,.mark[aria-checked=true] i{visibility:visible}
.switch{justify-content:flex-start;background:#999;border:0;border-radius:99px;padding:2px}
.switch i{visibility:visible!important;border-radius:50%;background:#fff;height:100%;aspect-ratio:1}
.switch[aria-checked=true]{justify-content:flex-end}
.seg[aria-checked=true],.chip[aria-pressed=true],.tab[aria-selected=true]{outline:0}
.veil{position:fixed;inset:0;z-index:8}
.sheet{position:fixed;z-index:9;overflow:auto;display:flex;flex-direction:column}
.bar{position:sticky;z-index:5}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:4px 5px;font-weight:inherit}
"""


@lru_cache(maxsize=1)
def _runtime() -> str:
    return files("foveate.agent.training.programs").joinpath("runtime.js").read_text(encoding="utf-8")


def framed(kit: Kit, made: Made) -> Made:
    """Put something around a program, in some cases: a bar over it, links under it, a message that is in the way."""
    body, plan = made.body, made.plan
    if "bar" not in body and kit.chance(0.12):
        icons = [
            kit.icon_button(name, "other")
            for name in kit.rng.sample(("menu", "user", "search", "home"), kit.some(1, 2))
        ]
        kinds = f'class="bar row between {kit.one(("panel", "accent", "line"))}"'
        body = f'<div {kinds} style="top:0;padding:6px 10px"><b>{shown(kit.title)}</b><span class="row">{"".join(icons)}</span></div>{body}'
    if kit.chance(0.15):
        links = "".join(kit.link(kit.name(kit.words.heading, 14), "other") for _ in range(kit.some(1, 3)))
        body += f'<div class="row wrap small" style="padding:8px 12px;gap:10px">{links}</div>'
    if "data-veil" not in body and kit.chance(0.05):
        button, operation = kit.obvious(("OK", "Close", "Accept", "Continue"), "close", "notice", "notice")
        place = kit.one(("left:20px;right:20px;top:80px", "left:0;right:0;bottom:0", "left:12px;right:12px;top:12px"))
        body += (
            '<div class="veil" data-key="notice veil" data-role="" data-veil style="background:rgba(0,0,0,.35);z-index:30"></div>'
            f'<div class="sheet over" data-key="message" data-role="" style="{place};padding:12px;gap:8px;z-index:31">'
            f"{kit.text(kit.some(5, 12))}<div class=row>{button}</div></div>"
        )
        plan = All([Until(lambda sight: sight.things["message"].away is None, [Clicked("notice", operation)]), plan])
    return replace(made, body=body, plan=plan)


def write_page(kit: Kit, made: Made, seed: int) -> str:
    """Write the whole page of a program.

    Args:
        kit: Its words and its look.
        made: What its family made.
        seed: What it was made from.
    """
    about = {"seed": seed, "split": kit.split}
    state = {"saved": None, **made.state}
    script = (
        f"const ABOUT = {_js(about)}, S = {_js(state)}, GOAL = {_js(made.goal)}, INSTRUCTION = {_js(made.instruction)}, "
        f"TEMPLATES = {_js(kit.templates)};\n{_runtime()}\n{made.script}\nrender();"
    )
    return (
        f'<!doctype html><html lang="{"en" if kit.language == "en" else "und"}"><meta charset="utf-8"><title>{shown(kit.title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_live(kit.theme.css)}{_STYLE}{kit.style}</style>'
        f"<body>{made.body}{kit.over}<script>{script}</script>"
    )


def _js(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def _live(css: str) -> str:
    """Make a style sheet of drawn states one of real ones: what has the focus, lies under the pointer, is pressed."""
    pressable = (".btn", ".tool", ".bare", ".pick")
    return (
        css.replace(".focus{", ".focus,.fld:focus,select:focus-visible,button:focus-visible{")
        .replace(".hover{", ".hover," + ",".join(f"{one}:hover" for one in pressable) + "{")
        .replace(".pressed{", ".pressed," + ",".join(f"{one}:active" for one in pressable) + "{")
        .replace(".on{", ".on,.mark[aria-checked=true]:not(.round),.seg[aria-checked=true],.chip[aria-pressed=true]{")
    )
