"""OpenAIEngine: any server that speaks OpenAI's chat protocol, told apart by its dialect.

LMDeploy's api_server, vLLM, SGLang and llama.cpp's server differ in how they take a tile budget, a regular expression
and the beginning of an answer; what a dialect cannot do is refused, not left out. A stop text is looked for in the
stream here and ends the request by closing it: LMDeploy drops stop texts of several tokens.
"""

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from foveate.actions.errors import MissingDependency, ModelTimeout, ModelUnavailable, UsageError
from foveate.envs.base import Resource
from foveate.policies.base import Usage
from foveate.policies.engines.base import (
    Capability,
    Delta,
    Encoded,
    Engine,
    FinishReason,
    ImagePart,
    Request,
    check_request,
)
from foveate.policies.engines.openai_request import (
    DIALECTS,
    EXCERPT,
    Dialect,
    body_of,
    counts_fit,
    excerpt,
    pixels_in,
    remedied,
    usage_of,
)
from foveate.policies.engines.streaming import StopText

if TYPE_CHECKING:
    import openai

_FINISHES: Final[Mapping[str, FinishReason]] = MappingProxyType(
    {"stop": "stop", "length": "length", "abort": "aborted"}
)
_PIECES_A_TOKEN: Final = 16
"""Most pieces a token that an answer may come in: a server may well send a token's characters one by one."""

_LONGEST_TOKEN: Final = 256
"""Most characters a token that an answer may have on average; only long runs of blanks or dashes come near."""

_READ_ON: Final = 16
"""Most pieces that are read behind a stop text for the count of the prompt, which follows an answer's own end."""

_READ_ON_S: Final = 0.5
_CUT_OTHERWISE: Final = (
    "%s (%s) counts %d tokens in a prompt that has %d visual ones by its tile budgets, and its text does not make up "
    "the difference: the server keeps to no tile budget, or its tiles have other than 256 tokens. Visual tokens are "
    "told as 0 where they are not known. LMDeploy and vLLM keep to tile budgets with checkpoints in GitHub's layout, "
    "not in transformers' (-HF), llama.cpp with none: serve one in GitHub's layout, or say --tiles 12, which published "
    "ones have, or --tiles 1"
)
_log = logging.getLogger(__name__)


