"""How made-up pages look: palettes and looks, a fifth of each kept out of training, fonts, sizes and densities."""

import colorsys
import random
from dataclasses import dataclass
from typing import Final

from foveate.agent.training.words import FONTS, Split


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours that go together, as hue in degrees, saturation and lightness in percent.

    Attributes:
        name: What it is called.
        ground: Of the page.
        panel: Of what lies on the page.
        ink: Of text.
        accent: Of what is to be pressed first.
        unseen: True where it is kept out of training.
    """

    name: str
    ground: tuple[float, float, float]
    panel: tuple[float, float, float]
    ink: tuple[float, float, float]
    accent: tuple[float, float, float]
    unseen: bool = False

    @property
    def dark(self) -> bool:
        """True where text is lighter than the ground."""
        return self.ground[2] < self.ink[2]


PALETTES: Final = (
    Palette("white", (0, 0, 100), (0, 0, 97), (0, 0, 13), (214, 84, 46)),
    Palette("paper", (0, 0, 100), (0, 0, 100), (220, 15, 22), (221, 70, 52)),
    Palette("mist", (216, 24, 96), (0, 0, 100), (215, 28, 17), (238, 62, 55)),
    Palette("grey", (0, 0, 93), (0, 0, 99), (0, 0, 20), (206, 90, 38)),
    Palette("leaf", (120, 12, 97), (0, 0, 100), (150, 20, 15), (142, 62, 32)),
    Palette("sand", (40, 33, 94), (42, 40, 98), (25, 25, 18), (22, 78, 42)),
    Palette("rose", (345, 40, 97), (0, 0, 100), (340, 20, 20), (338, 72, 46)),
    Palette("lilac", (268, 36, 96), (0, 0, 100), (265, 30, 22), (265, 58, 50)),
    Palette("teal", (180, 20, 96), (0, 0, 100), (190, 30, 16), (178, 74, 28)),
    Palette("brick", (0, 0, 98), (0, 0, 100), (0, 5, 18), (4, 68, 44)),
    Palette("ink", (0, 0, 100), (0, 0, 96), (0, 0, 10), (0, 0, 12)),
    Palette("night", (222, 22, 12), (222, 18, 17), (216, 20, 90), (212, 90, 64)),
    Palette("coal", (0, 0, 9), (0, 0, 15), (0, 0, 88), (152, 58, 46)),
    Palette("slate", (200, 18, 20), (200, 16, 26), (200, 20, 92), (32, 92, 58)),
    Palette("contrast", (0, 0, 0), (0, 0, 0), (0, 0, 100), (52, 100, 55)),
    Palette("plum", (285, 24, 15), (285, 20, 21), (300, 20, 92), (318, 72, 66)),
    Palette("olive", (62, 34, 88), (60, 42, 94), (66, 60, 13), (72, 70, 26), unseen=True),
    Palette("lagoon", (190, 58, 82), (192, 50, 92), (200, 80, 14), (14, 82, 48), unseen=True),
    Palette("cocoa", (18, 34, 16), (18, 30, 22), (36, 60, 88), (44, 84, 56), unseen=True),
    Palette("navy", (232, 56, 22), (232, 46, 29), (60, 40, 94), (330, 86, 68), unseen=True),
)

LOOKS: Final[dict[Split, tuple[str, ...]]] = {
    "seen": ("flat", "outlined", "raised", "pill", "material", "glass", "underlined", "native"),
    "unseen": ("brutal", "soft"),
}
"""How controls are drawn."""


@dataclass(frozen=True, slots=True)
class Theme:
    """Everything that decides how one page looks.

    Attributes:
        palette: The palette's name.
        look: How controls are drawn.
        font: The family of its text.
        size: CSS pixels of running text.
        dark: Light text on dark ground.
        pad: Inner distance of controls in CSS pixels.
        gap: Distance between things in CSS pixels.
        radius: Of corners in CSS pixels.
        css: The style sheet.
    """

    palette: str
    look: str
    font: str
    size: float
    dark: bool
    pad: int
    gap: int
    radius: int
    css: str


def _shade(rng: random.Random, colour: tuple[float, float, float], lightness: float = 0.0) -> str:
    """Write a colour near one, so much lighter."""
    hue, saturation, light = colour
    hue = (hue + rng.uniform(-7, 7)) % 360
    saturation = max(0.0, min(100.0, saturation + (rng.uniform(-6, 6) if saturation else 0)))
    light = max(0.0, min(100.0, light + lightness + (rng.uniform(-2, 2) if 3 < light < 97 else 0)))
    red, green, blue = colorsys.hls_to_rgb(hue / 360, light / 100, saturation / 100)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def draw_theme(rng: random.Random, split: Split) -> Theme:
    """Draw a theme whose palette, look and font are of the split."""
    palette = rng.choice([one for one in PALETTES if one.unseen == (split == "unseen")])
    look = rng.choice(LOOKS[split])
    font = rng.choice(FONTS[split])
    if split == "seen" and rng.random() < 0.45:
        font = rng.choice(("Liberation Sans", "DejaVu Sans"))  # what most pages are set in
    size = (
        round(min(max(rng.gauss(15.2, 1.7), 12), 20) * 2) / 2 if rng.random() < 0.94 else rng.choice((20, 21, 22, 24))
    )
    pad, gap = rng.choice((2, 3, 4, 5, 6, 7, 8, 9)), rng.choice((3, 4, 6, 8, 10, 12))
    radius = {"pill": 99, "native": 0, "brutal": rng.choice((0, 0, 4))}.get(look, rng.choice((0, 2, 3, 4, 6, 8, 12)))
    css = _sheet(rng, palette, look, font, size, (pad, gap, radius))
    return Theme(palette.name, look, font, size, palette.dark, pad, gap, radius, css)


def _sheet(
    rng: random.Random, palette: Palette, look: str, font: str, size: float, spaces: tuple[int, int, int]
) -> str:
    pad, gap, radius = spaces
    lighter = 1 if palette.dark else -1
    ground, panel, ink = _shade(rng, palette.ground), _shade(rng, palette.panel), _shade(rng, palette.ink)
    accent = _shade(rng, palette.accent)
    on_accent = ("#000", "#111")[rng.randrange(2)] if palette.accent[2] > 54 and palette.dark else "#fff"
    line = _shade(rng, palette.panel, lighter * rng.uniform(10, 30))
    muted = _shade(rng, palette.ink, lighter * -rng.uniform(18, 34))
    field = _shade(rng, palette.panel, lighter * rng.uniform(0, 5)) if rng.random() < 0.5 else ground
    spacing = rng.choice((0, 0, 0, 0, 0, 0.2, 0.4, -0.2))
    height = rng.choice((1.2, 1.3, 1.4, 1.5))
    bold = rng.choice((400, 400, 500, 600, 700))
    corner = f"{min(radius, 8)}px"
    pressed = f"filter:brightness({rng.choice((0.8, 0.85, 1.2))})"
    thin = rng.choice((1, 1, 1, 2))
    scheme = "dark" if palette.dark and (look == "native" or rng.random() < 0.5) else "light"
    return f"""
