"""Words for made-up pages: common words of interfaces, and syllables that make words nobody has seen."""

import random
import string
from typing import Final

COMMON: Final = tuple(
    """
    about accept account address again album alert amount answer apply archive arrow article attach audio author
    average avatar background badge balance banner battery begin bell blank block blog blue board bold book border
    bottom branch bright brown browse budget build button cable camera canvas capital card carry castle catalog cell
    centre chain change channel chapter chart chat choice circle city class clock close cloud code coffee colour column
    comment common company compare confirm connect contact content copy corner country cover create credit cursor
    custom damage dark dash data debug deck default delete delta deny design detail device dialog digit direct display
    document dollar double download draft drive edge edit effect email empty enable engine enter entry error event
    exit expand expert export extra factor family fast fault favourite field figure file fill filter final find finish
    fixed flag flower folder follow font forest format forward frame free friend front full gallery game garden gate
    general gift give global glass gold good grade grand graph green grey grid group guest guide half hammer hand
    handle happy harbour header health heart height help hidden high hint history hold hotel house image import inbox
    index inform input insert inside invite island item join jump junior keep kernel key kind kitchen label lamp
    language large later launch layer layout learn leave left legal length letter level library light limit line link
    local lock logo long lower machine mail major manage map margin mark market master match maximum medium member
    memory merge message meter method middle minimum minor mirror mobile mode model module moment money monitor month
    more motion mountain mouse move movie music mute name native near network never news next night noise normal north
    notes number object ocean offer office online only open option orange order other outline output owner pack page
    paint panel paper park partner paste path pause pencil people phone photo picture pilot place plan planet play
    plus pocket point policy pool popular port post power present preview price print privacy process product profile
    program project public pull purple push quality quarter query quick quiet quit radio random range rate rating read
    ready recent record reduce refresh region reload remind remote rename repair repeat reply report request reset
    resize result retry return review right river rotate round route rows rule sample scale scan scene school score
    screen script season second secret section select send senior series server session share sheet short show
    sidebar signal silver simple single site skip slide small smart snow social sort sound source south space special
    speed split spring square stage star start state station status step stop storage store story stream street strong
    student style subject submit summer summary sunday support switch symbol system table tablet target team template
    test text theme thread ticket tiger time title toggle token tomorrow tool topic total touch tower track trade train
    travel tree trial turn type under undo unit update upload upper user value vector version video view village visit
    voice volume wallet water week weight west white wide width window winter wire wood world write yellow zero zone
    """.split()  # noqa: SIM905 - a list of words is read more easily
)
"""Lower-case words of three letters or more."""

_ONSETS = "b c d f g h j k l m n p r s t v w y z bl br ch cl cr dr fl fr gl gr pl pr sh sk sl sm sn sp st th tr".split()  # noqa: SIM905
_NUCLEI = "a e i o u a e i o ai ea ee oo ou".split()  # noqa: SIM905
_CODAS = ["", "", "", *"b d g k l m n p r s t x ck ll nd ng nt rk st".split()]  # noqa: SIM905


def made_up_word(rng: random.Random) -> str:
    """Make a lower-case word of one to three syllables."""
    count = rng.choice((1, 2, 2, 2, 3))
    return "".join(rng.choice(_ONSETS) + rng.choice(_NUCLEI) + rng.choice(_CODAS) for _ in range(count))


def _word(rng: random.Random) -> str:
    return rng.choice(COMMON) if rng.random() < 0.5 else made_up_word(rng)


def _code(rng: random.Random) -> str:
    letters = "".join(rng.choices(string.ascii_uppercase, k=rng.randint(0, 2)))
    return letters + "".join(rng.choices(string.digits, k=rng.randint(2, 4)))


def label_text(rng: random.Random) -> str:
    """Make the text of a button, link or field: one or two words, sometimes a code, in the usual cases."""
    kind = rng.random()
    if kind < 0.08:
        return _code(rng)
    text = _word(rng) + (" " + _word(rng) if kind > 0.85 else "")
    case = rng.random()
    if case < 0.55:
        text = text[0].upper() + text[1:]
    elif case < 0.65:
        text = text.upper()
    elif case < 0.75:
        text = text.title()
    return text[:14].strip()


def typed_text(rng: random.Random) -> str:
    """Make something that one might type: a word or two, a name, a number."""
    return label_text(rng) if rng.random() < 0.8 else _code(rng)
