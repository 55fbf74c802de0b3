"""Secrets in text: found in every form that software writes them in, and nothing else is torn to pieces."""

import base64
import codecs
import html
import json
import time
import unicodedata
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate.actions.errors import UsageError
from foveate.actions.limits import Limits, Secret
from foveate.actions.placeholders import fold

Writer = Callable[[str], str]

VALUE = "Gé heim/2"


def limits_of(**values: str) -> Limits:
    return Limits(secrets={name: Secret(value, ("a.org",)) for name, value in values.items()})


def masked(text: str, value: str = VALUE) -> str:
    return limits_of(pw=value).mask_secrets(text)


@pytest.mark.parametrize(
    "written",
    [
        VALUE,
        quote(VALUE),
        quote(VALUE, safe=""),
        quote_plus(VALUE),
        quote_plus(VALUE).lower(),
        quote(quote(VALUE, safe="")),
        quote(quote(quote(VALUE))),
        "G%C3%a9 heim%2f2",
        "G%E9%20heim/2",
        "G%u00E9%20heim/2",
        "%47é+heim/2",
        html.escape("G&eacute; heim/2").replace("&amp;", "&"),
        "G&#233;&nbsp;heim&#x2F;2",
        "G&#xE9 heim&sol;2",
        json.dumps(VALUE)[1:-1],
        json.dumps(json.dumps(VALUE))[3:-3],
        "G\\xe9 heim\\/2",
        "G\\u{e9} heim/2",
        quote(json.dumps(VALUE)[1:-1]),
        unicodedata.normalize("NFD", VALUE),
        unicodedata.normalize("NFD", quote(unicodedata.normalize("NFD", VALUE))),
        VALUE.upper(),
        VALUE.lower(),
        "Gé   heim/2",
        "Gé\n  heim/2",
        "Gé\u00a0heim/2",
        "Gé\u200b heim\u00ad/2",
        "Géheim/2",
        "Gé heim_2",
        "Ｇé heim/2",
        VALUE.encode().hex(),
        VALUE.encode().hex().upper(),
    ],
)
def test_a_value_is_found_however_it_is_written(written: str) -> None:
    assert masked(f"x{written}y, {written}") == "x{{pw}}y, {{pw}}"


@pytest.mark.parametrize("before", ["", "u", "me", "you:", "name:"])
@pytest.mark.parametrize("after", ["", "1", "22", "333"])
def test_a_value_is_found_in_base64_whatever_stands_beside_it(before: str, after: str) -> None:
    data = f"{before}{VALUE}{after}".encode()
    for written in (base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode().rstrip("=")):
        for text in (f"Basic {written} ends", f"http://a/?t={quote(written, safe='')}&u"):
            found = masked(text)
            assert "{{pw}}" in found
            assert written[4:-4] not in found
            assert found.startswith(("Basic ", "http://a/?t=")) and found.endswith((" ends", "&u"))


def test_a_host_name_that_a_browser_made_of_a_value_is_found() -> None:
    host = "xn--" + codecs.encode("geheimnis-ü", "punycode").decode()
    assert masked(f"https://{host}.example/", "Geheimnis-Ü") == "https://{{pw}}.example/"
    longer = "xn--" + codecs.encode("mein-geheimnis-ü-hier", "punycode").decode()
    assert masked(f"https://{longer}.example/", "Geheimnis-Ü") == "https://{{pw}}.example/"
    assert masked("https://SESAME.example/ https://sesame.example/", "Sesame") == (
        "https://{{pw}}.example/ https://{{pw}}.example/"
    )
    for text in ("https://xn--e1afmkfd.xn--p1ai/", "xn--!!! xn--99999999999"):
        assert masked(text) == text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("two  blanks", "two blanks"),
        ("  around  ", "around"),
        ("line\nbreak", "linebreak"),
        ("tab\tbed", "tab bed"),
        ("ends\n", "ends"),
        ("plus+sign", "plus sign"),
        ("ab + c", "ab%20%2B+c"),
        ("50%25 off", "50%25%20off"),
        ("50%25 off", "50%2525%20off"),
        ("a&amp;b&lt", "a&amp;amp;b&amp;lt"),
        ("back\\new", "back\\\\new"),
        ("\"quoted'", "\\\"quoted\\'"),
        ('what?:<"*|>\\~', "what_______\\_".replace("\\", "_")),
        ("ﬁxed", "fixed"),
        ("straße", "STRASSE"),
        ("한국어", unicodedata.normalize("NFD", "한국어")),
        ("smile😀!", "smile\\ud83d\\ude00!"),
        ("smile😀!", "smile%F0%9F%98%80!"),
        ("smile😀!", "smile&#128512;!"),
        ("smile😀!", "smile\\U0001f600!"),
    ],
)
def test_a_value_is_found_though_what_shows_it_wrote_it_anew(value: str, shown: str) -> None:
    assert masked(f"({shown})", value) == "({{pw}})"
    assert masked(f"({value.strip()})", value) == "({{pw}})"


