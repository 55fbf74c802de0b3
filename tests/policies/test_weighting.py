import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytestmark = pytest.mark.torch

from foveate.policies.training.weighting import square_average, token_weights  # noqa: E402


def test_a_token_counts_one_by_the_root_of_its_answers_length() -> None:
    weights = token_weights(torch.tensor([1, 4, 0, 9]))
    whole = 1 + 4 / 2 + 9 / 3
    assert weights.tolist() == pytest.approx([1 / whole, *[0.5 / whole] * 4, *[1 / 3 / whole] * 9])
    assert float(weights.sum()) == pytest.approx(1.0)


def test_the_square_average_is_the_weighted_sum_in_whatever_order_the_tokens_come() -> None:
    lengths = torch.tensor([2, 5, 1])
    answers = torch.arange(3).repeat_interleave(lengths)
    losses = torch.arange(8.0)
    expected = float((token_weights(lengths) * losses).sum())
    mixed = torch.randperm(8, generator=torch.Generator().manual_seed(1))
    assert float(square_average(losses, answers)) == pytest.approx(expected)
    assert float(square_average(losses[mixed], answers[mixed])) == pytest.approx(expected)
    assert float(square_average(losses, 7 + 3 * answers)) == pytest.approx(expected)


def test_a_long_answer_counts_more_than_a_short_one_but_less_than_by_its_tokens() -> None:
    answers = torch.tensor([0] + [1] * 16)
    losses = torch.tensor([0.0] + [1.0] * 16)
    found = float(square_average(losses, answers))
    assert found == pytest.approx(4 / 5)
    assert 1 / 2 < found < 16 / 17


def test_without_a_token_the_average_is_nothing_and_can_be_differentiated() -> None:
    losses = torch.zeros(0, requires_grad=True)
    average = square_average(losses, torch.zeros(0, dtype=torch.int64))
    average.backward()
    assert float(average.detach()) == 0.0
    assert token_weights(torch.zeros(3, dtype=torch.int64)).numel() == 0
