"""The profiles of the model families that are known, by name."""

from collections.abc import Mapping
from types import MappingProxyType

from foveate.actions.errors import UsageError
from foveate.actions.geometry import Convention
from foveate.envs.base import Viewport
from foveate.policies.internvl.profile import ModelProfile, TileBudget
from foveate.policies.internvl.prompts import thinking_system_prompt, user_prompt
from foveate.policies.internvl.short_prompts import PREFILL, short_system_prompt, short_user_prompt

INTERNVL3_5 = ModelProfile(
    name="internvl3_5",
    convention=Convention.UNIT,
    system=thinking_system_prompt,
    user=user_prompt,
)
"""InternVL3.5 at every size, asked in ScaleCUA's form; its InternVL-based agents write 0..1 with four decimals."""

TINY = ModelProfile(
    name="tiny",
    convention=Convention.UNIT,
    system=short_system_prompt,
    user=short_user_prompt,
    can_think=False,
    plain_prefill=PREFILL,
    tiles=TileBudget(screen=1, camera=1),
    history_steps=8,
    operation_chars=60,
    max_new_tokens=96,
    viewport=Viewport(320, 320, 1.4),
)
"""The bundled checkpoint: one tile of 448 pixels, a short prompt; it says what it does, then does it."""

PROFILES: Mapping[str, ModelProfile] = MappingProxyType({profile.name: profile for profile in (INTERNVL3_5, TINY)})


def profile_named(name: str) -> ModelProfile:
    """Give a profile by its name.

    Raises:
        UsageError: If there is none; the message names those there are.
    """
    if name not in PROFILES:
        raise UsageError(f"no model profile {name!r}: choose one of {', '.join(PROFILES)}")
    return PROFILES[name]
