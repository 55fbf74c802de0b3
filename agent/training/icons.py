"""Simple icons drawn with lines, each in two or more variants, on a field of 24 by 24."""
# ruff: noqa: E501 - a path is one line

import random
from dataclasses import dataclass
from typing import Final

ICONS: Final[dict[str, tuple[str, ...]]] = {
    "close": ('<path d="M5 5l14 14M19 5L5 19"/>', '<path d="M7 7l10 10M17 7L7 17"/>',
              '<circle cx="12" cy="12" r="9"/><path d="M9 9l6 6M15 9l-6 6"/>'),
    "search": ('<circle cx="10" cy="10" r="6"/><path d="M15 15l6 6"/>',
               '<circle cx="11" cy="11" r="7.5"/><path d="M16.5 16.5L21 21"/>',
               '<circle cx="14" cy="10" r="6"/><path d="M9.5 14.500L3 21"/>'),
    "menu": ('<path d="M3 6h18M3 12h18M3 18h18"/>', '<path d="M4 7h16M4 12h16M4 17h10"/>',
             '<path d="M3 8h18M3 16h18"/>'),
    "settings": ('<circle cx="12" cy="12" r="6.5"/><circle cx="12" cy="12" r="2.5"/><path d="M12 1.5v4M12 18.5v4M1.5 12h4M18.5 12h4M4.5 4.5l3 3M16.5 16.5l3 3M19.5 4.5l-3 3M7.5 16.5l-3 3" stroke-width="3.5"/>',
                 '<path d="M3 7h9M18 7h3M3 17h3M12 17h9"/><circle cx="15" cy="7" r="3"/><circle cx="9" cy="17" r="3"/>',
                 '<path d="M10 3h4l.6 3 2.4 1.4 3-1 2 3.4-2.3 2.200v2l2.3 2-2 3.4-3-1-2.4 1.4-.6 3h-4l-.6-3L7 18.400l-3 1L2 16l2.3-2v-2L2 9.8 4 6.400l3 1L9.4 6z"/><circle cx="12" cy="12.8" r="2.8"/>'),
    "home": ('<path d="M3 11l9-8 9 8M5 10v11h14V10"/>', '<path d="M4 10.500L12 4l8 6.500V20h-5v-6H9v6H4z"/>'),
    "back": ('<path d="M20 12H4M10 6l-6 6 6 6"/>', '<path d="M15 5l-7 7 7 7"/>'),
    "next": ('<path d="M4 12h16M14 6l6 6-6 6"/>', '<path d="M9 5l7 7-7 7"/>'),
    "edit": ('<path d="M4 20l1-5L16 4l4 4L9 19z"/>', '<path d="M14 5l5 5M4 20l1.5-5L15 5.500l4 4L9.5 19zM4 21h16"/>',
             '<path d="M12 5H4v15h15v-8"/><path d="M9 15l1-4 8-8 3 3-8 8z"/>'),
    "share": ('<circle cx="6" cy="12" r="3"/><circle cx="18" cy="5" r="3"/><circle cx="18" cy="19" r="3"/><path d="M8.5 10.500l7-4M8.5 13.500l7 4"/>',
              '<path d="M14 4l7 7-7 6v-4C8 13 5 15 3 19c0-7 4-11 11-11z"/>'),
    "star": ('<path d="M12 2.500l3 6.3 6.8.9-5 4.7 1.3 6.800L12 17.800l-6.1 3.4 1.3-6.8-5-4.7 6.8-.9z"/>',
             '<path d="M12 4l2.3 5.2 5.7.6-4.3 3.8 1.3 5.600L12 16.200l-5 3 1.3-5.600L4 9.800l5.7-.6z"/>'),
    "heart": ('<path d="M12 21S3 15 3 8.500A4.7 4.7 0 0 1 12 6a4.7 4.7 0 0 1 9 2.500C21 15 12 21 12 21z"/>',
              '<path d="M12 20l-7-7a4.6 4.6 0 0 1 6.5-6.500l.5.5.5-.5A4.6 4.6 0 0 1 19 13z"/>'),
    "plus": ('<path d="M12 4v16M4 12h16"/>', '<circle cx="12" cy="12" r="9"/><path d="M12 8v8M8 12h8"/>',
             '<rect x="3" y="3" width="18" height="18" rx="3"/><path d="M12 8v8M8 12h8"/>'),
    "minus": ('<path d="M4 12h16"/>', '<circle cx="12" cy="12" r="9"/><path d="M8 12h8"/>'),
    "trash": ('<path d="M4 6h16M9 6V3h6v3M6 6l1 15h10l1-15M10 10v7M14 10v7"/>', '<path d="M4 7h16M8 7V4h8v3M6 7v14h12V7"/>',
              '<path d="M5 8h14l-1.5 13h-11zM3 5h18M10 5V3h4v2"/>'),
    "print": ('<path d="M7 8V3h10v5M7 17H3V8h18v9h-4"/><rect x="7" y="14" width="10" height="7"/>',
              '<rect x="3" y="8" width="18" height="9" rx="2"/><path d="M7 8V4h10v4M8 14h8v6H8z"/>'),
    "user": ('<circle cx="12" cy="8" r="4"/><path d="M4 21c0-5 3.5-7 8-7s8 2 8 7"/>',
             '<circle cx="12" cy="12" r="9.5"/><circle cx="12" cy="10" r="3"/><path d="M6 19c1-3 3-4 6-4s5 1 6 4"/>'),
    "cart": ('<path d="M2 3h3l3 12h10l3-9H6"/><circle cx="9" cy="19.5" r="1.5"/><circle cx="17" cy="19.5" r="1.5"/>',
             '<path d="M5 8h14l1 13H4zM8 8a4 4 0 0 1 8 0"/>'),
    "bell": ('<path d="M6 17V11a6 6 0 0 1 12 0v6l2 1H4zM10 21h4"/>', '<path d="M12 3v2M5 18c2-2 2-4 2-7a5 5 0 0 1 10 0c0 3 0 5 2 7zM10.5 21h3"/>'),
    "download": ('<path d="M12 3v12M7 10l5 5 5-5M4 20h16"/>', '<path d="M12 4v10M8 11l4 4 4-4M4 15v6h16v-6"/>'),
    "upload": ('<path d="M12 16V4M7 9l5-5 5 5M4 20h16"/>', '<path d="M12 15V5M8 8l4-4 4 4M4 15v6h16v-6"/>'),
    "filter": ('<path d="M3 4h18l-7 9v7l-4-2v-5z"/>', '<path d="M3 6h18M6 12h12M10 18h4"/>'),
    "mail": ('<rect x="3" y="5" width="18" height="14"/><path d="M3 6l9 7 9-7"/>', '<rect x="2" y="6" width="20" height="13" rx="3"/><path d="M3 8l9 5 9-5"/>'),
    "phone": ('<rect x="7" y="2" width="10" height="20" rx="2"/><path d="M11 19h2"/>',
              '<path d="M5 3h4l2 5-2.5 2a13 13 0 0 0 5.5 5.500L16 13l5 2v4a2 2 0 0 1-2 2A16 16 0 0 1 3 5a2 2 0 0 1 2-2z"/>'),
    "calendar": ('<rect x="3" y="5" width="18" height="16"/><path d="M3 10h18M8 2v5M16 2v5"/>',
                 '<rect x="4" y="5" width="16" height="15" rx="2"/><path d="M4 9h16M9 3v4M15 3v4M8 13h2M14 13h2M8 17h2"/>'),
    "clock": ('<circle cx="12" cy="12" r="9"/><path d="M12 6v6l4 3"/>', '<circle cx="12" cy="12" r="8"/><path d="M12 8v4h4"/>'),
    "lock": ('<rect x="5" y="11" width="14" height="10"/><path d="M8 11V7a4 4 0 0 1 8 0v4"/>',
             '<rect x="4" y="10" width="16" height="11" rx="3"/><path d="M8 10V8a4 4 0 0 1 8 0v2M12 14v3"/>'),
    "eye": ('<path d="M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12z"/><circle cx="12" cy="12" r="3"/>',
            '<path d="M2 13c3-5 6-7 10-7s7 2 10 7"/><circle cx="12" cy="14" r="4"/>'),
    "play": ('<path d="M6 3l14 9-14 9z"/>', '<circle cx="12" cy="12" r="10"/><path d="M10 8l6 4-6 4z"/>'),
    "pause": ('<path d="M8 4v16M16 4v16"/>', '<rect x="5" y="4" width="5" height="16"/><rect x="14" y="4" width="5" height="16"/>'),
    "check": ('<path d="M4 12l6 6L20 6"/>', '<circle cx="12" cy="12" r="9.5"/><path d="M7 12l4 4 6-7"/>'),
    "info": ('<circle cx="12" cy="12" r="9.5"/><path d="M12 11v6M12 7v1"/>', '<rect x="3" y="3" width="18" height="18" rx="4"/><path d="M12 11v6M12 7v1"/>'),
    "help": ('<circle cx="12" cy="12" r="9.5"/><path d="M9 9a3 3 0 1 1 4 3c-1 .6-1 1-1 2M12 17v.5"/>', '<path d="M8 8a4 4 0 1 1 6 3.500c-2 1-2 2-2 3.500M12 19v1"/>'),
    "pin": ('<path d="M12 22S5 14.5 5 9a7 7 0 0 1 14 0c0 5.5-7 13-7 13z"/><circle cx="12" cy="9" r="2.5"/>',
            '<path d="M12 21s-6-6-6-11a6 6 0 0 1 12 0c0 5-6 11-6 11z"/>'),
    "folder": ('<path d="M3 5h7l2 3h9v12H3z"/>', '<path d="M2 19V6a1 1 0 0 1 1-1h6l2 2h10v3M2 19l3-9h18l-3 9z"/>'),
    "file": ('<path d="M6 2h8l5 5v15H6zM14 2v6h5"/>', '<path d="M5 3h14v18H5zM8 8h8M8 12h8M8 16h5"/>'),
    "camera": ('<path d="M3 7h4l2-3h6l2 3h4v13H3z"/><circle cx="12" cy="13" r="4"/>', '<rect x="2" y="6" width="14" height="12" rx="2"/><path d="M16 11l6-4v10l-6-4z"/>'),
    "image": ('<rect x="3" y="4" width="18" height="16"/><circle cx="8" cy="9" r="2"/><path d="M3 18l6-6 4 4 3-3 5 5"/>',
              '<rect x="3" y="3" width="18" height="18" rx="3"/><path d="M4 18l5-7 4 5 3-3 4 5"/>'),
    "refresh": ('<path d="M20 12a8 8 0 1 1-3-6.200M20 2v5h-5"/>', '<path d="M4 10a8 8 0 0 1 14-3l2 2M20 4v5h-5M20 14a8 8 0 0 1-14 3l-2-2M4 20v-5h5"/>'),
    "up": ('<path d="M12 20V4M6 10l6-6 6 6"/>', '<path d="M5 16l7-8 7 8"/>'),
    "down": ('<path d="M12 4v16M6 14l6 6 6-6"/>', '<path d="M5 8l7 8 7-8"/>'),
    "more": ('<path d="M5 12h.1M12 12h.1M19 12h.1" stroke-width="4" stroke-linecap="round"/>',
             '<path d="M12 5v.1M12 12v.1M12 19v.1" stroke-width="4" stroke-linecap="round"/>'),
    "link": ('<path d="M10 14a4 4 0 0 1 0-6l3-3a4 4 0 0 1 6 6l-2 2M14 10a4 4 0 0 1 0 6l-3 3a4 4 0 0 1-6-6l2-2"/>',
             '<path d="M9 7H7a5 5 0 0 0 0 10h2M15 7h2a5 5 0 0 1 0 10h-2M8 12h8"/>'),
    "copy": ('<rect x="8" y="8" width="13" height="13"/><path d="M16 8V3H3v13h5"/>', '<rect x="9" y="7" width="11" height="14" rx="2"/><path d="M15 7V3H4v14h5"/>'),
    "save": ('<path d="M4 4h13l3 3v13H4zM8 4v6h8V4M8 20v-6h8v6"/>', '<rect x="4" y="4" width="16" height="16" rx="2"/><path d="M8 4v5h7V4M7 20v-7h10v7"/>'),
    "tag": ('<path d="M3 12V3h9l9 9-9 9z"/><circle cx="8" cy="8" r="1.5"/>', '<path d="M12 3h8v8l-9 9-8-8z"/><circle cx="16" cy="7" r="1"/>'),
    "send": ('<path d="M3 11l18-8-8 18-2-8z"/>', '<path d="M3 4l18 8-18 8 3-8zM6 12h15"/>'),
    "chat": ('<path d="M3 4h18v13H10l-5 4v-4H3z"/>', '<path d="M12 4c5 0 9 3 9 7.500S17 19 12 19l-6 3v-4c-2-1.5-3-4-3-6.500C3 7 7 4 12 4z"/>'),
    "chart": ('<path d="M4 20V4M4 20h17M8 16v-5M13 16V7M18 16v-8"/>', '<path d="M3 17l6-6 4 4 8-9M15 6h6v6"/>', '<path d="M12 3v9h9a9 9 0 1 1-9-9z"/>'),
    "sun": ('<circle cx="12" cy="12" r="4"/><path d="M12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2"/>',
            '<circle cx="12" cy="12" r="5"/><path d="M12 1v3M12 20v3M1 12h3M20 12h3"/>'),
    "moon": ('<path d="M20 14A8.5 8.5 0 1 1 10 4a7 7 0 0 0 10 10z"/>', '<path d="M15 3a9 9 0 1 0 6 13A8 8 0 0 1 15 3z"/>'),
    "globe": ('<circle cx="12" cy="12" r="9.5"/><path d="M2.5 12h19M12 2.500c3 3 4 6 4 9.500s-1 6.5-4 9.500c-3-3-4-6-4-9.500s1-6.5 4-9.500z"/>',
              '<circle cx="12" cy="12" r="9"/><path d="M4 8h16M4 16h16M12 3v18"/>'),
    "key": ('<circle cx="7" cy="15" r="4"/><path d="M10 12L20 3M16 6l3 3"/>', '<circle cx="8" cy="12" r="5"/><path d="M13 12h9M18 12v4M21 12v3"/>'),
    "flag": ('<path d="M5 22V3h14l-4 5 4 5H5"/>', '<path d="M6 21V4c4-2 7 3 12 0v9c-5 3-8-2-12 0"/>'),
    "bookmark": ('<path d="M6 3h12v18l-6-5-6 5z"/>', '<path d="M7 3h10a1 1 0 0 1 1 1v17l-6-4-6 4V4a1 1 0 0 1 1-1z"/>'),
    "microphone": ('<rect x="9" y="2" width="6" height="12" rx="3"/><path d="M5 11a7 7 0 0 0 14 0M12 18v4"/>',
                   '<rect x="8.5" y="3" width="7" height="11" rx="3.5"/><path d="M6 12c0 4 3 6 6 6s6-2 6-6M12 18v3M8 21h8"/>'),
    "music": ('<circle cx="7" cy="18" r="3"/><path d="M10 18V4l10-1v12"/><circle cx="17" cy="15" r="3"/>', '<circle cx="9" cy="18" r="3.5"/><path d="M12.5 18V3l6 3"/>'),
    "grid": ('<rect x="3" y="3" width="7" height="7"/><rect x="14" y="3" width="7" height="7"/><rect x="3" y="14" width="7" height="7"/><rect x="14" y="14" width="7" height="7"/>',
             '<path d="M3 3h18v18H3zM3 9h18M3 15h18M9 3v18M15 3v18"/>'),
    "list": ('<path d="M8 6h13M8 12h13M8 18h13M3 6h1M3 12h1M3 18h1"/>', '<rect x="3" y="4" width="4" height="4"/><rect x="3" y="11" width="4" height="4"/><path d="M10 6h11M10 13h11M10 20h11"/>'),
    "logout": ('<path d="M10 3H4v18h6M9 12h12M16 7l5 5-5 5"/>', '<path d="M14 4h6v16h-6M3 12h11M10 8l4 4-4 4"/>'),
    "power": ('<path d="M12 3v9M7 6a8 8 0 1 0 10 0"/>', '<path d="M12 2v10M8 5a8.5 8.5 0 1 0 8 0" stroke-width="3"/>'),
    "undo": ('<path d="M4 9h10a6 6 0 0 1 0 12H8M8 5L4 9l4 4"/>', '<path d="M3 8c5-5 13-4 17 3v7M3 3v6h6"/>'),
}  # fmt: skip
"""What is drawn, by what it is called; white space and numbers as SVG has them."""

