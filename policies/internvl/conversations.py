"""Several pictures, a video, several turns: messages laid out as InternVL was trained on them.

A picture stands before the text; of several each is numbered. Source: OpenGVLab/InternVL, README ("Multi-image
multi-round conversation", "Video multi-round conversation") and internvl_chat's ``chat``; an engine puts the line's
end behind every picture itself.
"""

from collections.abc import Sequence

from foveate.envs.base import Image
from foveate.policies.engines.base import Encoded, ImagePart, Message, TextPart


def pictures(images: Sequence[ImagePart], text: str) -> Message:
    """Ask about pictures: ``Image-1:`` and so on where there are several.

    Args:
        images: In their order, each with a tile budget of its own.
        text: What is asked.
    """
    return _numbered(images, text, "Image-{}: ") if len(images) != 1 else Message("user", (images[0], TextPart(text)))


def video(frames: Sequence[Image | Encoded], text: str, *, max_tiles: int = 1) -> Message:
    """Ask about a video's frames, ``Frame1:`` and so on.

    Args:
        frames: uint8 RGB (height, width, 3), in their order; the reference takes 8 to 32, evenly over the video.
        text: What is asked.
        max_tiles: Greatest number of tiles of each; the reference takes one.
    """
    return _numbered([ImagePart(frame, max_tiles) for frame in frames], text, "Frame{}: ")


def answered(text: str) -> Message:
    """Give what the model answered before, as a message of the conversation."""
    return Message("assistant", (TextPart(text),))


def _numbered(images: Sequence[ImagePart], text: str, name: str) -> Message:
    parts: list[TextPart | ImagePart] = []
    for number, image in enumerate(images, 1):
        parts += [TextPart(name.format(number)), image]
    return Message("user", (*parts, TextPart(text)))
