"""The router gives what LMDeploy's own routine gave: written down in ``golden``, and live where LMDeploy is."""

import json
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
pytestmark = pytest.mark.torch

from safetensors import safe_open  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from foveate.policies.engines.base import Request  # noqa: E402
from foveate.policies.engines.torch_loading import load_model  # noqa: E402
from foveate.policies.engines.torch_vision import TileFeatures, Vision, shortened, visual_tokens  # noqa: E402
from foveate.policies.internvl.checkpoint import Checkpoint, check  # noqa: E402
from foveate.policies.internvl.converting import convert  # noqa: E402
from foveate.policies.internvl.layouts import Thresholds  # noqa: E402
from tests.checkpoints import build  # noqa: E402
from tests.policies.vir_golden import CONTEXT, GOLDEN, Case, pixels, prompt  # noqa: E402

WRITTEN = Path(__file__).parent / "golden" / "vir.safetensors"
SCRIPT = Path(__file__).parent / "vir_golden.py"
LMDEPLOY = Path(__file__).parents[2] / ".venv-lmdeploy" / "bin" / "python"
TOLERANCE = 1e-4
OTHER_SEED = 1


def metadata(file: Path) -> dict[str, str]:
    with safe_open(file, framework="pt") as opened:
        return dict(opened.metadata())


def maker(said: dict[str, str]) -> str:
    return f"lmdeploy {said['lmdeploy']} on torch {said['torch']}, {said['device']}"


@dataclass(frozen=True)
class Run:
    """What LMDeploy made of a model, and the same model in foveate."""

    by: str
    cases: tuple[Case, ...]
    theirs: dict[str, Any]
    images: Any
    model: Any
    checkpoint: Checkpoint

    def vision(self, case: Case) -> Vision:
        thresholds = Thresholds(case.relative, case.absolute)
        return Vision(self.model, replace(self.checkpoint, thresholds=thresholds))

    def differs(self, name: str, ours: Any, theirs: Any) -> str:
        """Name what is further from LMDeploy's than the tolerance; empty where nothing is."""
        assert ours.shape == theirs.shape, f"{name}: {tuple(ours.shape)}, {self.by} gave {tuple(theirs.shape)}"
        most = float((ours - theirs).abs().max())
        return "" if most <= TOLERANCE else f"{name} is up to {most:.1e} from what {self.by} gave"


def checkpoint_of(folder: Path, tensors: dict[str, Any], config: dict[str, Any]) -> Checkpoint:
    """Write a Flash checkpoint in GitHub's layout: LMDeploy's vision half, any language half of that width."""
    hidden = config["llm_config"]["hidden_size"]
    convert(build(folder / "base", image_size=448), folder / "Flash", "github")
    own = json.loads((folder / "Flash/config.json").read_text())
    assert own["llm_config"]["hidden_size"] == hidden
    own |= {key: value for key, value in config.items() if key != "llm_config"}
    (folder / "Flash/config.json").write_text(json.dumps(own))
    language = load_file(folder / "Flash/model.safetensors")
    kept = {name: value for name, value in language.items() if name.startswith("language_model.")}
    vision = {name: value for name, value in tensors.items() if not name.startswith(GOLDEN)}
    save_file(kept | vision, folder / "Flash/model.safetensors")
    return check(folder / "Flash")


def live(folder: Path) -> Path:
    """Have LMDeploy run over another model, now."""
    if not LMDEPLOY.exists():
        pytest.skip("LMDeploy has no environment in this checkout (.venv-lmdeploy): make lmdeploy-env")
    out = folder / "live.safetensors"
    command = [str(LMDEPLOY), "-W", "ignore", str(SCRIPT), str(out), "--seed", str(OTHER_SEED)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, f"LMDeploy's routine failed:\n{ended.stderr[-3000:]}"
    return out


@pytest.fixture(
    scope="module", params=["written", "live"], ids=[f"written down by {maker(metadata(WRITTEN))}", "LMDeploy live"]
)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp(request.param)
    file = WRITTEN if request.param == "written" else live(folder)
    tensors, said = load_file(file), metadata(file)
    checkpoint = checkpoint_of(folder, tensors, json.loads(said["config"]))
    theirs = {name.removeprefix(GOLDEN): value for name, value in tensors.items() if name.startswith(GOLDEN)}
    cases = tuple(Case(**case) for case in json.loads(said["cases"]))
    model = load_model(checkpoint, torch.float32).eval()
    return Run(maker(said), cases, theirs, pixels(theirs["tiles"]), model, checkpoint)


@pytest.mark.timeout(300)
@torch.inference_mode()
def test_features_and_certainties_are_lmdeploys(run: Run) -> None:
    ours = Vision(run.model, run.checkpoint).encode(run.images, owner=None)
    assert (run.checkpoint.tokens_per_tile, ours.values.shape[1]) == (256, 256)
    assert float(run.theirs["gate"][:, 0].std()) > 0.1
    found = [
        run.differs("a whole tile's features", ours.values, run.theirs["features_256"]),
        run.differs("a compressed tile's features", ours.compressed, run.theirs["features_64"]),
        run.differs("the certainty", ours.certainty, run.theirs["gate"][:, 0]),
    ]
    assert not any(found), "; ".join(filter(None, found))


@pytest.mark.timeout(300)
@torch.inference_mode()
def test_decisions_kept_placeholders_and_the_visual_stream_are_lmdeploys(run: Run) -> None:
    seen: set[bool] = set()
    for number, case in enumerate(run.cases):
        vision = run.vision(case)
        parts = (run.images[: min(case.tiles, 3)], run.images[3 : case.tiles])  # two pictures, judged together
        pictures: list[TileFeatures] = [vision.encode(part, owner=None) for part in parts if len(part)]
        chosen = vision.choose(pictures, Request(()))
        wanted = run.theirs[f"compressed.{number}"].tolist()
        assert chosen == wanted, f"{case}: {chosen}, {run.by} decided {wanted}"
        kept = shortened(prompt(case.tiles), CONTEXT, 256, chosen)
        assert kept == run.theirs[f"kept.{number}"].tolist(), f"{case}: other placeholders than {run.by} kept"
        few, many = run.theirs["features_64"], run.theirs["features_256"]
        stream = torch.cat([few[tile] if small else many[tile] for tile, small in enumerate(wanted)])
        assert not (says := run.differs(f"{case}: the visual stream", visual_tokens(pictures, chosen), stream)), says
        seen |= set(wanted)
    assert seen == {True, False}


@pytest.mark.timeout(300)
@torch.inference_mode()
def test_the_tensors_tell_the_poolings_quirk_from_four_attentions_in_turn(run: Run) -> None:
    router = Vision(run.model, run.checkpoint).router
    assert router is not None
    patches = run.model.model.vision_tower(pixel_values=run.images).last_hidden_state[:, 1:]
    pooling = router.pooling_before_gating
    query = pooling.query_token.expand(len(patches), 1, -1)
    for number in range(1, 5):
        attended, _ = getattr(pooling, f"attn{number}")(query, patches, patches)
        query = getattr(pooling, f"norm{number}")(attended)
    assert run.differs("the certainty", router.gating(query[:, 0]), run.theirs["gate"][:, 0])
