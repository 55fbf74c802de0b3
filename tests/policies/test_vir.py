"""The router of Flash checkpoints: its names, its quirk, and what its two thresholds let through."""

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytestmark = pytest.mark.torch

from foveate.actions.errors import CheckpointError  # noqa: E402
from foveate.policies.internvl.layouts import Thresholds  # noqa: E402
from foveate.policies.internvl.vir import Router, route, shuffled, within  # noqa: E402

WIDTH, HIDDEN = 32, 24


@pytest.fixture
def router() -> Router:
    torch.manual_seed(0)
    made = Router(WIDTH, HIDDEN).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(0.0, 0.3)
    return made


def patches(tiles: int, seed: int = 1) -> "torch.Tensor":
    return torch.randn(tiles, 64, WIDTH, generator=torch.Generator().manual_seed(seed))


def test_its_tensors_bear_the_names_that_checkpoints_give_them(router: Router) -> None:
    names = {name: tuple(value.shape) for name, value in router.state_dict().items()}
    pooled = {
        "query_token": (1, WIDTH), "attn4.in_proj_weight": (3 * WIDTH, WIDTH), "attn1.in_proj_bias": (3 * WIDTH,),
        "attn3.out_proj.weight": (WIDTH, WIDTH), "norm4.bias": (WIDTH,),
    }  # fmt: skip
    gated = {
        "block1.0.weight": (4 * WIDTH, WIDTH), "block4.3.weight": (WIDTH, 4 * WIDTH), "block2.5.bias": (WIDTH,),
        "gate.0.weight": (WIDTH,), "gate.1.weight": (2, WIDTH),
    }  # fmt: skip
    projected = {
        "0.weight": (16 * WIDTH,), "1.weight": (2 * HIDDEN, 16 * WIDTH), "4.bias": (2 * HIDDEN,),
        "7.weight": (HIDDEN, 2 * HIDDEN),
    }  # fmt: skip
    wanted = {f"pooling_before_gating.{name}": shape for name, shape in pooled.items()}
    wanted |= {f"gating.{name}": shape for name, shape in gated.items()}
    wanted |= {f"mlp2.{name}": shape for name, shape in projected.items()}
    assert {name: names.get(name) for name in wanted} == wanted
    assert len(names) == 1 + 4 * 6 + 4 * 6 + 4 + 8


def test_the_pooling_takes_its_second_attention_thrice_and_the_last_two_never(router: Router) -> None:
    before = router.certainty(patches(3))
    pooling = router.pooling_before_gating
    with torch.no_grad():
        for name in ("attn3", "attn4", "norm3", "norm4"):
            for parameter in getattr(pooling, name).parameters():
                parameter.zero_()
    assert torch.equal(router.certainty(patches(3)), before)
    query = pooling.query_token.expand(3, 1, -1)
    for attend, norm in ((pooling.attn1, pooling.norm1), *[(pooling.attn2, pooling.norm2)] * 3):
        query = norm(attend(query, patches(3), patches(3))[0])
    torch.testing.assert_close(pooling(patches(3)), query[:, 0], atol=1e-5, rtol=0)


def test_a_tile_is_judged_by_itself(router: Router) -> None:
    together = router.certainty(patches(4))
    alone = torch.cat([router.certainty(patches(4)[number : number + 1]) for number in range(4)])
    torch.testing.assert_close(alone, together, atol=1e-6, rtol=0)
    assert float(together.detach().std()) > 1e-3
    assert together.dtype == torch.float32


def test_tokens_keep_their_places_when_patches_are_laid_behind_one_another() -> None:
    rows = torch.arange(64).view(1, 64, 1)
    halves = shuffled(rows, 0.5)
    assert halves.shape == (1, 16, 4)
    assert halves[0, 0].tolist() == [0, 1, 8, 9]
    assert halves[0, 1].tolist() == [2, 3, 10, 11]
    assert halves[0, 4].tolist() == [16, 17, 24, 25]
    quarters = shuffled(rows, 0.25)
    assert quarters.shape == (1, 4, 16)
    assert quarters[0, 1].tolist() == [4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31]


def test_a_compressed_tile_has_a_quarter_of_the_tokens(router: Router) -> None:
    assert router.compressed(patches(2)).shape == (2, 4, HIDDEN)


@pytest.mark.parametrize(
    ("tiles", "relative", "most"),
    [
        (1, 0.1, 0),
        (3, 0.1, 2),
        (5, 0.1, 4),
        (9, 0.1, 8),
        (13, 0.1, 11),
        (3, 0.5, 1),
        (5, 0.5, 2),
        (9, 0.5, 4),
        (13, 0.5, 6),
    ],
)
def test_the_relative_threshold_keeps_its_share_of_tiles_whole(tiles: int, relative: float, most: int) -> None:
    sure = torch.linspace(0.6, 0.99, tiles)
    assert int(route(sure, relative=relative, absolute=0.5).sum()) == most


def test_the_absolute_threshold_is_reached_by_what_equals_it() -> None:
    sure = torch.tensor([0.1, 0.5, 0.4999, 0.9])
    assert route(sure, relative=0.0, absolute=0.5).tolist() == [False, True, False, True]


def test_tiles_that_are_all_alike_stay_whole() -> None:
    assert not route(torch.full((5,), 0.9), relative=0.1, absolute=0.5).any()
    assert route(torch.zeros(0), relative=0.1, absolute=0.5).shape == (0,)


@pytest.mark.parametrize(
    ("budget", "compressed"),
    [(4000, []), (1280, []), (1279, [3]), (1088, [3]), (1087, [3, 0]), (320, [0, 1, 2, 3, 4]), (1, [0, 1, 2, 3, 4])],
)
def test_a_budget_compresses_as_few_tiles_as_it_must_the_surest_first(budget: int, compressed: list[int]) -> None:
    sure = torch.tensor([0.8, 0.2, 0.3, 0.9, 0.1])
    chosen = within(sure, 256, budget)
    assert set(chosen.nonzero().flatten().tolist()) == set(compressed)


@pytest.mark.parametrize(
    "config", [{}, {"flash_relative_threshold": 2, "flash_absolute_threshold": 0.5}, {"flash_relative_threshold": "x"}]
)
def test_thresholds_that_are_none_are_named(config: dict[str, object]) -> None:
    with pytest.raises(CheckpointError, match="flash_relative_threshold"):
        Thresholds.of(config)
