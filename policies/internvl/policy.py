"""InternVLPolicy: one picture, a task and the operations so far, to the next actions."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from foveate.actions.errors import ModelUnavailable, OutOfFrame, ParseError, ResetNeeded, UsageError
from foveate.actions.grammar import answer_pattern
from foveate.actions.schema import KINDS
from foveate.envs.base import Observation, Resource
from foveate.policies.answers import decide
from foveate.policies.base import Completion, Decision, Look, Policy, Sampling, Turn, Usage
from foveate.policies.engines.base import Delta, Engine, FinishReason, ImagePart, Message, Request, TextPart
from foveate.policies.engines.names import LLAMACPP, SERVER, Wanted, check_engine, engine_named
from foveate.policies.internvl import checkpoint as checkpoints
from foveate.policies.internvl.conversations import pictures
from foveate.policies.internvl.layouts import is_flash
from foveate.policies.internvl.profile import ModelProfile
from foveate.policies.internvl.profiles import INTERNVL3_5, PROFILES, profile_named
from foveate.policies.internvl.prompts import last_notes, platform_of, previous_operations

_FLASH_REMEDY: Final = "Take one whose name ends in -Flash, or leave flash out"


class InternVLPolicy(Resource, Policy):
    """Asks an InternVL model for the next actions.

    The prompt holds an explicit system message, the current picture, and after it the task, the previous operations
    and the notes on the last step; nothing is remembered between steps. Decoding is greedy and without thoughts
    unless a Look says otherwise. An engine without ``prefill`` (LMDeploy's server) is asked to think by the system
    message and its sampling alone, as InternVL's authors do, and may leave the thought out; a grammar insists on it.

    Args:
        model: ``tiny`` (bundled), a checkpoint's folder, or a hub id; a GGUF file or its folder for llama.cpp.
        engine: An engine's name (opened and closed with this policy), or an Engine that is open already; it may be
            shared, and stays open.
        profile: How to talk to the model, or the name of one; None is what the checkpoint names, else InternVL3.5's.
        look: The default of what may vary per step.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``cuda:all``, for an engine that is given by name.
        flash: Let a router compress tiles (ViR); None is what the checkpoint says, and the only one for a server.
        grammar: Let the model say nothing but an answer of the canonical form, with one action of those offered; a
            thought before it stays free.
        images_kept: Pictures of so many earlier steps go before the current one, a tile each.
        trust_remote_code: Let an engine given by name run the code that comes with a checkpoint, where it cannot do
            without (LMDeploy, of GitHub's layout); the torch engine never does.
        vision: Where a process is that encodes the pictures (``foveate vision``), ``tcp://HOST:PORT``, for the torch
            engine given by name; None encodes here.
        local_vision: Encode here where that process cannot be had.
        bits: Of a number of the language model's matrices, 16, 8 or 4, for the torch engine given by name.

    Raises:
        UsageError: If there is no such engine or profile, or the profile's model cannot think though ``look`` asks.
    """

    def __init__(
        self,
        model: str | Path = "tiny",
        *,
        engine: str | Engine = "auto",
        profile: ModelProfile | str | None = None,
        look: Look | None = None,
        device: str = "auto",
        flash: bool | None = None,
        grammar: bool = False,
        images_kept: int = 0,
        trust_remote_code: bool = False,
        vision: str | None = None,
        local_vision: bool = False,
        bits: int = 16,
    ) -> None:
        if isinstance(engine, str):
            check_engine(engine)
        self.model = str(model)
        self.look = look if look is not None else Look()
        self._model_path = model
        self._engine_name = engine if isinstance(engine, str) else None
        self._engine: Engine | None = None if isinstance(engine, str) else engine
        self._device = device
        self.flash = flash
        self._grammar = grammar
        self.images_kept = images_kept
        self._trusted = trust_remote_code
        self._vision, self._local_vision, self._bits = vision, local_vision, bits
        self._told = profile is not None
        self._task: str | None = None
        self._seed: int | None = None
        self._kinds = KINDS
        self._serves = isinstance(engine, str) and (engine == LLAMACPP or engine.startswith(SERVER))
        known = None if self._serves else PROFILES.get(str(model))
        self._use(profile_named(profile) if isinstance(profile, str) else profile or known)

    def _use(self, profile: ModelProfile | None) -> None:
        self.profile = profile if profile is not None else INTERNVL3_5
        self.preferred_viewport = self.profile.viewport
        self.can_think = self.profile.can_think
        if profile is not None and self.look.thinking and not profile.can_think:
            raise UsageError(f"the model profile {profile.name!r} cannot think: leave thinking off")

    async def _open(self) -> None:
        if self._engine_name is None:
            if self._engine is None or not self._engine.opened:
                raise ModelUnavailable(
                    f"the {type(self._engine).__name__} given to InternVLPolicy is not open: open it first, it stays "
                    "open after the policy"
                )
            self._check(self._engine)
            return
        if not self._serves:
            self._read(await asyncio.to_thread(checkpoints.find_config, self._model_path))
        wanted = Wanted(
            self.model, device=self._device, flash=self.flash, trust_remote_code=self._trusted, vision=self._vision,
            local_vision=self._local_vision, bits=self._bits,
        )  # fmt: skip
        engine = engine_named(self._engine_name, wanted)
        await engine.open()
        try:
            self._fit(engine)
        except BaseException:
            await engine.close()
            raise
        self._engine = engine

    def _read(self, config: Mapping[str, Any]) -> None:
        """Take on what a checkpoint's configuration names, and refuse what it cannot do, before the rest is fetched."""
        name = config.get("foveate_profile")
        if not self._told and isinstance(name, str):
            self._use(profile_named(name))
        routed = is_flash(config)
        if self.flash and not routed:
            raise ModelUnavailable(f"{self.model} cannot run Flash: it has no router. {_FLASH_REMEDY}")
        if self.images_kept and routed and (self.flash or (self.flash is None and config.get("flash_mode"))):
            raise UsageError(
                f"images_kept={self.images_kept}: a router judges all pictures of a request together, and earlier ones "
                "would change what is seen of the current one: leave it out, or say flash=False (--flash off)"
            )

    def _fit(self, engine: Engine) -> None:
        """Check that an engine that was opened can do what is wanted, and take on what it says of its model."""
        if self.flash is not None and (self._engine_name or "").startswith(SERVER):
            switch = "on" if self.flash else "off"
            raise UsageError(
                f"--flash {switch}: no request switches the router of {self._engine_name}: leave it out here, and say "
                f"it where the server is started (foveate serve MODEL --flash {switch})"
            )
        if self.flash and "flash" not in engine.capabilities:
            raise ModelUnavailable(
                f"{self.model} cannot run Flash on the {type(engine).__name__}: it has no router. {_FLASH_REMEDY}"
            )
        if self._serves:
            self.model = str(getattr(engine, "served", self.model))
            if not self._told:
                self._use(PROFILES.get(str(getattr(engine, "profile", None) or self.model)))
        self._check(engine)

    @property
    def engine(self) -> Engine | None:
        """The engine while it is open; None before and after, where it was given by name."""
        return self._engine

    def _check(self, engine: Engine) -> None:
        """Refuse an engine that cannot keep to a grammar, or cannot begin an answer that has to begin somehow."""
        if self._grammar and "grammar" not in engine.capabilities:
            raise ModelUnavailable(f"{type(engine).__name__} cannot keep to a grammar here: leave the grammar out")
        begun = self.profile.plain_prefill
        if begun and not self._grammar and "prefill" not in engine.capabilities:
            grammar = "add a grammar (--grammar), or " if "grammar" in engine.capabilities else ""
            raise ModelUnavailable(
                f"{type(engine).__name__} cannot be given the beginning of an answer here, and every one of the model "
                f"profile {self.profile.name!r} begins with {begun!r}: {grammar}take an engine in this process or a "
                "server of vLLM, SGLang or llama.cpp"
            )

    async def _close(self) -> None:
        self._task = None
        if self._engine_name is not None and self._engine is not None:
            engine, self._engine = self._engine, None
            await engine.close()

    async def reset(self, task: str, *, seed: int | None = None, action_kinds: frozenset[str] | None = None) -> None:
        """Begin an episode.

        Args:
            task: The instruction.
            seed: Makes sampling repeatable; greedy decoding does not need it.
            action_kinds: What the prompt offers and the parser takes; None is every kind.
        """
        self.require_open()
        self._task, self._seed = task, seed
        self._kinds = action_kinds if action_kinds is not None else KINDS

    async def act(self, observation: Observation, history: tuple[Turn, ...], look: Look | None = None) -> Decision:
        """Ask the model.

        A Look that asks a model to think which cannot is answered without a thought.

        Raises:
            ParseError: If the answer is no action that is offered; ``.decision`` holds its text, usage and tokens.
            OutOfFrame: If it points outside the frame; ``.decision`` likewise.
            ResetNeeded: If no episode was begun.
            ModelUnavailable: If the engine cannot take the request.
        """
        self.require_open()
        engine = self._engine
        if self._task is None or engine is None:
            raise ResetNeeded("InternVLPolicy.act before its first reset")
        look = _merged(look, self.look)
        request = self.request(observation, history, look)
        answered, finish = await _answer(engine, request)
        try:
            return decide(answered, frame=observation.frame, convention=self.profile.convention, kinds=self._kinds)
        except (ParseError, OutOfFrame) as error:
            if finish != "length":
                raise
            cut = type(error)(f"{error} (the answer was cut off at {answered.usage.output} tokens)")
            cut.decision = error.decision
            raise cut from error

    def request(self, observation: Observation, history: tuple[Turn, ...], look: Look) -> Request:
        """Lay out what the engine is asked."""
        profile = self.profile
        thinking = bool(look.thinking) and profile.can_think
        operations = previous_operations(history, limit=profile.history_steps, chars=profile.operation_chars)
        system = profile.system(platform_of(self._kinds), self._kinds, "thought" if thinking else profile.answer)
        user = profile.user(self._task or "", operations, last_notes(history))
        current = ImagePart(observation.image, look.max_tiles or profile.tiles.of(observation))
        earlier = self._earlier(observation, history)
        if earlier:
            user = f"Image-{len(earlier) + 1} is the current picture, those before it are of the steps before.\n{user}"
        prefill = self._prefill(thinking)
        return Request(
            messages=(Message("system", (TextPart(system),)), pictures([*earlier, current], user)),
            prefill=prefill,
            grammar=self._pattern(observation, thinking, prefill) if self._grammar else None,
            stop=profile.stop,
            sampling=self._sampling(look, thinking, len(history)),
            max_new_tokens=profile.thinking_max_new_tokens if thinking else profile.max_new_tokens,
            visual_tokens=look.visual_tokens,
            flash=self.flash,
        )

    def _earlier(self, observation: Observation, history: tuple[Turn, ...]) -> list[ImagePart]:
        """Give the pictures of earlier steps, oldest first, of one tile each: what they are good for is coarse."""
        if not self.images_kept:
            return []
        seen = [turn.observation.image for turn in history]  # of a question that is asked again the current one, too
        earlier = [image for image in seen if image.size and image is not observation.image]
        return [ImagePart(image, 1) for image in earlier[-self.images_kept :]]

    def _prefill(self, thinking: bool) -> str:
        """Say how an answer begins; an engine that cannot be given that leaves it to the prompt, or to a grammar."""
        if self._engine is not None and "prefill" not in self._engine.capabilities:
            return ""
        return self.profile.think_prefill if thinking else self.profile.plain_prefill

    def _pattern(self, observation: Observation, thinking: bool, prefill: str) -> str:
        operation = thinking or self.profile.answer != "action"
        return answer_pattern(
            self._kinds, self.profile.convention, observation.frame, operation=operation, thought=thinking,
            begun=prefill,
        )  # fmt: skip

    def _sampling(self, look: Look, thinking: bool, step: int) -> Sampling:
        """Choose how tokens are drawn; the episode's seed gives every step (and every repeated question) its own."""
        default = self.profile.thinking_sampling if thinking else self.profile.sampling
        sampling = look.sampling if look.sampling is not None else default
        if sampling.temperature > 0 and sampling.seed is None and self._seed is not None:
            return replace(sampling, seed=self._seed * 1_000_003 + step)
        return sampling


async def _answer(engine: Engine, request: Request) -> tuple[Decision, FinishReason | None]:
    """Collect the stream into a Decision without actions."""
    async with aclosing(engine.generate(request)) as stream:
        deltas = [delta async for delta in stream]
    last = deltas[-1] if deltas else Delta()
    raw = request.prefill + "".join(delta.text for delta in deltas)
    return Decision(raw=raw, usage=last.usage or Usage(), completion=_completion(deltas)), last.finish


def _completion(deltas: list[Delta]) -> Completion | None:
    prompt = deltas[-1].prompt_ids if deltas else None
    if prompt is None:
        return None
    ids = tuple(token for delta in deltas for token in delta.token_ids)
    logprobs = tuple(value for delta in deltas for value in delta.logprobs or ())
    return Completion(prompt, ids, logprobs if len(logprobs) == len(ids) else None)


def _merged(look: Look | None, default: Look) -> Look:
    """Fill what a step's Look leaves open from the default."""
    if look is None:
        return default
    return Look(
        max_tiles=look.max_tiles if look.max_tiles is not None else default.max_tiles,
        visual_tokens=look.visual_tokens if look.visual_tokens is not None else default.visual_tokens,
        thinking=look.thinking if look.thinking is not None else default.thinking,
        sampling=look.sampling if look.sampling is not None else default.sampling,
    )