def test_of_values_that_overlap_nothing_is_left() -> None:
    limits = limits_of(short="abcd", long="abcdef", next="defghi")
    assert limits.mask_secrets("abcdef abcd defghi") == "{{long}} {{short}} {{next}}"
    assert limits.mask_secrets("abcdefghi!") == "{{long}}!"
    assert limits_of(pw="aaaa").mask_secrets("aaaaaa aaaa") == "{{pw}} {{pw}}"
    assert limits_of(pw="aaab").mask_secrets("aaabaaab") == "{{pw}}{{pw}}"


def test_masking_twice_is_masking_once_even_where_a_name_holds_a_value() -> None:
    limits = limits_of(password="hunter2", other="word")
    once = limits.mask_secrets("hunter2 has a word {{ password }} {{word}}")
    assert once == "{{password}} has a {{other}} {{ password }} {{{{other}}}}"
    assert limits.mask_secrets(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "100% of it & more; \\ or \\q, %zz &nope; &#; %",
        "xn-- xn--a click(0.5, 0.25) a+b=c https://example.org/?a=b%20c&d=%E9",
        "Geh heim",
        "Gé/heim2",
        "",
    ],
)
def test_a_text_without_a_value_stays_as_it_is(text: str) -> None:
    assert masked(text) == text


def test_a_short_value_is_replaced_only_where_it_stands_alone() -> None:
    limits = limits_of(cvv="123", it="it")
    text = "cvv=123&x, 123. 1234 0123 a123 %31%323 title it, it's with"
    assert limits.mask_secrets(text) == ("cvv={{cvv}}&x, {{cvv}}. 1234 0123 a123 {{cvv}} title {{it}}, {{it}}'s with")
    assert limits_of(pin="1234").mask_secrets("012345") == "0{{pin}}5"


@pytest.mark.parametrize("value", ["", " ", "\n\t", "\u200b", "\x00"])
def test_a_value_of_nothing_that_can_be_seen_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="empty or blank"):
        Secret(value, ("a.org",))


def test_values_appear_in_no_repr() -> None:
    limits = limits_of(pw="hunter2")
    assert "hunter" not in repr(limits) and "hunter" not in repr(limits._placeholders)


WRITERS: tuple[Writer, ...] = (
    str,
    quote,
    quote_plus,
    html.escape,
    lambda text: json.dumps(text)[1:-1],
    lambda text: "".join(f"&#{ord(char)};" for char in text),
    lambda text: unicodedata.normalize("NFD", text),
)
LETTERS = st.characters(min_codepoint=33, max_codepoint=0x24F, blacklist_categories=("C", "Z"))


@settings(max_examples=300, deadline=None)
@given(
    value=st.text(LETTERS, min_size=5, max_size=20),
    first=st.sampled_from((str, str.upper, str.lower)),
    writers=st.lists(st.sampled_from(WRITERS), max_size=3),
)
def test_no_chain_of_encodings_hides_a_value(value: str, first: Writer, writers: list[Writer]) -> None:
    written = first(value)
    for writer in writers:
        written = writer(written)
    assert masked(f"< {written} >", value) == "< {{pw}} >"


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=80), value=st.text(LETTERS, min_size=4, max_size=9))
def test_any_text_can_be_masked_and_what_is_left_holds_no_value(text: str, value: str) -> None:
    found = masked(text + value + text, value)
    assert fold(value) not in fold(found.replace("{{pw}}", "\n")) or fold(value) in fold("{{pw}}")
    assert masked(found, value) == found


def test_ten_secrets_cost_a_step_of_four_kilobytes_less_than_a_millisecond() -> None:
    limits = limits_of(**{f"s{number}": f"Value-{number}-of ten" for number in range(10)})
    text = ("Press the button beside the field (0.512, 0.25), <action>click(0.5, 0.4)</action>\n" * 60)[:4096]

    def spent_ms() -> float:
        begun = time.perf_counter()
        assert limits.mask_secrets(text) == text
        return (time.perf_counter() - begun) * 1000

    assert min(spent_ms() for _ in range(20)) < 1.0
