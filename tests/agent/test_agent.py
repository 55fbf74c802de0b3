"""What surrounds an episode: opening and closing, results, records, stopping, synchronous use."""

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from foveate.actions.errors import BrowserCrashed, EnvClosed, InUse, UsageError, WrongLoop
from foveate.actions.geometry import Point
from foveate.actions.guard import Guard, Limits
from foveate.actions.schema import Action, Click, Navigate, Respond, Terminate
from foveate.agent import Agent, Result
from foveate.agent.listening import Listening
from foveate.envs.base import Event, Observation, Resource, ScreenObservation, Viewport
from foveate.envs.fake import Effect, FakeEnv
from foveate.policies.base import Decision, Look, Policy, Turn

HIT = Click(at=Point(0.25, 0.25))


class OneByOne(Resource, Policy):
    def __init__(self, *actions: Action) -> None:
        self.actions = actions
        self.preferred_viewport: Viewport | None = None
        self.opens = 0

    async def _open(self) -> None:
        self.opens += 1

    async def act(self, observation: Observation, history: tuple[Turn, ...], look: Look | None = None) -> Decision:
        self.require_open()
        return Decision(actions=(self.actions[len(history)],), raw="raw")


DONE = Terminate()


async def test_run_opens_what_is_closed_and_closes_only_that() -> None:
    env, policy = FakeEnv(goal=1), OneByOne(HIT, DONE)
    await policy.open()
    result = await Agent(env, policy).run()
    assert (result.status, result.verified, result.reason, result.steps) == ("success", True, "done", 2)
    assert not env.opened and policy.opened
    await policy.close()


async def test_what_was_closed_is_closed_after_a_failure_too() -> None:
    env, policy = FakeEnv(effects=[Effect(raises=BrowserCrashed("gone"))]), OneByOne(HIT)
    with pytest.raises(BrowserCrashed) as caught:
        await Agent(env, policy).run()
    assert not env.opened and not policy.opened
    result = caught.value.result
    assert isinstance(result, Result)
    assert (result.status, result.reason, result.error) == ("error", "BrowserCrashed", "BrowserCrashed: gone")


@pytest.mark.parametrize(
    ("actions", "verified", "status"),
    [
        ((HIT, DONE), None, "success"),
        ((HIT, DONE), True, "success"),
        ((HIT, DONE), False, "failure"),
        ((Terminate(status="failure"),), True, "failure"),
    ],
)
async def test_success_needs_the_policys_word_and_no_denial_by_the_world(
    actions: tuple[Action, ...], verified: bool | None, status: str
) -> None:
    result = await Agent(FakeEnv(verified=verified), OneByOne(*actions)).run()
    assert (result.status, result.verified) == (status, verified)


@pytest.mark.parametrize(("success", "status"), [(True, "success"), (False, "failure"), (None, "success")])
async def test_the_worlds_end_carries_the_worlds_word(success: bool | None, status: str) -> None:
    env = FakeEnv(effects=[Effect(terminated=True, reward=1.0, success=success)])
    assert (await Agent(env, OneByOne(HIT)).run()).status == status


async def test_a_truncated_episode_is_verified_and_is_no_success() -> None:
    result = await Agent(FakeEnv(goal=1), OneByOne(HIT), max_steps=1).run()
    assert (result.status, result.verified, result.reason) == ("truncated", True, "max_steps")


async def test_the_answer_is_in_the_result() -> None:
    assert (await Agent(FakeEnv(), OneByOne(Respond(answer="42"), DONE)).run()).answer == "42"


async def test_a_guard_without_a_list_gets_the_envs() -> None:
    guard = Guard(Limits(allow=None), ask="never")
    result = await Agent(FakeEnv(), OneByOne(Navigate(url="https://fake.example/x"), DONE), guard=guard).run()
    assert result.trajectory.turns[0].outcomes[0].verdict == "allow"


async def test_a_guard_with_a_list_keeps_it() -> None:
    guard = Guard(Limits(allow=("other.example",)))
    result = await Agent(FakeEnv(), OneByOne(Navigate(url="https://fake.example/x"), DONE), guard=guard).run()
    assert result.trajectory.turns[0].outcomes[0].verdict == "refused"


async def test_guard_off_is_explicit_and_allows_all() -> None:
    result = await Agent(FakeEnv(), OneByOne(Navigate(url="javascript:1"), DONE), guard=Guard.off()).run()
    assert result.trajectory.turns[0].outcomes[0].verdict == "allow"


async def test_stop_ends_a_run_with_status_interrupted() -> None:
    class Endless(OneByOne):
        async def act(self, observation: Observation, history: tuple[Turn, ...], look: Look | None = None) -> Decision:
            agent.stop()
            await asyncio.Event().wait()
            return Decision()

    agent = Agent(FakeEnv(), Endless())
    result = await asyncio.wait_for(agent.run(), 5)
    assert (result.status, result.reason) == ("interrupted", "person")


