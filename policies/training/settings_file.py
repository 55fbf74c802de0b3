"""Settings from a TOML file: a wrong key or value is refused by its name, with a remedy; two files are compared."""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from foveate.actions.errors import UsageError
from foveate.policies.training.settings import Settings


def read_settings(path: Path) -> Settings:
    """Read a training run's settings from a TOML file.

    Raises:
        UsageError: If it cannot be read, is no TOML, or has a wrong key or value; names file, key and remedy.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise UsageError(f"--config {path} cannot be read: {exc.strerror or exc}: give a TOML file") from exc
    except ValueError as exc:
        raise UsageError(f"--config {path} is no TOML: {exc}: correct it there") from exc
    return settings_of(data, str(path))


def settings_of(data: Mapping[str, Any], source: str) -> Settings:
    """Make settings of what a file holds.

    Args:
        data: As TOML gives it.
        source: The file's name, for messages.

    Raises:
        UsageError: If a key or a value is wrong; names it with its remedy.
    """
    try:
        return Settings.model_validate(data)
    except ValidationError as exc:
        found = exc.errors(include_url=False)
        first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
        key = _dotted(first["loc"])
        if first["type"] == "extra_forbidden":
            raise UsageError(f"{source}: there is no key {key}{_meant(first['loc'])}") from exc
        if first["type"] == "missing":
            raise UsageError(f"{source}: {key} is missing: give it") from exc
        what = first["msg"].removeprefix("Value error, ")
        value = "" if isinstance(first["input"], dict | list | BaseModel) else f" = {first['input']!r}"
        raise UsageError(f"{source}: {key}{value}{': ' if key else ''}{what}") from exc


def differences(before: Settings, now: Settings) -> list[str]:
    """Say what differs between two runs' settings, ``run`` aside; empty where a state of one fits the other."""
    flat = [_flat(one.model_dump(mode="json", exclude={"run"})) for one in (before, now)]
    keys = sorted(set(flat[0]) | set(flat[1]))
    return [
        f"{key} was {flat[0].get(key)!r} and is {flat[1].get(key)!r}"
        for key in keys
        if flat[0].get(key) != flat[1].get(key)
    ]


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if isinstance(value, dict) and value:
        return {
            key: leaf
            for part, one in value.items()
            for key, leaf in _flat(one, f"{name}.{part}" if name else part).items()
        }
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return {key: leaf for at, one in enumerate(value) for key, leaf in _flat(one, f"{name}[{at}]").items()}
    return {name: value}


def _dotted(where: tuple[int | str, ...]) -> str:
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _meant(where: tuple[int | str, ...]) -> str:
    """Suggest the key that is nearest to a wrong one, else list what there is."""
    table: type[BaseModel] | None = Settings
    for part in where[:-1]:
        if isinstance(part, str) and table is not None and part in table.model_fields:
            table = _table_in(table.model_fields[part].annotation)
    if table is None:
        return ": leave it out"
    near = difflib.get_close_matches(str(where[-1]), table.model_fields, n=1)
    return f": did you mean {near[0]}?" if near else f": there are {', '.join(table.model_fields)}"


def _table_in(annotation: Any) -> type[BaseModel] | None:
    """Find the table in a field's type: itself, or what it is optional, a tuple or a mapping of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _table_in(one)) is not None), None)
