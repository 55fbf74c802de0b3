"""One run at a time: who comes second is refused at once, by name, and the first run goes on undisturbed."""

import asyncio
import gc
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from foveate.actions.errors import BrowserCrashed, FoveateError, InUse, WrongLoop
from foveate.actions.geometry import Point
from foveate.actions.schema import Action, Click, OpenApp, Terminate
from foveate.agent import Agent, Result
from foveate.agent.rollout import rollout
from foveate.envs.base import Env, Observation, ScreenObservation, Step
from foveate.envs.browser import BrowserEnv
from foveate.envs.fake import Effect, FakeEnv
from foveate.policies.base import Decision, Look, Policy, Turn
from foveate.policies.engines.scripted import ScriptedEngine
from foveate.policies.internvl import InternVLPolicy
from foveate.policies.retry import RetryPolicy
from foveate.policies.scripted import ScriptedPolicy

HIT = Click(at=Point(0.25, 0.25))
DONE = Terminate()


class Held(ScriptedPolicy):
    """A script whose first answer waits until it is let go."""

    def __init__(self, *answers: Action) -> None:
        super().__init__(answers or (HIT, DONE))
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    async def act(self, observation: Observation, history: tuple[Turn, ...], look: Look | None = None) -> Decision:
        self.asked.set()
        await self.go.wait()
        return await super().act(observation, history, look)


async def second_is_refused(first: Agent, held: Held, second: Agent, told: str) -> Result:
    """Run one agent, let another begin meanwhile, and give the first one's result."""
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        running = group.create_task(first.run())
        await held.asked.wait()
        with pytest.raises(InUse, match=told) as refused:
            await second.run()
        assert isinstance(refused.value, FoveateError)
        held.go.set()
    return running.result()


async def test_an_agent_does_one_run_at_a_time(tmp_path: Path) -> None:
    env, policy = FakeEnv(), Held()
    agent = Agent(env, policy, record=tmp_path / "run")
    result = await second_is_refused(agent, policy, agent, "Agent is running already: wait .* or make another")
    assert (result.status, result.steps, env.actions) == ("success", 2, [HIT])
    assert not env.opened and not policy.opened


async def test_two_runs_that_begin_together_are_one_run_and_one_refusal() -> None:
    class Slow(FakeEnv):
        async def reset(self, **options: object) -> ScreenObservation:  # type: ignore[override]
            await asyncio.sleep(0)
            return await super().reset(**options)  # type: ignore[arg-type]

    agent = Agent(Slow(), ScriptedPolicy([HIT, DONE]))
    one, two = asyncio.ensure_future(agent.run()), asyncio.ensure_future(agent.run())
    await asyncio.wait({one, two})
    assert one.result().status == "success"
    assert isinstance(two.exception(), InUse)


@pytest.mark.parametrize("opened", [False, True])
async def test_a_world_is_in_one_run_at_a_time(opened: bool) -> None:
    env, policy = FakeEnv(), Held()
    if opened:
        await env.open()
    second = ScriptedPolicy([HIT, DONE])
    told = "FakeEnv is in use by another run: wait until that has ended, or make another"
    result = await second_is_refused(Agent(env, policy), policy, Agent(env, second), told)
    assert (result.status, result.steps, env.actions, env.resets) == ("success", 2, [HIT], 1)
    assert env.opened is opened and not second.opened
    assert (await Agent(env, second).run()).status == "success", "one after the other is what worlds are for"
    await env.close()


@pytest.mark.browser
@pytest.mark.parametrize("opened", [False, True])
async def test_a_browser_is_in_one_run_at_a_time(opened: bool, chromium: str) -> None:
    env, policy = BrowserEnv(browser=chromium, viewport=(320, 240)), Held()
    if opened:
        await env.open()
    told = "BrowserEnv is in use by another run"
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        running = group.create_task(Agent(env, policy).run("t"))
        await policy.asked.wait()
        with pytest.raises(InUse, match=told):
            await Agent(env, ScriptedPolicy([DONE])).run("t")
        policy.go.set()
    assert (running.result().status, running.result().steps) == ("success", 2)
    assert env.opened is opened
    await env.close()


