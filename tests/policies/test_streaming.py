from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveate.policies.engines.streaming import TextStream


def bytes_to_text(ids: Sequence[int]) -> str:
    """Decode tokens that are single bytes, as a byte-level tokenizer does in the worst case."""
    return bytes(ids).decode("utf-8", "replace")


def streamed(data: bytes, stop: tuple[str, ...] = ()) -> list[str]:
    stream = TextStream(bytes_to_text, stop)
    pieces = []
    for byte in data:
        pieces.append(stream.push(byte))
        if stream.stopped:
            break
    return [*pieces, stream.flush()]


@given(st.text(max_size=30))
def test_text_that_comes_byte_by_byte_is_never_shown_in_broken_characters(text: str) -> None:
    pieces = streamed(text.encode())
    assert "".join(pieces) == text
    assert all(piece.isprintable() or piece in text for piece in pieces)


@given(st.binary(max_size=40))
def test_any_bytes_give_together_what_decoding_them_at_once_gives(data: bytes) -> None:
    assert "".join(streamed(data)) == data.decode("utf-8", "replace")


@given(
    st.lists(st.sampled_from([0x80, 0xBF, 0xC3, 0xE2, 0xF0, 0x9F, 0x61, 0xED]), min_size=20, max_size=120).map(bytes)
)
def test_a_long_run_of_broken_bytes_is_still_what_decoding_them_at_once_gives(data: bytes) -> None:
    assert "".join(streamed(data)) == data.decode("utf-8", "replace")


def test_a_long_run_of_broken_bytes_is_not_decoded_again_and_again() -> None:
    lengths: list[int] = []

    def decode(ids: Sequence[int]) -> str:
        lengths.append(len(ids))
        return bytes_to_text(ids)

    stream = TextStream(decode)
    for _ in range(500):
        stream.push(0x80)
    assert max(lengths) <= 20


def test_a_character_appears_with_its_last_byte() -> None:
    assert streamed("a🥛b".encode()) == ["a", "", "", "", "🥛", "b", ""]


def test_a_character_cut_off_by_the_end_is_flushed_as_broken() -> None:
    assert streamed("é".encode()[:1]) == ["", "\ufffd"]


@pytest.mark.parametrize("text", ["<action>click()</action> and more", "x</action>", "</action>"])
def test_a_stop_text_ends_the_stream_and_is_part_of_it(text: str) -> None:
    assert "".join(streamed(text.encode(), ("</action>",))) == text[: text.index("</action>") + 9]


def test_the_earliest_of_several_stop_texts_counts() -> None:
    assert "".join(streamed(b"abc stop two", ("two", "stop"))) == "abc stop"


def test_what_a_token_holds_behind_a_stop_text_is_cut() -> None:
    words = ["go", " </a", "ct> rest"]
    stream = TextStream(lambda ids: "".join(words[i] for i in ids), ("</act>",))
    assert [stream.push(i) for i in range(3)] == ["go", " </a", "ct>"]
    assert stream.stopped
    assert stream.flush() == ""
