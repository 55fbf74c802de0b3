"""What several commands share: where they speak to people, and options that mean the same in each."""

from enum import StrEnum
from typing import Annotated, Final, TypeAlias

import typer
from rich.console import Console

people: Final = Console(stderr=True, highlight=False)
"""Everything for people goes here; standard output is for results."""


def say(line: str) -> None:
    """Tell people a line."""
    people.print(line, markup=False, soft_wrap=True)


class DeviceName(StrEnum):
    """What ``--device`` takes where one device is meant."""

    CPU = "cpu"
    CUDA = "cuda"


class DevicesName(StrEnum):
    """What ``--device`` takes where a whole model is served: all GPUs together, too."""

    CPU = "cpu"
    CUDA = "cuda"
    ALL = "cuda:all"


class FlashName(StrEnum):
    """What ``--flash`` takes."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


FLASH: Final = {FlashName.AUTO: None, FlashName.ON: True, FlashName.OFF: False}

DeviceOption: TypeAlias = Annotated[
    DeviceName | None, typer.Option(help="Where the model runs; a GPU where there is one by default.")
]
DevicesOption: TypeAlias = Annotated[
    DevicesName | None,
    typer.Option(help="Where the model runs; a GPU where there is one by default, cuda:all is all of them."),
]
TrustOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code",
        help="Let LMDeploy and other servers run Python code that a checkpoint brings; torch and llamacpp never do.",
    ),
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
BrowserOption: TypeAlias = Annotated[str | None, typer.Option(metavar="PATH", help="The Chromium to use.")]


def place_of(device: DeviceName | DevicesName | None) -> str:
    """Give the device's name as engines take it."""
    return "auto" if device is None else device.value