async def test_a_world_that_is_still_being_opened_or_closed_is_in_use() -> None:
    class Slow(FakeEnv):
        def __init__(self) -> None:
            super().__init__()
            self.moments = asyncio.Queue[str]()
            self.go = asyncio.Semaphore(0)

        async def _open(self) -> None:
            self.moments.put_nowait("opening")
            await self.go.acquire()

        async def _close(self) -> None:
            self.moments.put_nowait("closing")
            await self.go.acquire()

    env = Slow()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        running = group.create_task(Agent(env, ScriptedPolicy([DONE])).run())
        for moment in ("opening", "closing"):
            assert await env.moments.get() == moment
            with pytest.raises(InUse, match="Slow"):
                await Agent(env, ScriptedPolicy([DONE])).run()
            env.go.release()
    assert running.result().status == "success"


async def test_a_policy_is_in_one_run_at_a_time_within_a_wrapper_too() -> None:
    policy = Held()
    wrapped = RetryPolicy(policy)
    told = "Held is in use by another run"
    result = await second_is_refused(Agent(FakeEnv(), wrapped), policy, Agent(FakeEnv(), RetryPolicy(policy)), told)
    assert (result.status, result.steps) == ("success", 2)


async def test_an_engine_may_be_shared() -> None:
    class Meeting(ScriptedEngine):
        """Answers only once both have asked."""

        both = asyncio.Barrier(2)

        async def generate(self, request):  # type: ignore[no-untyped-def]
            await self.both.wait()
            async for delta in super().generate(request):
                yield delta

    async with asyncio.timeout(10), Meeting(["<action>terminate()</action>"] * 2) as engine:
        agents = [Agent(FakeEnv(), InternVLPolicy("OpenGVLab/InternVL3_5-8B", engine=engine)) for _ in range(2)]
        async with asyncio.TaskGroup() as group:
            runs = [group.create_task(agent.run()) for agent in agents]
    assert [run.result().status for run in runs] == ["success", "success"]


async def test_the_bare_loop_keeps_to_it_too() -> None:
    async with FakeEnv() as env, Held() as policy, asyncio.timeout(10), asyncio.TaskGroup() as group:
        running = group.create_task(rollout(env, policy))
        await policy.asked.wait()
        async with ScriptedPolicy([DONE]) as other, FakeEnv() as elsewhere:
            with pytest.raises(InUse, match="FakeEnv"):
                await rollout(env, other)
            with pytest.raises(InUse, match="Held"):
                await rollout(elsewhere, policy)
        policy.go.set()
    assert running.result().reason == "done"


class Bare:
    """A world of somebody else: no Resource, and equal to every other."""

    def __init__(self) -> None:
        self.inner = FakeEnv()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bare)

    __hash__ = None  # type: ignore[assignment]

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


async def test_equal_worlds_are_two_and_a_world_needs_no_hash() -> None:
    policy = Held()
    one, two = Bare(), Bare()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        running = group.create_task(Agent(one, policy).run())  # type: ignore[arg-type]
        await policy.asked.wait()
        assert (await Agent(two, ScriptedPolicy([DONE])).run()).status == "success"  # type: ignore[arg-type]
        with pytest.raises(InUse, match="Bare"):
            await Agent(one, ScriptedPolicy([DONE])).run()  # type: ignore[arg-type]
        policy.go.set()
    assert running.result().status == "success"


# However a run ends, what it used is free again ----------------------------------------------------------------------


async def free(env: Env, policy: Policy) -> None:
    """Check that another run can use both."""
    assert (await Agent(env, policy).run()).status == "success"