FILLED: Final = frozenset(
    {
        "home",
        "star",
        "heart",
        "user",
        "bell",
        "mail",
        "play",
        "pin",
        "folder",
        "moon",
        "tag",
        "send",
        "flag",
        "bookmark",
    }
)
"""Icons whose first variant may be drawn filled too."""


@dataclass(frozen=True, slots=True)
class Pen:
    """How icons are drawn.

    Attributes:
        width: Of lines, in twenty-fourths of the icon.
        ends: Of lines: ``round`` or ``butt``.
        filled: Whether icons that can be are filled.
    """

    width: float
    ends: str
    filled: bool


def draw_pen(rng: random.Random) -> Pen:
    """Draw a way of drawing."""
    return Pen(rng.choice((1.4, 1.7, 2, 2, 2.4, 2.8)), rng.choice(("round", "round", "butt")), rng.random() < 0.3)


def icon(name: str, variant: int, pen: Pen, size: float, style: str = "") -> str:
    """Write an icon in the colour of the text around it.

    Args:
        name: One of ICONS.
        variant: Which of its variants.
        pen: How it is drawn.
        size: Width and height in CSS pixels.
        style: More of its style.
    """
    fill = "currentColor" if pen.filled and name in FILLED and not variant else "none"
    join = "round" if pen.ends == "round" else "miter"
    return (
        f'<svg viewBox="0 0 24 24" width="{size:g}" height="{size:g}" fill="{fill}" stroke="currentColor" '
        f'stroke-width="{pen.width:g}" stroke-linecap="{pen.ends}" stroke-linejoin="{join}" '
        f'style="display:block;flex:none;{style}">{ICONS[name][variant]}</svg>'
    )
