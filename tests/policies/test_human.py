import asyncio
import io
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from foveate.actions.errors import ResetNeeded
from foveate.actions.geometry import Frame, Point
from foveate.actions.schema import Click, Terminate
from foveate.envs.base import ScreenObservation
from foveate.policies.base import Decision, Turn
from foveate.policies.human import HumanPolicy

LOOK = ScreenObservation(
    image=np.full((100, 200, 3), 7, np.uint8), frame=Frame(200, 100), captured_at_s=0.0, url="https://example.org/"
)
EARLIER = (Turn(LOOK, Decision(operation="Open the shop"), notes=("nothing changed",)),)


@pytest.fixture
def pipe() -> Iterator[tuple[io.TextIOWrapper, int]]:
    read, write = os.pipe()
    with os.fdopen(read, "r") as source:
        yield source, write
        try:
            os.close(write)
        except OSError:
            return  # the test closed it


def exists(path: str) -> bool:
    return Path(path).exists()


async def test_a_line_is_an_answer_and_the_person_is_told_what_happened() -> None:
    screen = io.StringIO()
    async with HumanPolicy(source=io.StringIO("click(100, 25)\n"), screen=screen) as policy:
        await policy.reset("Buy milk", action_kinds=frozenset({"click", "terminate"}))
        decision = await policy.act(LOOK, EARLIER)
        path = next(word for word in screen.getvalue().split() if word.endswith(".png"))
        assert np.array_equal(np.asarray(Pillow.open(path)), LOOK.image)
    assert decision.actions == (Click(at=Point(100.5 / 200, 25.5 / 100)),)
    for said in ("Buy milk", "click, terminate", "Open the shop", "nothing changed", "200x100", "example.org"):
        assert said in screen.getvalue()
    assert not exists(path)


async def test_a_wrong_answer_is_explained_and_asked_again() -> None:
    screen = io.StringIO()
    async with HumanPolicy(source=io.StringIO("hello\n\nclick(500, 1)\nclick(5, 5)\n"), screen=screen) as policy:
        await policy.reset("task")
        decision = await policy.act(LOOK, ())
    assert decision.raw == "click(5, 5)"
    assert decision.attempts == ("hello", "click(500, 1)")
    assert screen.getvalue().count("That is no action here") == 2
    assert "500" in screen.getvalue()


async def test_the_end_of_the_input_ends_the_episode_with_failure() -> None:
    async with HumanPolicy(source=io.StringIO(""), screen=io.StringIO()) as policy:
        await policy.reset("task")
        decision = await policy.act(LOOK, ())
    (action,) = decision.actions
    assert isinstance(action, Terminate)
    assert action.status == "failure"


async def test_waiting_can_be_cancelled_and_nothing_typed_is_lost(pipe: tuple[io.TextIOWrapper, int]) -> None:
    source, write = pipe
    async with HumanPolicy(source=source, screen=io.StringIO()) as policy:
        await policy.reset("task")
        for _ in range(2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await policy.act(LOOK, ())
        os.write(write, b"click(1, 1)\nclick(2, 2)\ncli")
        assert (await policy.act(LOOK, ())).raw == "click(1, 1)"
        assert (await policy.act(LOOK, ())).raw == "click(2, 2)"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await policy.act(LOOK, ())
        os.write(write, b"ck(3, 3)")
        os.close(write)
        assert (await policy.act(LOOK, ())).raw == "click(3, 3)"
        assert isinstance((await policy.act(LOOK, ())).actions[0], Terminate)
    assert not [t for t in threading.enumerate() if t.name.startswith("foveate-human")]


async def test_waiting_leaves_the_loop_free(pipe: tuple[io.TextIOWrapper, int]) -> None:
    source, write = pipe
    async with HumanPolicy(source=source, screen=io.StringIO()) as policy:
        await policy.reset("task")
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(policy.act(LOOK, ()))
            for _ in range(3):
                await asyncio.sleep(0)
                assert not asked.done()
            os.write(write, "write('牛奶')\n".encode())
    assert asked.result().raw == "write('牛奶')"


async def test_it_needs_a_task_first() -> None:
    async with HumanPolicy(source=io.StringIO(""), screen=io.StringIO()) as policy:
        with pytest.raises(ResetNeeded):
            await policy.act(LOOK, ())


async def test_closed_while_it_saves_the_picture_it_says_so_and_hangs_nowhere() -> None:
    busy = threading.Event()
    with ThreadPoolExecutor(max_workers=1) as executor:
        asyncio.get_running_loop().set_default_executor(executor)
        policy = HumanPolicy(source=io.StringIO("click(1, 1)\n"), screen=io.StringIO())
        await policy.open()
        await policy.reset("task")
        executor.submit(busy.wait, 10)  # so that the picture has to wait for its thread
        async with asyncio.timeout(10):
            asked = asyncio.ensure_future(policy.act(LOOK, ()))
            closed = asyncio.ensure_future(policy.close())
            await asyncio.sleep(0)
            busy.set()
            await asyncio.wait({asked, closed})
        with pytest.raises(ResetNeeded, match="closed while it asked"):
            asked.result()
        closed.result()