async def test_an_error_frees_what_was_used() -> None:
    env, policy = FakeEnv(effects=[Effect(raises=BrowserCrashed("gone"))]), ScriptedPolicy([HIT, DONE])
    with pytest.raises(BrowserCrashed):
        await Agent(env, policy).run()
    await free(env, ScriptedPolicy([DONE]))
    await free(FakeEnv(), policy)


async def test_a_failure_to_open_or_to_close_frees_what_was_used() -> None:
    class Broken(FakeEnv):
        broken: str | None = "open"

        async def _open(self) -> None:
            if self.broken == "open":
                raise BrowserCrashed("not opened")

        async def _close(self) -> None:
            if self.broken == "close":
                raise BrowserCrashed("not closed")

    env, policy = Broken(), ScriptedPolicy([DONE])
    for broken in ("open", "close"):
        env.broken = broken
        with pytest.raises(BrowserCrashed):
            await Agent(env, policy).run()
    env.broken = None
    await free(env, policy)


async def test_a_cancelled_run_frees_what_it_used() -> None:
    env, policy = FakeEnv(), Held()
    running = asyncio.ensure_future(Agent(env, policy).run())
    await policy.asked.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    policy.go.set()
    await free(env, policy)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("collected", [True, False])
def test_a_loop_that_was_killed_under_a_run_leaves_nothing_in_use(collected: bool) -> None:
    env, policy = Bare(), Held()  # a world that does not mind in which loop it is
    loop = asyncio.new_event_loop()
    running = loop.create_task(Agent(env, policy).run())  # type: ignore[arg-type]
    loop.run_until_complete(policy.asked.wait())
    loop.close()
    if collected:
        del running
        gc.collect()
    env.inner = FakeEnv()
    assert asyncio.run(Agent(env, ScriptedPolicy([DONE])).run()).status == "success"  # type: ignore[arg-type]
    with pytest.raises(WrongLoop, match="has ended by now: make another"):
        asyncio.run(Agent(FakeEnv(), policy).run())


def test_worlds_of_two_threads_are_kept_apart_as_well() -> None:
    class Waiting(ScriptedPolicy):
        began, go = threading.Event(), threading.Event()

        async def act(self, observation: Observation, history: tuple[Turn, ...], look: Look | None = None) -> Decision:
            self.began.set()
            await asyncio.to_thread(self.go.wait, 10)
            return await super().act(observation, history, look)

    env, policy = FakeEnv(), Waiting([HIT, DONE])
    results: list[Result] = []
    thread = threading.Thread(target=lambda: results.append(Agent(env, policy).run_sync()))
    thread.start()
    assert policy.began.wait(10)
    with pytest.raises(InUse, match="FakeEnv is in use"):
        Agent(env, ScriptedPolicy([DONE])).run_sync()
    policy.go.set()
    thread.join(10)
    assert [result.status for result in results] == ["success"]


# A run asked for from inside itself ----------------------------------------------------------------------------------


class Nested(ScriptedPolicy):
    """A script that asks its own agent for another run, in the middle of the first."""

    def __init__(self, answers: list[Action]) -> None:
        super().__init__(answers)
        self.agent: Agent | None = None
        self.caught: list[type[BaseException]] = []

    async def act(self, observation: Observation, history: tuple[Turn, ...], look: Look | None = None) -> Decision:
        assert self.agent is not None
        try:
            self.agent.run_sync()
        except FoveateError as exc:
            self.caught.append(type(exc))
        return await super().act(observation, history, look)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("within", ["run", "run_sync", "with"])
def test_run_sync_inside_its_own_run_is_refused_and_does_not_hang(within: str) -> None:
    policy = Nested([HIT, DONE])
    policy.agent = agent = Agent(FakeEnv(), policy)
    if within == "run":
        result = asyncio.run(agent.run())
    elif within == "run_sync":
        result = agent.run_sync()
    else:
        with agent:
            result = agent.run_sync()
    assert (result.status, result.steps, policy.caught) == ("success", 2, [InUse, InUse])