class OpenAIEngine(Resource, Engine):
    """Asks a server over HTTP.

    Pictures are sent as PNG, whole: the server tiles them. A budget by which a picture is one tile is kept everywhere,
    by sending the picture as that tile. Greater ones are sent to LMDeploy, SGLang and vLLM, which need not keep to
    them: in transformers' layout (-HF) LMDeploy has the tiles of the checkpoint's processor, and vLLM's word for them
    is one of GitHub's layout. llama.cpp and others tile as they do. So the server's count of a prompt is compared with
    what the budgets come to; where they differ by tiles that is logged, once, and ``usage.visual`` is 0 for not known,
    there and wherever no count comes afterwards. Until such a count comes the budgets are believed.

    vLLM also takes what a vision process encoded (``VisionClient.encode``), as ``image_embeds``, if it was started with
    ``--enable-mm-embeds``; one request has either pixels or these. Every tile is sent whole: Flash's compression stays
    behind. The form is that of vLLM's source; no vLLM was ever asked.

    Args:
        url: The server's address, ``http://127.0.0.1:23333``, with or without ``/v1``.
        model: One of the server's models; None is its only one.
        key: Sent as the bearer token; None sends none.
        dialect: Whose server it is; ``auto`` asks it.
        connect_s: Longest wait for a connection.
        first_s: Longest wait for the server to begin an answer, and from there for its first text: the prefill.
        next_s: Longest wait for each piece after it.
        whole_s: Longest time for an answer from its request to its end, however many pieces come.
        retries: How often a request is sent again that got no answer, or 429 or 5xx.

    Attributes:
        dialect: Whose server it is, once it is open.
        served: The model that is asked, once it is open.

    Raises:
        UsageError: If the address is none.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str | None = None,
        key: str | None = None,
        dialect: Dialect | Literal["auto"] = "auto",
        connect_s: float = 5.0,
        first_s: float = 120.0,
        next_s: float = 30.0,
        whole_s: float = 1800.0,
        retries: int = 2,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"the server {url!r} is no address: give http://HOST:PORT")
        base = url.rstrip("/")
        self.url = base if base.endswith("/v1") else f"{base}/v1"
        self.name = f"openai:{url}"
        self.dialect: Dialect = "other"
        self.served = model or ""
        self.capabilities: frozenset[Capability] = frozenset()
        self._model, self._key, self._asked = model, key, dialect
        self._connect_s, self._first_s, self._next_s, self._whole_s = connect_s, first_s, next_s, whole_s
        self._retries = retries
        self._client: openai.AsyncOpenAI | None = None
        self._keeps_budgets = self._reads_on = True

    async def _open(self) -> None:
        try:
            import openai
        except ImportError as exc:
            raise MissingDependency("OpenAIEngine", "pip install 'foveate[openai]'") from exc
        self._keeps_budgets = self._reads_on = True
        timeout = openai.Timeout(self._first_s, connect=self._connect_s)
        self._client = openai.AsyncOpenAI(
            base_url=self.url, api_key=self._key or "none", timeout=timeout, max_retries=self._retries
        )
        try:
            async with self._errors("it lists no models"):
                listed = [one async for one in self._client.models.list(timeout=self._connect_s * 2)]
            self._choose([(self._named(one), str(getattr(one, "owned_by", "") or "")) for one in listed])
        except BaseException:
            await self._close()
            raise

    async def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _named(self, listed: object) -> str:
        name = getattr(listed, "id", None)
        if not isinstance(name, str) or not name:
            raise ModelUnavailable(
                f"{self.url} does not speak OpenAI's protocol: it lists {excerpt(listed)} as a model, without a name"
            )
        return name

    def _choose(self, listed: Sequence[tuple[str, str]]) -> None:
        names = [name for name, _ in listed]
        if self._model is None and len(names) != 1:
            raise ModelUnavailable(f"{self.url} serves {', '.join(names) or 'no model'}: say which with --model NAME")
        if self._model is not None and self._model not in names:
            raise ModelUnavailable(f"{self.url} does not serve {self._model}: it serves {', '.join(names) or 'none'}")
        self.served = self._model or names[0]
        owner = dict(listed)[self.served].lower().replace(".", "").replace("-", "")
        known: dict[str, Dialect] = {"lmdeploy": "lmdeploy", "vllm": "vllm", "sglang": "sglang", "llamacpp": "llamacpp"}
        self.dialect = known.get(owner, "other") if self._asked == "auto" else self._asked
        ways = DIALECTS[self.dialect]
        able: dict[Capability, bool] = {"grammar": ways.grammar, "prefill": ways.prefill}
        self.capabilities = frozenset(name for name, can in able.items() if can)

    async def generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        """Answer a request piece by piece; closing the stream closes the connection, which aborts it at the server.

        ``usage`` is the server's own where it came and holds numbers; an answer that a stop text ended is counted
        here: a piece a token, visual tokens by the reference rule, and no count of the prompt, save that the first such
        answer is read on for it, half a second at most. A server that goes on long after ``max_new_tokens`` is cut
        off, with ``length``.

        Raises:
            UsageError: If the request holds a value that no model can take.
            ModelUnavailable: If the server refuses, breaks off or answers nonsense, or its dialect has no word for what
                is asked.
            ModelTimeout: If it does not answer in time.
        """
        self.require_open()
        check_request(request)
        client = self._client
        if client is None:
            raise ModelUnavailable(f"{self.name} is still being opened")
        body = await asyncio.to_thread(self.body, request)  # pictures take milliseconds to pack
        over_s = time.monotonic() + self._whole_s
        stop, count, length, said, began = StopText(request.stop), 0, 0, "", time.perf_counter()
        first: float | None = None
        finish: FinishReason | None = None
        usage: Any = None
        async with self._errors("it broke off in the middle of an answer"):
            async with self._in_time(over_s):
                stream = await client.chat.completions.create(**body)
            async with aclosing(self._chunks(stream, over_s)) as chunks:
                async for chunk in chunks:
                    usage = getattr(chunk, "usage", None) or usage
                    if not chunk.choices:
                        self._refuse_error(chunk)
                        continue
                    choice = chunk.choices[0]
                    text = choice.delta.content or ""
                    if text:
                        first = time.perf_counter() if first is None else first
                        count, length, said = count + 1, length + len(text), (said + text)[:EXCERPT]
                        yield Delta(text=stop.push(text))
                    if stop.stopped:
                        finish = "stop"
                        break
                    if choice.finish_reason:
                        finish = self._finish(choice.finish_reason, said)
                    if _beyond(count, length, request.max_new_tokens):
                        finish = "length"
                        break
                ended = time.perf_counter()
                behind = await self._read_on(chunks) if stop.stopped and usage is None and pixels_in(request) else None
        if finish is None:
            raise ModelUnavailable(f"{self.url} ended its answer without saying why, after {count} pieces: ask again")
        first = ended if first is None else first
        timing = {"prefill": (first - began) * 1000, "decode": (ended - first) * 1000}
        cost = usage_of(usage or behind, request, count, timing)
        yield Delta(finish=finish, usage=self._checked(replace(cost, output=count) if behind else cost, request))

    async def encode(self, images: Sequence[ImagePart]) -> tuple[Encoded, ...]:
        """Refuse: the protocol has no words for it."""
        raise ModelUnavailable(f"{self.name} cannot encode pictures ahead: leave that to the torch engine")

    async def score(self, request: Request, choices: Sequence[str]) -> tuple[float, ...]:
        """Refuse: the protocol has no words for it."""
        raise ModelUnavailable(f"{self.name} cannot score answers: leave that to the torch engine")

    def body(self, request: Request) -> dict[str, Any]:
        """Write a request in the server's dialect.

        Raises:
            ModelUnavailable: If it has no word for something.
        """
        return body_of(request, self.dialect, served=self.served, where=self.url)

    def _refuse_error(self, chunk: Any) -> None:
        """Raise what a server says in a chunk without choices, where it is no count of tokens."""
        said = getattr(chunk, "message", None) or getattr(chunk, "detail", None)
        if said or getattr(chunk, "object", None) == "error":
            raise ModelUnavailable(f"{self.url} failed in the middle of an answer: {remedied(said or chunk)}")

    def _finish(self, why: object, said: str) -> FinishReason:
        """Read why an answer ended; LMDeploy says ``error``, and what went wrong as if it were the answer.

        Raises:
            ModelUnavailable: If for a reason that makes it no answer.
        """
        if why == "error":
            raise ModelUnavailable(f"{self.url} failed in the middle of an answer: {remedied(said or 'no word why')}")
        finish = _FINISHES.get(why) if isinstance(why, str) else None
        if finish is None:
            known = "its own filter ended it" if why == "content_filter" else f"known are {', '.join(_FINISHES)}"
            raise ModelUnavailable(f"{self.url} ended its answer with finish_reason {excerpt(repr(why))}: {known}")
        return finish

    async def _read_on(self, chunks: AsyncGenerator[Any, None]) -> Any:
        """Give the counts of the first answer that a stop text ended, where it ends by itself within moments."""
        if not self._reads_on:
            return None
        self._reads_on = False
        with suppress(TimeoutError, ModelUnavailable, ModelTimeout):  # the answer is there: what follows cannot harm it
            async with self._errors("it broke off behind its answer"), asyncio.timeout(_READ_ON_S):
                for _ in range(_READ_ON):
                    chunk = await anext(chunks, None)
                    if chunk is None or getattr(chunk, "usage", None):
                        return getattr(chunk, "usage", None)
        return None

    def _checked(self, usage: Usage, request: Request) -> Usage:
        """Leave out the visual tokens where the server's count of the prompt says that they are others."""
        if not pixels_in(request):
            return usage
        fits = counts_fit(usage.prompt, request) if usage.prompt else self._keeps_budgets
        if not fits and self._keeps_budgets:
            self._keeps_budgets = False
            _log.warning(_CUT_OTHERWISE, self.url, self.dialect, usage.prompt, usage.visual)
        return usage if fits else replace(usage, visual=0)

    async def _chunks(self, stream: Any, over_s: float) -> AsyncGenerator[Any, None]:
        """Give a stream's chunks, each within a time, and close the connection at the end."""
        chunks = aiter(stream)
        limit_s = self._first_s  # many servers send the headers, and a chunk without text, before the prefill
        try:
            kind = str(stream.response.headers.get("content-type", ""))
            if "html" in kind or "json" in kind:
                chunks = stream.response.aiter_text()
                async with self._in_time(over_s, limit_s):
                    said = await anext(chunks, "")
                raise ModelUnavailable(f"{self.url} answers with {kind} and not with a stream: {excerpt(said)}")
            while True:
                async with self._in_time(over_s, limit_s):
                    try:
                        chunk = await anext(chunks)
                    except StopAsyncIteration:
                        return
                yield chunk
                if chunk.choices and chunk.choices[0].delta.content:
                    limit_s = self._next_s
        finally:
            await stream.close()
            await _unwound(chunks)

    @asynccontextmanager
    async def _in_time(self, over_s: float, limit_s: float = math.inf) -> AsyncIterator[None]:
        """Limit a wait, and never let it last beyond the whole answer's time (of the monotonic clock)."""
        left_s = over_s - time.monotonic()
        late = ModelTimeout(f"{self.url} has not come to the end of its answer within {self._whole_s:g} s")
        if left_s <= 0:  # a flood of pieces leaves the event loop no moment to see it
            raise late
        try:
            async with asyncio.timeout(min(limit_s, left_s)):
                yield
        except TimeoutError as exc:
            if left_s <= limit_s:
                raise late from exc
            raise ModelTimeout(f"{self.url} gave nothing for {limit_s:g} s in the middle of an answer") from exc

    @asynccontextmanager
    async def _errors(self, broken: str) -> AsyncIterator[None]:
        """Make one clear line of whatever the client raises."""
        import httpx2
        import openai

        try:
            yield
        except openai.APITimeoutError as exc:
            raise ModelTimeout(
                f"{self.url} has not answered in time ({self._retries + 1} tries): is the model still being loaded?"
            ) from exc
        except openai.APIStatusError as exc:
            raise ModelUnavailable(self._status(exc)) from exc
        except openai.APIConnectionError as exc:
            why = excerpt(exc.__cause__ or exc) or type(exc).__name__
            raise ModelUnavailable(
                f"{self.url} cannot be reached ({why}): start a server there, or give its address"
            ) from exc
        except openai.APIError as exc:
            told = isinstance(exc.body, Mapping) and exc.body.get("message")
            said = exc if told else exc.body or exc  # without a message the client says no more than that it failed
            raise ModelUnavailable(f"{self.url}: {broken}: {remedied(said)}") from exc
        except (ValueError, AttributeError, TypeError, LookupError) as exc:  # nonsense where JSON was to be
            raise ModelUnavailable(f"{self.url} does not speak OpenAI's protocol: {excerpt(exc)}") from exc
        except httpx2.HTTPError as exc:  # the client maps it up to the first piece, not behind it
            raise ModelUnavailable(f"{self.url}: {broken}: {excerpt(exc) or type(exc).__name__}") from exc

    def _status(self, exc: "openai.APIStatusError") -> str:
        said = excerpt(exc.message)
        match exc.status_code:
            case 401 | 403:
                return f"{self.url} refuses the key: set FOVEATE_API_KEY ({said})"
            case 404:
                return f"{self.url} has no such address or model ({said}): give the server's root, http://HOST:PORT"
            case code if code >= 500 or code == 429:
                return f"{self.url} failed {self._retries + 1} times with {code} ({said}): look at its log"
            case code:
                return f"{self.url} refuses the request with {code}: {remedied(exc.message)}"


def _beyond(pieces: int, length: int, most: int) -> bool:
    """Say whether an answer is longer than so many tokens can be, in whatever pieces they come."""
    return pieces > most * _PIECES_A_TOKEN or length > most * _LONGEST_TOKEN


async def _unwound(chunks: AsyncIterator[Any]) -> None:
    """Run a closed stream's generators to their end, which the client would leave, suspended, to the garbage collector.

    There they are ended at another time, and maybe in another thread; here the closed connection ends them.
    """
    with suppress(Exception):  # of the closed connection; what came before it may still be given
        async for _ in chunks:
            pass