async def test_a_record_holds_every_step_and_the_result(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = await Agent(FakeEnv(), OneByOne(HIT, DONE), record=folder).run("hit it", seed=3)
    assert result.record == folder
    lines = [json.loads(line) for line in (folder / "steps.jsonl").read_text().splitlines()]
    assert [line["index"] for line in lines] == [0, 1]
    head = json.loads((folder / "episode.json").read_text())
    assert head["task"] == "hit it" and head["seed"] == 3 and head["result"]["status"] == "success"
    assert (folder / lines[0]["frame"]).is_file()


async def test_a_record_of_a_broken_run_is_complete_up_to_the_fault_and_holds_it(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    env = FakeEnv(effects=[None, Effect(raises=BrowserCrashed("gone"))])
    with pytest.raises(BrowserCrashed):
        await Agent(env, OneByOne(HIT, HIT), record=folder).run()
    done, broken = (json.loads(line) for line in (folder / "steps.jsonl").read_text().splitlines())
    assert (done["error"], broken["error"], broken["applied"]) == ([None], ["BrowserCrashed: gone"], [None])
    assert json.loads((folder / "episode.json").read_text())["result"]["reason"] == "BrowserCrashed"


async def test_a_folder_in_use_is_refused_before_anything_is_opened(tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("mine")
    env = FakeEnv()
    with pytest.raises(UsageError, match=tmp_path.name):
        await Agent(env, OneByOne(DONE), record=tmp_path).run()
    assert env.resets == 0 and not env.opened


async def test_downloads_go_to_the_record(tmp_path: Path) -> None:
    seen = []

    class Looking(FakeEnv):
        async def reset(self, **options: Any) -> ScreenObservation:  # type: ignore[override]
            seen.append(self.downloads)
            return await super().reset(**options)

    env = Looking()
    for name in ("one", "two"):
        await Agent(env, OneByOne(DONE), record=tmp_path / name).run()
    assert seen == [tmp_path / "one" / "downloads", tmp_path / "two" / "downloads"]


async def test_the_record_says_where_it_began_and_with_which_versions(tmp_path: Path) -> None:
    class Versioned(FakeEnv):
        start = "https://fake.example/"
        versions = {"chromium": "1.2"}  # noqa: RUF012

    await Agent(Versioned(), OneByOne(DONE), record=tmp_path / "run").run()
    head = json.loads((tmp_path / "run" / "episode.json").read_text())
    assert head["env"] == "Versioned https://fake.example/" and head["versions"]["chromium"] == "1.2"
    assert {"foveate", "python"} <= set(head["versions"])


async def test_a_listener_that_fails_or_hangs_never_reaches_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[str] = []
    blocked = threading.Event()

    class Bad:
        def started(self, task: str) -> None:
            raise RuntimeError("a listener's bug")

        def observed(self, observation: Observation) -> None:
            blocked.wait(1)

        def turned(self, turn: Turn) -> None:
            heard.append("turned")

        def ended(self, result: Result) -> None:
            heard.append(result.status)
            blocked.set()

    started = time.monotonic()
    threading.Timer(0.2, blocked.set).start()
    result = await Agent(FakeEnv(), OneByOne(HIT, DONE), listeners=[Bad()]).run()
    assert result.status == "success" and time.monotonic() - started < 3
    assert heard == ["turned", "turned", "success"]
    assert "Bad failed" in caplog.text and "a listener's bug" in caplog.text


def test_a_full_queue_drops_its_oldest() -> None:
    heard: list[str] = []
    gate = threading.Event()

    class Slow:
        def started(self, task: str) -> None:
            gate.wait(5)
            heard.append(task)

        observed = turned = ended = None  # type: ignore[assignment]

    listening = Listening([Slow()])  # type: ignore[list-item]
    for number in range(400):
        listening.started(str(number))
    gate.set()
    listening.close()
    assert heard[-1] == "399" and len(heard) <= 257 and "100" not in heard[1:]


# Event loops and threads ---------------------------------------------------------------------------------------------


def test_run_sync_works_from_plain_code_and_opens_anew_each_time() -> None:
    env, policy = FakeEnv(goal=1), OneByOne(HIT, DONE)
    agent = Agent(env, policy)
    assert agent.run_sync().status == agent.run_sync().status == "success"
    assert policy.opens == 2 and not env.opened
    assert not [t for t in threading.enumerate() if t.name.startswith("foveate")], "while the agent is alive"


def test_a_run_sync_that_fails_leaves_no_thread() -> None:
    agent = Agent(FakeEnv(effects=[Effect(raises=BrowserCrashed("gone"))]), OneByOne(HIT))
    with pytest.raises(BrowserCrashed):
        agent.run_sync()
    assert not [t for t in threading.enumerate() if t.name.startswith("foveate")]


def test_a_with_block_whose_world_does_not_open_leaves_nothing_open() -> None:
    class Shut(FakeEnv):
        async def _open(self) -> None:
            raise BrowserCrashed("it does not start")

    policy = OneByOne(DONE)
    agent = Agent(Shut(), policy)
    with pytest.raises(BrowserCrashed), agent:
        pytest.fail("it is not entered")
    assert not policy.opened
    assert not [t for t in threading.enumerate() if t.name.startswith("foveate")]


def test_a_with_block_is_entered_once_at_a_time() -> None:
    env, policy = FakeEnv(), OneByOne(HIT, DONE)
    with Agent(env, policy) as agent:
        with pytest.raises(InUse, match="'with' block already"), agent:
            pytest.fail("it is not entered")
        assert agent.run_sync().status == "success"
    with agent:
        assert agent.run_sync().status == "success"


def test_in_a_with_block_everything_stays_open() -> None:
    env, policy = FakeEnv(goal=1), OneByOne(HIT, DONE)
    with Agent(env, policy) as agent:
        agent.run_sync()
        agent.run_sync()
        assert env.opened
    assert policy.opens == 1 and not env.opened
    assert not [t for t in threading.enumerate() if t.name.startswith("foveate")]


async def test_objects_opened_in_another_loop_are_refused() -> None:
    env = FakeEnv()
    async with env:
        with pytest.raises(WrongLoop, match="FakeEnv"):
            await asyncio.to_thread(Agent(env, OneByOne(DONE)).run_sync)


async def test_a_closed_env_says_how_to_open_it() -> None:
    with pytest.raises(EnvClosed, match="async with"):
        await FakeEnv().reset()


def test_events_are_data() -> None:
    assert Event("download", "a.txt") == Event("download", "a.txt")
