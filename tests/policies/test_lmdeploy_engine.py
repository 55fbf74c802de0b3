"""LMDeployEngine against a fake ``lmdeploy``, and, where its environment is, against LMDeploy's request handling."""

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
pytestmark = pytest.mark.torch

from safetensors import SafetensorError  # noqa: E402

from foveate.actions.errors import (  # noqa: E402
    CheckpointError,
    EnvClosed,
    MissingDependency,
    ModelTimeout,
    ModelUnavailable,
    UsageError,
)
from foveate.actions.geometry import Frame, Point  # noqa: E402
from foveate.actions.schema import Click  # noqa: E402
from foveate.envs.base import ScreenObservation  # noqa: E402
from foveate.policies.base import Sampling  # noqa: E402
from foveate.policies.engines.base import Delta, Encoded, ImagePart, Message, Request, TextPart  # noqa: E402
from foveate.policies.engines.lmdeploy import LMDeployEngine  # noqa: E402
from foveate.policies.engines.lmdeploy_request import content, harmless  # noqa: E402
from foveate.policies.engines.names import Wanted, engine_named  # noqa: E402
from foveate.policies.engines.own_loop import OwnLoop  # noqa: E402
from foveate.policies.engines.servable import Servable, servable  # noqa: E402
from foveate.policies.engines.serving import Order, command_of  # noqa: E402
from foveate.policies.engines.streaming import Give  # noqa: E402
from foveate.policies.engines.torch import TorchEngine  # noqa: E402
from foveate.policies.internvl import InternVLPolicy  # noqa: E402
from foveate.policies.internvl.catalogue import SIZES  # noqa: E402
from foveate.policies.internvl.converting import convert  # noqa: E402
from foveate.policies.internvl.made_up import Reduced, made_up  # noqa: E402
from tests.lmdeploy_env import INTERPRETER, MISSING, inside  # noqa: E402
from tests.policies import fake_lmdeploy  # noqa: E402
from tests.policies.asking import PICTURE, collected, ids_of, request, text_of  # noqa: E402
from tests.policies.fake_lmdeploy import Script  # noqa: E402

LIVE, GPU = (Path(__file__).with_name(f"lmdeploy_{name}.py") for name in ("live", "gpu"))


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    return fake_lmdeploy.install(monkeypatch)


