"""Generated programs: the same for the same seed, complete in themselves, made of words of their split."""

from html.parser import HTMLParser

import pytest

from foveate.actions.errors import ResetNeeded, UsageError
from foveate.agent.training.programs.env import ProgramEnv
from foveate.agent.training.programs.families import FAMILIES
from foveate.agent.training.programs.making import program_task
from foveate.agent.training.programs.task import TEST_SEEDS, ProgramTask
from foveate.agent.training.words import Split, split_of
from foveate.agent.trajectory import Result, Trajectory

SPLITS: tuple[Split, Split] = ("seen", "unseen")
EVERY = range(5 * len(FAMILIES))


class Shown(HTMLParser):
    """What a page's HTML shows: its texts, and what fields hold or hint at."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.links: list[str] = []
        self._hidden = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in ("script", "style")
        self.texts += [value for name, value in attrs if name in ("placeholder", "value") and value]
        self.links += [value for name, value in attrs if name in ("src", "href", "action") and value]

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.texts.append(data)


def ended(reason: str, *, verified: bool | None = True, answer: str | None = None) -> Result:
    return Result("success", verified, reason, answer, Trajectory("", reason=reason))


def some(**wanted: bool) -> ProgramTask:
    """Give a program that asks for an answer, is impossible, or neither."""
    tasks = (program_task(seed) for seed in range(2_000))
    return next(
        task
        for task in tasks
        if (task.answer is not None) == wanted.get("answer", False)
        and (task.impossible is not None) == wanted.get("impossible", False)
    )


def test_a_seed_decides_everything_about_a_program() -> None:
    for split in SPLITS:
        for seed in (0, 7, TEST_SEEDS + 3):
            task = program_task(seed, split)
            program_task.cache_clear()
            again = program_task(seed, split)
            assert (again.html, again.instruction, again.answer) == (task.html, task.instruction, task.answer)


def test_another_seed_or_split_is_another_program() -> None:
    first = program_task(len(FAMILIES))
    assert first.html != program_task(2 * len(FAMILIES)).html
    assert first.html != program_task(len(FAMILIES), "unseen").html


def test_seeds_go_through_every_family_in_turn_and_each_has_several_tasks() -> None:
    assert len(FAMILIES) >= 10
    assert [program_task(seed).family for seed in range(len(FAMILIES))] == list(FAMILIES)
    templates: dict[str, set[str]] = {}
    for seed in range(40 * len(FAMILIES)):
        task = program_task(seed)
        templates.setdefault(task.family, set()).add(task.template)
    assert min(len(some) for some in templates.values()) >= 2, templates


@pytest.mark.parametrize("split", SPLITS)
def test_a_page_shows_words_of_its_split_alone(split: Split) -> None:
    for seed in EVERY:
        task = program_task(seed, split)
        for text in Shown(task.html).texts:
            assert split_of(text) <= {split}, f"{text!r} in program {seed} ({task.template})"


def test_a_page_needs_nothing_but_itself() -> None:
    for seed in EVERY:
        assert set(Shown(program_task(seed).html).links) <= {"#"}


def test_some_programs_cannot_be_done_and_say_why() -> None:
    reasons = [program_task(seed).impossible for seed in range(10 * len(FAMILIES))]
    share = sum(reason is not None for reason in reasons) / len(reasons)
    assert 0.02 < share < 0.2
    assert all(reason is None or reason.startswith("there is no ") for reason in reasons)


def test_a_task_is_solved_where_the_page_says_so_and_ended_by_the_policys_word() -> None:
    task = some()
    assert task.solved(ended("done"))
    assert task.ended(ended("done"))
    assert task.solved(ended("max_steps"))
    assert not task.ended(ended("max_steps"))
    assert not task.ended(ended("failure"))
    assert not task.solved(ended("done", verified=False))
    assert not task.solved(ended("done", verified=None))


def test_an_answer_counts_whatever_its_case_and_blanks_and_a_wrong_one_does_not() -> None:
    task = some(answer=True)
    assert task.solved(ended("done", answer=f" {str(task.answer).upper()} "))
    assert not task.solved(ended("done", answer=f"{task.answer}x"))
    assert not task.solved(ended("done"))


def test_what_is_impossible_is_solved_by_saying_so() -> None:
    task = some(impossible=True)
    assert task.solved(ended("failure"))
    assert task.ended(ended("failure"))
    assert not task.solved(ended("done"))


async def test_an_environment_of_programs_refuses_what_is_no_program_and_has_none_before_its_reset(
    chromium: str,
) -> None:
    with pytest.raises(ResetNeeded, match="reset it first"):
        _ = ProgramEnv().program
    async with ProgramEnv(browser=chromium) as env:
        with pytest.raises(UsageError, match=r"no program 'half:3': .* unseen:SEED"):
            await env.reset(episode="half:3")
