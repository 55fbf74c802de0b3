"""Which server a model gets, with which command line, and what is refused before it is started."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from foveate.actions.errors import UsageError
from foveate.policies.engines.llamacpp_files import find, read
from foveate.policies.engines.servable import Servable, refuse_untrusted, servable
from foveate.policies.engines.serving import (
    Order,
    ServerName,
    check_order,
    choose,
    command_of,
    program,
    refusal,
    unheeded,
)
from foveate.policies.internvl.catalogue import SIZES

HUB = "OpenGVLab/InternVL3_5"
GPT_OSS = f"{HUB}-GPT-OSS-20B-A4B-Preview"


def order(model: str, **more: Any) -> Order:
    return Order(servable(model), port=8000, **more)


def test_flash_is_served_by_lmdeploys_pytorch_engine_with_the_word_said() -> None:
    said = " ".join(command_of("lmdeploy", order(f"{HUB}-8B-Flash@v1"), program="lmdeploy"))
    assert said == (
        f"lmdeploy serve api_server {HUB}-8B-Flash --server-name 127.0.0.1 --server-port 8000 "
        f"--model-name {HUB}-8B-Flash --tp 1 --session-len 12288 --backend pytorch --hf-overrides.flash_mode true "
        "--max-prefill-token-num 12288 --max-batch-size 1 --revision v1 --trust-remote-code"
    )
    off = command_of("lmdeploy", order(f"{HUB}-8B-Flash", flash=False), program="lmdeploy")
    assert off[off.index("--hf-overrides.flash_mode") + 1] == "false"
    assert "pytorch" in off and "--enable-prefix-caching" not in off and "--max-batch-size" not in off


def test_others_are_served_by_turbomind_with_a_prefix_cache_on_as_many_gpus_as_their_makers_take() -> None:
    said = " ".join(command_of("lmdeploy", order(f"{HUB}-38B-HF", max_tiles=6), program="lmdeploy"))
    assert said.endswith("--tp 2 --session-len 10240 --backend turbomind --enable-prefix-caching")
    assert "--trust-remote-code" not in said
    assert "--tp 8 " in " ".join(command_of("lmdeploy", order(f"{HUB}-241B-A28B"), program="lmdeploy"))
    asked = order(f"{HUB}-241B-A28B", tp=4, context=4096)
    assert "--tp 4 --session-len 4096" in " ".join(command_of("lmdeploy", asked, program="lmdeploy"))


def test_vllm_and_sglang_are_told_in_their_own_words() -> None:
    assert " ".join(command_of("vllm", order(GPT_OSS), program="vllm")) == (
        f"vllm serve {GPT_OSS} --host 127.0.0.1 --port 8000 --served-model-name {GPT_OSS} --tensor-parallel-size 1 "
        '--max-model-len 12288 --mm-processor-kwargs {"max_dynamic_patch": 12} --trust-remote-code'
    )
    assert " ".join(command_of("sglang", order(f"{HUB}-8B-HF", host="0.0.0.0"), program="sglang")) == (
        f"sglang serve --model-path {HUB}-8B-HF --host 0.0.0.0 --port 8000 --served-model-name {HUB}-8B-HF --tp 1 "
        "--context-length 12288"
    )


def test_llamacpps_own_binary_is_told_of_both_files(small_gguf: Path) -> None:
    command = command_of("llamacpp", order(str(small_gguf)), program=["llama-server"])
    assert command[:5] == ["llama-server", "--model", str(small_gguf / "model.gguf"), "--mmproj",
                           str(small_gguf / "mmproj.gguf")]  # fmt: skip
    assert command[-6] == "--jinja" and command[-3:] == ["--no-prefill-assistant", "--reasoning-format", "none"]


@pytest.mark.parametrize(
    ("model", "server", "more", "says"),
    [
        (f"{HUB}-8B-Flash", "vllm", {}, "vLLM has no router, .*LMDeploy alone serves Flash"),
        (f"{HUB}-8B-Flash", "sglang", {}, "SGLang has no router"),
        (f"{HUB}-8B", "lmdeploy", {"flash": True}, "it has no router. Take one whose name ends in -Flash"),
        (f"{HUB}-8B", "vllm", {"flash": True}, "it has no router. Take one whose name ends in -Flash"),
        (GPT_OSS, "lmdeploy", {}, "LMDeploy has no InternVL with GPT-OSS: .* with vLLM"),
        (GPT_OSS, "sglang", {}, "SGLang was never seen to serve .*with vLLM"),
        (f"{HUB}-8B", "llamacpp", {}, "llama.cpp serves GGUF, .* is none: foveate convert"),
        ("tiny", None, {}, "the bundled model 'tiny' is served from GGUF: foveate convert tiny"),
    ],
)
def test_what_a_server_cannot_serve_is_refused_by_name(
    model: str, server: ServerName | None, more: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        choose(order(model, **more), server)


def test_tiles_that_the_context_cannot_hold_are_refused_with_both_remedies(small_gguf: Path) -> None:
    for name in ("lmdeploy", "vllm", "sglang"):
        with pytest.raises(UsageError, match=r"41 tiles is 10496 tokens.* 2000: say --context 19456, or --max-tiles 4"):
            check_order(name, order(f"{HUB}-8B", max_tiles=40, context=2000))
        check_order(name, order(f"{HUB}-8B", max_tiles=40))
    with pytest.raises(UsageError, match=r"1 tiles is 256 tokens.*: say --context 9216$"):
        check_order("vllm", order(f"{HUB}-8B", max_tiles=1, context=256))
    files = read(*find(small_gguf))
    each, most = files.tokens_per_tile, files.context
    with pytest.raises(
        UsageError, match=rf"41 tiles is {41 * each} tokens.* 600: say --context {most}, or --max-tiles"
    ):
        check_order("llamacpp", order(str(small_gguf), max_tiles=40, context=600))
    check_order("llamacpp", order(str(small_gguf), max_tiles=40))
    large = Servable("a folder", SIZES["8B"], "transformers", context=2048)
    with pytest.raises(UsageError, match=r"13 tiles is 3328 tokens.* 2048: say --max-tiles 5$"):
        check_order("vllm", Order(large))


def test_a_model_is_parted_only_among_gpus_that_its_heads_can_be_parted_among() -> None:
    with pytest.raises(UsageError, match=r"--tp 3: the 64 heads of .*38B \(8 of keys and values\).*: say --tp 2"):
        check_order("vllm", order(f"{HUB}-38B", tp=3))
    with pytest.raises(UsageError, match=r"--tp 5: the 40 heads .*: say --tp 4"):
        check_order("vllm", order(f"{HUB}-14B", tp=5))
    for size in SIZES.values():
        check_order("vllm", order(size.id))
    with pytest.raises(UsageError, match=r"--tp 2: llama\.cpp spreads no model"):
        check_order("llamacpp", order("model.gguf", tp=2))
    check_order("llamacpp", order("model.gguf", tp=1))


def test_a_server_that_cannot_be_told_a_tile_budget_is_named() -> None:
    assert unheeded("lmdeploy", order(f"{HUB}-8B")) == unheeded("vllm", order(f"{HUB}-8B", max_tiles=6)) == ""
    assert "LMDeploy takes a tile budget with each picture" in unheeded("lmdeploy", order(f"{HUB}-8B", max_tiles=6))
    for name in ("lmdeploy", "vllm"):
        assert "is told no tile budget for this model" in unheeded(name, order(f"{HUB}-8B-HF", max_tiles=6))
    assert "llama.cpp is told no tile budget" in unheeded("llamacpp", order("model.gguf", max_tiles=6))


def test_the_best_server_that_can_serve_a_model_is_taken(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").touch()
    assert servable(tmp_path).gguf and choose(order(str(tmp_path)), None) == "llamacpp"
    assert refusal("lmdeploy", order(str(tmp_path))).startswith("LMDeploy does not serve the GGUF")
    assert choose(order(GPT_OSS), None) == "vllm"
    assert choose(order(f"{HUB}-8B-Flash"), None) == "lmdeploy"


def test_code_of_a_repository_is_trusted_by_the_user_or_not_run() -> None:
    with pytest.raises(UsageError, match=rf"which vLLM runs; say --trust-remote-code .*\({HUB}-8B-HF\)"):
        refuse_untrusted(servable(f"{HUB}-8B"), "vLLM", trusted=False, how="--trust-remote-code")
    with pytest.raises(UsageError) as raised:
        refuse_untrusted(servable(f"{HUB}-8B-Flash"), "LMDeploy", trusted=False, how="--trust-remote-code")
    assert "-HF" not in str(raised.value), "of Flash there is none in the other layout"
    refuse_untrusted(servable(f"{HUB}-8B-HF"), "vLLM", trusted=False, how="")
    refuse_untrusted(Servable("x.gguf"), "vLLM", trusted=False, how="")


def test_models_of_modelscope_are_to_be_downloaded_first() -> None:
    with pytest.raises(UsageError, match=f"modelscope download --model {HUB}-8B --revision v1 --local_dir DIR"):
        command_of("lmdeploy", order(f"modelscope:{HUB}-8B@v1"), program="lmdeploy")


def test_python_files_of_the_folder_it_is_started_in_are_not_run(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="xllamacpp is not installed")
    (tmp_path / "argparse.py").write_text("raise SystemExit('this was run')\n")
    found = program("llamacpp")
    assert found is not None
    ended = subprocess.run([*found, "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