@pytest.fixture(scope="module")
def github(small_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return convert(small_checkpoint, tmp_path_factory.mktemp("github") / "small", "github").folder


@pytest.fixture(scope="module")
def flash(github: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration with a router; nothing reads its weights here."""
    folder = tmp_path_factory.mktemp("flash") / "small-Flash"
    folder.mkdir()
    said = json.loads((github / "config.json").read_text())
    said |= {"flash_mode": True, "flash_relative_threshold": 0.5, "flash_absolute_threshold": 0.5}
    (folder / "config.json").write_text(json.dumps(said))
    return folder


def trusting(model: Path, **more: Any) -> LMDeployEngine:
    return LMDeployEngine(model, trust_remote_code=True, **more)


async def test_a_prompt_is_handed_over_as_the_torch_engine_has_it_pictures_as_they_are(
    github: Path, script: Script
) -> None:
    asked = request(tiles=6, prefill="<think>\n", grammar="a+", sampling=Sampling(temperature=0.6, top_p=0.9, seed=4))
    async with trusting(github) as engine:
        deltas = await collected(engine, asked)
    (seen,) = script.asked
    assert seen["do_preprocess"] is False
    (message,) = seen["messages"]
    before, picture, after = message["content"]
    assert before["text"] == "<|im_start|>system\nYou are an agent.<|im_end|>\n<|im_start|>user\n"
    assert after["text"] == "Add milk to the list<|im_end|>\n<|im_start|>assistant\n<think>\n"
    assert picture["image_data"]["max_dynamic_patch"] == 6
    assert np.array_equal(np.asarray(picture["image_data"]["data"]), PICTURE)
    config = seen["gen_config"]
    assert (config.max_new_tokens, config.do_sample, config.temperature, config.top_p) == (24, True, 0.6, 0.9)
    assert (config.top_k, config.random_seed, config.skip_special_tokens) == (0, 4, False)
    assert config.response_format == {"type": "regex_schema", "regex_schema": "a+"}
    assert config.stop_words is None
    usage = deltas[-1].usage
    assert usage is not None
    assert (deltas[-1].finish, usage.prompt, usage.visual, usage.cached, usage.output) == ("stop", 300, 28, 40, 4)
    assert usage.timing_ms.keys() == {"prefill", "decode"}
    assert text_of(deltas) == "".join(script.says)
    assert ids_of(deltas) == [1, 2, 3, 4]


def test_what_looks_like_a_control_token_in_a_text_becomes_none() -> None:
    for token in ("<img>", "</img>", "<IMG_CONTEXT>", "<IMAGE_TOKEN>", "<|im_end|>", "<video>"):
        assert token not in harmless(f"a {token} b")
        assert harmless(f"a {token} b").replace("\u2060", "") == f"a {token} b"
    assert harmless("a < b, <box> and 1 <| 2") == "a < b, <box> and 1 <| 2"
    halves = Request((Message("user", (TextPart("a <|im"), TextPart("_end|> b"))),))
    assert str(content(halves, Servable("x"))).count("<|im_end|>") == 1


async def test_a_stop_text_of_several_tokens_aborts_the_request(github: Path, script: Script) -> None:
    async with trusting(github) as engine:
        deltas = await collected(engine, request(stop=("never", "ion>click()</act")))
        assert script.events[-1] == "abort"
    assert text_of(deltas) == "<action>click()</act"
    assert deltas[-1].finish == "stop"
    assert deltas[-1].usage is not None and deltas[-1].usage.output == 3


async def test_closing_the_stream_aborts_the_request_before_it_returns(github: Path, script: Script) -> None:
    script.stuck = True
    async with trusting(github) as engine:
        async with aclosing(engine.generate(request())) as stream:
            assert (await anext(stream)).text == "<act"
        assert script.events[-1] == "abort"
        task = asyncio.ensure_future(collected(engine, request()))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert script.events[-2:] == ["generate", "abort"]
        assert not engine._engine.session_mgr.sessions
        script.stuck = False
        assert text_of(await collected(engine, request())) == "".join(script.says)


async def test_requests_at_the_same_time_are_served_at_once(github: Path, script: Script) -> None:
    async with trusting(github) as engine:
        answers = await asyncio.gather(*[collected(engine, request()) for _ in range(4)])
    assert [text_of(deltas) for deltas in answers] == ["".join(script.says)] * 4


async def test_it_lives_in_one_thread_that_ends_with_it(github: Path, script: Script) -> None:
    engine = trusting(github)
    with pytest.raises(EnvClosed):
        await collected(engine, request())
    for _ in range(2):
        async with engine:
            await collected(engine, request())
        assert not [one for one in threading.enumerate() if one.name.startswith("foveate")]
        assert engine.settings is None and engine.subject is None
    assert script.threads == {"foveate-lmdeploy"}
    assert script.events.count("close") == 2


async def test_an_engine_that_says_nothing_or_breaks_off_is_told_of(github: Path, script: Script) -> None:
    script.stuck = True
    async with trusting(github, stall_s=0.2) as engine:
        with pytest.raises(ModelTimeout, match=r"has said nothing for 0\.2 s"):
            await collected(engine, request())
        assert script.events[-1] == "abort"
        script.stuck, script.ends = False, None
        with pytest.raises(ModelUnavailable, match="ended its answer without saying why"):
            await collected(engine, request())


async def test_a_router_runs_in_the_pytorch_engine_one_request_at_a_time(flash: Path, script: Script) -> None:
    async with trusting(flash) as engine:
        (made,) = script.made
        assert (made.backend, engine.capabilities) == ("pytorch", {"grammar", "prefill", "flash"})
        config = made.backend_config
        assert (config.hf_overrides, config.max_batch_size, config.enable_prefix_caching) == (
            {"flash_mode": True}, 1, False,
        )  # fmt: skip
        await collected(engine, request(flash=True))
        with pytest.raises(ModelUnavailable, match="router is on since it was loaded"):
            await collected(engine, request(flash=False))
        with pytest.raises(ModelUnavailable, match="no budget of visual tokens"):
            await collected(engine, request(visual_tokens=64))
    assert "flash" not in engine.capabilities
    async with trusting(flash, flash=False) as engine:
        assert script.made[-1].backend_config.hf_overrides == {"flash_mode": False}
        assert "flash" not in engine.capabilities
        await collected(engine, request(flash=False))
        with pytest.raises(ModelUnavailable, match="router is off"):
            await collected(engine, request(flash=True))
    with pytest.raises(ModelUnavailable, match="TurboMind would leave it out"):
        await trusting(flash, backend="turbomind").open()


async def test_others_run_in_turbomind_where_it_is_with_a_prefix_cache(github: Path, script: Script) -> None:
    async with trusting(github, context=1024) as engine:
        assert engine.capabilities == {"grammar", "prefill"}
    script.backend = "pytorch"
    async with trusting(github):
        pass
    turbomind, pytorch = script.made
    assert (turbomind.backend, turbomind.backend_config.enable_prefix_caching) == ("turbomind", True)
    assert (turbomind.backend_config.session_len, turbomind.trust_remote_code) == (1024, True)
    assert (pytorch.backend, pytorch.backend_config.enable_prefix_caching) == ("pytorch", False)
    assert pytorch.backend_config.hf_overrides is None
    with pytest.raises(ModelUnavailable, match="it has no router"):
        await trusting(github, flash=True).open()


async def test_code_of_a_repository_is_run_only_where_the_user_trusts_it(
    github: Path, small_checkpoint: Path, script: Script
) -> None:
    with pytest.raises(UsageError, match="Python code of its repository, which LMDeploy runs; say trust_remote_code"):
        await LMDeployEngine(github).open()
    with pytest.raises(UsageError, match=r"or take .* \(OpenGVLab/InternVL3_5-8B-HF\)"):
        await LMDeployEngine("OpenGVLab/InternVL3_5-8B").open()
    assert script.events == []
    async with LMDeployEngine(small_checkpoint):
        assert script.made[0].trust_remote_code is False


async def test_in_transformers_layout_a_tile_budget_is_kept_or_refused(small_checkpoint: Path, script: Script) -> None:
    async with LMDeployEngine(small_checkpoint) as engine:  # its processor has 12
        await collected(engine, request(tiles=1))
        await collected(engine, request(tiles=12))
        with pytest.raises(ModelUnavailable, match="always has 12, not 2; take one in GitHub's layout"):
            await collected(engine, request(tiles=2))
    one, all_ = (asked["messages"][0]["content"][1]["image_data"] for asked in script.asked)
    assert (one["data"].size, all_["data"].size) == ((56, 56), PICTURE.shape[1::-1])
    assert "max_dynamic_patch" not in one and "max_dynamic_patch" not in all_


async def test_a_hubs_model_is_downloaded_by_lmdeploy_code_and_all(script: Script) -> None:
    async with LMDeployEngine("OpenGVLab/InternVL3_5-8B-Flash@v1", trust_remote_code=True) as engine:
        assert script.events[:2] == ["download OpenGVLab/InternVL3_5-8B-Flash v1", "load"]
        assert engine.settings is not None and engine.settings.flash


async def test_models_that_lmdeploy_does_not_have_are_refused_by_name(tmp_path: Path, script: Script) -> None:
    with pytest.raises(ModelUnavailable, match="no InternVL with GPT-OSS"):
        await LMDeployEngine("OpenGVLab/InternVL3_5-GPT-OSS-20B-A4B-Preview", trust_remote_code=True).open()
    with pytest.raises(ModelUnavailable, match="the bundled model 'tiny' is not for LMDeploy"):
        await LMDeployEngine("tiny").open()
    (tmp_path / "model.gguf").touch()
    with pytest.raises(ModelUnavailable, match="take the engine llamacpp"):
        await LMDeployEngine(tmp_path).open()
    assert script.made == []


async def test_a_model_is_spread_over_the_gpus_that_there_are(github: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = fake_lmdeploy.install(monkeypatch, gpus=4)
    for model in ("OpenGVLab/InternVL3_5-38B", "OpenGVLab/InternVL3_5-241B-A28B", "OpenGVLab/InternVL3_5-8B"):
        async with LMDeployEngine(model, trust_remote_code=True):
            pass
    assert [made.backend_config.tp for made in script.made] == [2, 4, 1]
    with pytest.raises(ModelUnavailable, match="over 8 GPUs, and there are 4"):
        await trusting(github, tp=8).open()
    script = fake_lmdeploy.install(monkeypatch, gpus=3)
    async with LMDeployEngine("OpenGVLab/InternVL3_5-241B-A28B", trust_remote_code=True):
        assert script.made[0].backend_config.tp == 2, "three cards share no model evenly"


async def test_without_a_gpu_or_on_another_device_nothing_is_started(
    github: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = fake_lmdeploy.install(monkeypatch, gpus=0)
    with pytest.raises(ModelUnavailable, match="CUDA alone, and torch finds no GPU here"):
        await trusting(github).open()
    with pytest.raises(ModelUnavailable, match="not on 'cpu': leave the device out"):
        await trusting(github, device="cpu").open()
    with pytest.raises(ModelUnavailable, match="CUDA_VISIBLE_DEVICES"):
        await trusting(github, device="cuda:1").open()
    assert script.events == []


async def test_where_it_is_not_installed_the_way_to_get_it_is_told(github: Path) -> None:
    if "lmdeploy" in sys.modules:
        pytest.skip("LMDeploy is installed here")
    with pytest.raises(MissingDependency, match=r"foveate\[lmdeploy\]"):
        await engine_named("lmdeploy", Wanted(str(github), trust_remote_code=True)).open()


def raises(error: BaseException) -> Callable[..., None]:
    def fail(*_: Any) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (SystemExit(1), ModelUnavailable, r"gave up on this machine while it loaded .* \(exit 1\)"),
        (RuntimeError("CUDA out of memory. Tried\nto allocate"), ModelUnavailable, r"out of memory.*\(tp\)"),
        (AssertionError(), ModelUnavailable, "cannot load .*AssertionError"),
        (KeyError("gating.gate.0.weight"), CheckpointError, "cannot load .*gating"),
        (ImportError("libcudart.so.12"), ModelUnavailable, "libcudart"),
        (SafetensorError("HeaderTooLarge"), CheckpointError, "cannot load .*HeaderTooLarge"),
        (type("Unheard", (Exception,), {})("of"), ModelUnavailable, "cannot load .*Unheard: of"),
    ],
    ids=["exits", "no memory", "asserts", "foreign weights", "no library", "broken file", "anything"],
)
async def test_what_goes_wrong_while_it_loads_is_one_clear_error(
    github: Path, script: Script, error: BaseException, kind: type[Exception], says: str
) -> None:
    script.loading = raises(error)
    with pytest.raises(kind, match=says) as raised:
        await trusting(github).open()
    assert "\n" not in str(raised.value)
    assert not [one for one in threading.enumerate() if one.name.startswith("foveate")]


async def test_what_goes_wrong_with_a_request_leaves_the_engine_open(github: Path, script: Script) -> None:
    async with trusting(github) as engine:
        script.preparing = raises(fake_lmdeploy.RequestError("context_length_exceeded", "Input length (9) too long"))
        with pytest.raises(ModelUnavailable, match=r"exceeds LMDeploy's context .*28 tokens of it are visual"):
            await collected(engine, request(tiles=6))
        script.preparing = raises(fake_lmdeploy.RequestError("invalid_request", "Unsupported response format"))
        with pytest.raises(ModelUnavailable, match="refuses the request: Unsupported response format"):
            await collected(engine, request(grammar="("))
        script.preparing = lambda messages: None
        with pytest.raises(ModelUnavailable, match="a temperature of 2 at most, not 3"):
            await collected(engine, request(sampling=Sampling(temperature=3.0)))
        with pytest.raises(ModelUnavailable, match="takes pixels"):
            await collected(engine, Request((Message("user", (ImagePart(Encoded(None, 4), 1),)),)))
        for refused in (engine.encode([]), engine.score(request(), [])):
            with pytest.raises(ModelUnavailable, match="leave that to the torch engine"):
                await refused
        assert text_of(await collected(engine, request()))
        assert not engine._engine.session_mgr.sessions


async def test_a_policy_hands_its_flash_and_its_trust_on(flash: Path, github: Path, script: Script) -> None:
    script.says = ("<action>\n", "click(x=0.25, y=0.5)\n</action>")
    seen = ScreenObservation(image=np.zeros((448, 896, 3), np.uint8), frame=Frame(896, 448), captured_at_s=0.0)
    async with InternVLPolicy(str(github), engine="lmdeploy", trust_remote_code=True, profile="internvl3_5") as policy:
        await policy.reset("Click the middle")
        assert (await policy.act(seen, ())).actions == (Click(at=Point(0.25, 0.5)),)
    async with InternVLPolicy(
        str(flash), engine="lmdeploy", trust_remote_code=True, flash=False, profile="internvl3_5"
    ) as policy:
        await policy.reset("Click the middle")
        await policy.act(seen, ())
    assert script.made[-1].backend_config.hf_overrides == {"flash_mode": False}
    with pytest.raises(UsageError, match="trust_remote_code"):
        await InternVLPolicy(str(github), engine="lmdeploy", profile="internvl3_5").open()


async def test_a_policy_takes_the_profile_that_a_configuration_names(flash: Path, script: Script) -> None:
    said = json.loads((flash / "config.json").read_text())
    (flash / "config.json").write_text(json.dumps(said | {"foveate_profile": "tiny"}))
    async with InternVLPolicy(flash, engine="lmdeploy", trust_remote_code=True) as policy:
        assert policy.profile.name == "tiny"
    (flash / "config.json").write_text(json.dumps(said))


async def test_the_torch_engine_runs_no_code_of_a_checkpoint_whatever_is_trusted(github: Path, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(github, tmp_path / "copy"))
    (folder / "configuration_internvl_chat.py").write_text("raise SystemExit('this was run')")
    engine = engine_named("torch", Wanted(str(folder), device="cpu", trust_remote_code=True))
    async with engine:
        assert 1 <= len(ids_of(await collected(engine, request(most=4)))) <= 4


# LMDeploy's own code -------------------------------------------------------------------------------------------------

SAYS = "<operation>Click the button</operation><action>click(x=0.5, y=0.25)</action> more"


@pytest.fixture(scope="module")
def live(github: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Have LMDeployEngine run on LMDeploy's real request handling, in LMDeploy's environment."""
    if not INTERPRETER.exists():
        pytest.skip(MISSING)
    folder = tmp_path_factory.mktemp("live")
    commands = [command_of("lmdeploy", order, program="lmdeploy")[1:] for order in orders()]
    asked = {"model": str(github), "says": SAYS, "stop": "</action>", "commands": commands}
    (folder / "order.json").write_text(json.dumps(asked | {"signatures": list(fake_lmdeploy.signatures())}))
    found: dict[str, Any] = inside(LIVE, str(folder / "order.json"), timeout_s=170)
    return found


def orders() -> list[Order]:
    flash = Order(servable("OpenGVLab/InternVL3_5-8B-Flash@v1"), port=1234)
    base = Order(servable("OpenGVLab/InternVL3_5-38B-HF"), host="127.0.0.2", port=1235)
    return [flash, base]


@pytest.mark.timeout(240)
def test_the_fake_takes_what_lmdeploy_takes(live: dict[str, Any]) -> None:
    for name, taken in fake_lmdeploy.signatures().items():
        real = live["signatures"][name]
        wrong = set(taken) - set(real)
        assert not wrong, f"{name} of lmdeploy {live['version']} takes no {wrong}: {real}"
        if "Config" not in name and "GenOut" not in name:
            assert taken == real, f"{name} of lmdeploy {live['version']} takes {real}"


@pytest.mark.timeout(240)
def test_lmdeploys_configurations_and_its_command_line_take_what_they_are_given(live: dict[str, Any]) -> None:
    pytorch, turbomind = live["configs"]["pytorch"], live["configs"]["turbomind"]
    assert (pytorch["hf_overrides"], pytorch["max_batch_size"], pytorch["tp"]) == ({"flash_mode": True}, 1, 2)
    assert (turbomind["enable_prefix_caching"], turbomind["session_len"]) == (True, 2048)
    flash, base = live["commands"]
    assert (flash["model_path"], flash["revision"], flash["trust_remote_code"]) == (
        "OpenGVLab/InternVL3_5-8B-Flash", "v1", True,
    )  # fmt: skip
    assert (flash["backend"], flash["hf_overrides"], flash["server_name"]) == (
        "pytorch", {"flash_mode": True}, "127.0.0.1",
    )  # fmt: skip
    assert (base["backend"], base["enable_prefix_caching"], base["tp"]) == ("turbomind", True, 2)
    assert (base["server_name"], base["server_port"], base["trust_remote_code"]) == ("127.0.0.2", 1235, False)


@pytest.mark.timeout(240)
async def test_lmdeploys_own_request_handling_gives_the_torch_engines_prompt_and_aborts(
    live: dict[str, Any], github: Path
) -> None:
    assert live["started"] and live["shut"]
    words = Request((Message("user", (TextPart("Hello"),)),))
    async with TorchEngine(github, device="cpu") as engine:
        assert engine._loaded is not None
        assert live["words_prompt"] == engine._loaded.prompt(words).ids
        plain = request("Click <box>", tiles=6, picture=PICTURE)
        wanted = engine._loaded.prompt(plain).ids
    assert live["plain_prompt"] == wanted
    assert live["pixels"] == [[7, 3, 56, 56]]
    assert live["prompt"].count(live["context_token"]) == 28, "what looked like a control token has become one"
    assert (live["whole"]["text"], live["whole"]["usage"][1]) == (SAYS, 28)
    assert (live["cut"]["finish"], live["cut"]["usage"][3], live["before"]) == ("length", 3, 0)
    assert (live["stopped"]["text"], live["stopped"]["finish"]) == (SAYS.removesuffix(" more"), "stop")
    assert (live["after"], live["closed_early"], live["closed"]) == (1, 2, 3)
    assert live["again"]["text"] == SAYS
    assert live["sessions"] == 0
    assert "exceeds LMDeploy's context" in live["too_long"]
    assert (live["generation"]["stop_words"], live["generation"]["skip_special_tokens"]) == (None, False)


# A GPU ---------------------------------------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.timeout(900)
def test_lmdeploy_answers_on_a_gpu_and_aborts(tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA GPU here")
    if not INTERPRETER.exists():
        pytest.skip(MISSING)
    base = made_up(SIZES["1B"], tmp_path / "1B", reduced=Reduced(2))
    folders = [
        convert(base, tmp_path / "github", "github").folder,
        made_up(SIZES["1B"], tmp_path / "1B-Flash", reduced=Reduced(2), flash=True),
    ]
    for found, flash in zip(inside(GPU, "2", *map(str, folders), timeout_s=800), (None, True), strict=True):
        assert found["flash"] is flash, found["backend"]
        assert found["word"]["text"] in ("yes", "no")
        assert found["first"]["text"] == found["again"]["text"], "greedy answers differ"
        assert (found["first"]["output"], found["first"]["finish"]) == (32, "length")
        assert found["abort_s"] < 5
        assert [row["visual"] for row in found["rows"]] == [256, 5 * 256, 13 * 256]


async def test_a_library_that_blocks_its_own_loop_is_left_behind_after_a_grace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    own = OwnLoop("foveate-stuck", grace_s=0.2)
    own.start()
    release = threading.Event()

    async def stuck(give: Give) -> None:
        give(Delta("a"))
        release.wait(20)

    began = time.monotonic()
    with pytest.raises(ModelTimeout, match=r"said nothing for 0\.1 s"):
        async for _ in own.stream(stuck, 0.1):
            pass
    await asyncio.to_thread(own.stop)
    assert time.monotonic() - began < 5
    assert "its thread is left behind" in caplog.text
    release.set()