@pytest.mark.timeout(20)
def test_a_confirmation_that_runs_the_agent_again_ends_with_that_error() -> None:
    async def confirm(*asked: object) -> bool:
        return agent.run_sync().status == "success"

    agent = Agent(FakeEnv(), ScriptedPolicy([OpenApp(name="editor"), DONE]), confirm=confirm)
    with pytest.raises(InUse, match="running already") as caught:
        agent.run_sync()
    assert caught.value.result.steps == 1


@pytest.mark.timeout(20)
@pytest.mark.parametrize("word", ["started", "observed", "turned", "ended"])
def test_a_listener_that_runs_the_agent_again_is_refused_and_the_run_goes_on(
    word: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Eager:
        def started(self, task: str) -> None:
            self.hear("started")

        def observed(self, observation: Observation) -> None:
            self.hear("observed")

        def turned(self, turn: Turn) -> None:
            self.hear("turned")

        def ended(self, result: Result) -> None:
            self.hear("ended")

        def hear(self, what: str) -> None:
            if what == word:
                agent.run_sync()

    env = FakeEnv()
    agent = Agent(env, ScriptedPolicy([HIT, DONE]), listeners=[Eager()])
    assert agent.run_sync().status == "success"
    assert env.resets == 1
    assert "Eager failed" in caplog.text and "running already" in caplog.text


@pytest.mark.timeout(20)
def test_another_agent_can_be_run_inside_a_run() -> None:
    async def confirm(*asked: object) -> bool:
        inner = Agent(FakeEnv(), ScriptedPolicy([HIT, DONE]))
        return inner.run_sync().status == "success"

    env = FakeEnv()
    agent = Agent(env, ScriptedPolicy([OpenApp(name="editor"), DONE]), confirm=confirm)
    assert agent.run_sync().status == "success"
    assert env.actions == [OpenApp(name="editor")]


@pytest.mark.timeout(20)
def test_what_is_opened_with_an_agent_cannot_run_it_from_its_own_loop() -> None:
    class Asking(FakeEnv):
        caught: Exception | None = None

        async def _open(self) -> None:
            try:
                agent.run_sync()
            except FoveateError as exc:
                self.caught = exc

    env = Asking()
    agent = Agent(env, ScriptedPolicy([DONE]))
    with agent:
        assert isinstance(env.caught, WrongLoop | InUse)


# In a loop that runs already, a notebook's say ------------------------------------------------------------------------


async def test_run_sync_works_where_a_loop_runs_already() -> None:
    env = FakeEnv()
    agent = Agent(env, ScriptedPolicy([HIT, DONE]))
    assert agent.run_sync().status == "success"
    with agent:
        assert agent.run_sync().status == agent.run_sync().status == "success"
    assert not env.opened


async def test_run_sync_names_the_remedy_where_the_running_loop_opened_the_world() -> None:
    async with FakeEnv() as env:
        agent = Agent(env, ScriptedPolicy([HIT, DONE]))
        with pytest.raises(WrongLoop, match=r"FakeEnv was opened in another event loop: open, use and close it in one"):
            agent.run_sync()
        assert (await agent.run()).status == "success"


async def test_a_step_of_a_run_that_was_refused_never_reaches_the_world() -> None:
    class Counting(FakeEnv):
        calls = 0

        async def reset(self, **options: object) -> ScreenObservation:  # type: ignore[override]
            self.calls += 1
            return await super().reset(**options)  # type: ignore[arg-type]

        async def step(self, action: Action) -> Step:
            self.calls += 1
            return await super().step(action)

    env, policy = Counting(), Held()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(Agent(env, policy).run())
        await policy.asked.wait()
        calls = env.calls
        with suppress(InUse):
            await Agent(env, ScriptedPolicy([HIT] * 3)).run()
        assert env.calls == calls
        policy.go.set()