*{{box-sizing:border-box}}
html{{height:100%;--ground:{ground};color-scheme:{scheme}}}
body{{margin:0;min-height:100%;background:{ground};color:{ink};font:{size}px/{height} '{font}';letter-spacing:{spacing}px;
overflow:hidden;position:relative}}
button,input,select,textarea{{font:inherit;letter-spacing:inherit;color:inherit;margin:0}}
h1,h2,h3,p,ul{{margin:0;padding:0}} ul{{list-style:none}}
h1{{font-size:{rng.choice((1.15, 1.25, 1.35, 1.5, 1.5, 2)):.2f}em}} h2{{font-size:{rng.uniform(1.05, 1.25):.2f}em}} h3{{font-size:1em}}
a{{color:{accent}{";text-decoration:none" if rng.random() < 0.5 else ""}}}
main{{padding:{rng.choice((4, 6, 8, 10, 12, 14, 16))}px;display:flex;flex-direction:column;gap:{gap}px;align-items:stretch}}
.row{{display:flex;align-items:center;gap:{max(gap, 4)}px}} .wrap{{flex-wrap:wrap}} .between{{justify-content:space-between}}
.col{{display:flex;flex-direction:column}} .grow{{flex:1;min-width:0}} .nowrap{{white-space:nowrap}}
.muted{{color:{muted}}} .small{{font-size:{rng.choice((0.8, 0.85, 0.9))}em}} .bold{{font-weight:700}}
.cut{{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}}
.panel{{background:{panel};border:{thin}px solid {line};border-radius:{corner};{_shadow(rng, look)}}}
.line{{border-bottom:1px solid {line}}} .accent{{background:{accent};color:{on_accent}}} .ink{{color:{accent}}}
.btn{{font-weight:{bold};white-space:nowrap;cursor:pointer;{_button(rng, look, (pad, radius), (ground, panel, ink, line))}}}
{"button.btn{color:buttontext}" if look == "native" else ""}
.first{{{_first(rng, look, accent, on_accent, ink)}}}
.bare{{background:none;border:0;color:{accent};box-shadow:none;padding:{pad}px;cursor:pointer;font-weight:{bold}}}
.tool{{background:none;border:0;padding:{rng.choice((3, 4, 5, 6))}px;display:inline-flex;color:inherit;border-radius:{corner};cursor:pointer}}
.fld{{{_field(rng, look, (pad, min(radius, 12)), (field, line, ink))};color:{ink};min-width:0;width:100%}}
.fld::placeholder{{color:{muted};opacity:1}}
.focus{{{_focus(rng, look, accent)}}}
.hover{{{rng.choice((f"background-color:{line}", "filter:brightness(.93)", "filter:brightness(1.12)"))}}}
.first.hover,.on.hover,.accent .hover{{background-color:{accent};filter:brightness(.9)}}
.pressed{{{pressed}}} .off{{opacity:{rng.choice((0.4, 0.5, 0.6))};cursor:default}}
.bad{{border-color:#d22!important}} .warn{{color:{"#f77" if palette.dark else "#b11"}}}
.on{{background:{accent};color:{on_accent};border-color:{accent}}}
.caret{{position:absolute;width:1px;background:{ink};z-index:10;pointer-events:none}}
.dim{{position:absolute;inset:0;background:rgba(0,0,0,{rng.choice((0.2, 0.3) if palette.dark else (0.25, 0.35, 0.45, 0.5))});z-index:8}}
.over{{z-index:9;background:{panel};border:{thin}px solid {line};border-radius:{corner};box-shadow:0 {rng.randint(1, 6)}px {rng.randint(4, 18)}px rgba(0,0,0,.3)}}
"""  # noqa: E501 - one rule a line


def _shadow(rng: random.Random, look: str) -> str:
    if look == "brutal":
        return "box-shadow:3px 3px 0 currentColor;border-width:2px;border-color:currentColor"
    if look == "soft":
        return "box-shadow:4px 4px 8px rgba(0,0,0,.22),-3px -3px 7px rgba(255,255,255,.35);border-color:transparent"
    return rng.choice(("", "", "box-shadow:0 1px 3px rgba(0,0,0,.25)", "box-shadow:0 3px 9px rgba(0,0,0,.18)"))


def _button(rng: random.Random, look: str, spaces: tuple[int, int], colours: tuple[str, str, str, str]) -> str:
    pad, radius = spaces
    ground, panel, ink, line = colours
    sides = pad + rng.randint(3, 10)
    base = f"padding:{pad}px {sides}px;border-radius:{radius}px;color:{ink};"
    return {
        "native": f"padding:{rng.choice((1, 2, 3))}px 6px",
        "flat": base + f"background:{line};border:0",
        "outlined": base + f"background:{ground};border:{rng.choice((1, 1, 2))}px solid {rng.choice((line, ink))}",
        "raised": base + f"background:linear-gradient({panel},{line});border:1px solid {line};"
        "box-shadow:0 1px 2px rgba(0,0,0,.3)",
        "pill": base + f"background:{panel};border:1px solid {line}",
        "material": base + f"background:{panel};border:0;box-shadow:0 2px 4px rgba(0,0,0,.35)",
        "glass": base + "background:rgba(128,128,128,.18);border:1px solid rgba(128,128,128,.35)",
        "underlined": base + f"background:none;border:0;border-bottom:2px solid {line}",
        "brutal": base + f"background:{ground};border:2px solid {ink};box-shadow:2px 2px 0 {ink}",
        "soft": base + f"background:{panel};border:0;"
        "box-shadow:3px 3px 6px rgba(0,0,0,.25),-2px -2px 5px rgba(255,255,255,.4)",
    }[look]


def _first(rng: random.Random, look: str, accent: str, on_accent: str, ink: str) -> str:
    """Write what the most important button has besides."""
    if look == "native":
        return ""
    if look in ("outlined", "underlined") and rng.random() < 0.5:
        return f"color:{accent};border-color:{accent}"
    if look == "brutal":
        return f"background:{accent};color:{on_accent};border-color:{ink}"
    return f"background:{accent};color:{on_accent};border-color:{accent}"


def _field(rng: random.Random, look: str, spaces: tuple[int, int], colours: tuple[str, str, str]) -> str:
    pad, radius = spaces
    field, line, ink = colours
    base = f"padding:{max(pad - 1, 1)}px {pad + rng.randint(0, 6)}px;border-radius:{radius}px;background:{field};"
    if look == "native":
        return f"background:{field};border:{rng.choice((1, 2))}px {rng.choice(('inset', 'solid'))} #888;padding:1px 2px"
    if look in ("underlined", "material"):
        return base + f"border:0;border-bottom:{rng.choice((1, 2))}px solid {rng.choice((ink, '#888'))};border-radius:0"
    if look == "brutal":
        return base + f"border:2px solid {ink}"
    if look == "soft":
        return base + "border:0;box-shadow:inset 2px 2px 5px rgba(0,0,0,.3)"
    return base + f"border:1px solid {rng.choice((line, '#888', '#999'))}"


def _focus(rng: random.Random, look: str, accent: str) -> str:
    if look == "native":
        return "outline:auto 1px -webkit-focus-ring-color"
    return rng.choice((
        f"outline:2px solid {accent};outline-offset:{rng.choice((-1, 0, 1, 2))}px",
        f"border-color:{accent};box-shadow:0 0 0 3px {accent}55;outline:0",
        "outline:auto 1px -webkit-focus-ring-color",
    ))  # fmt: skip
