"""What is installed is what is in the tree, imports stay light, and layers hold."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ("actions", "envs", "policies", "agent")
HEAVY = (
    "torch", "transformers", "lmdeploy", "playwright", "mss", "pyautogui", "gymnasium", "mujoco", "habitat_sim",
    "aiomqtt", "typer", "rich", "PIL", "tokenizers", "safetensors", "xgrammar", "scipy", "zmq",
)  # fmt: skip


def folders_with_python() -> set[str]:
    return {
        "foveate." + ".".join(path.parent.relative_to(ROOT).parts)
        for layer in LAYERS
        for path in (ROOT / layer).rglob("*.py")
    }


def settings() -> dict[str, dict[str, object]]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def test_every_folder_with_python_is_a_package_in_pyproject() -> None:
    assert set(settings()["packages"]) == folders_with_python()


def test_every_package_says_what_it_is() -> None:
    for package in folders_with_python():
        init = ROOT.joinpath(*package.split(".")[1:]) / "__init__.py"
        assert init.read_text().startswith('"""'), f"{init} has no docstring"


def test_nothing_that_holds_code_is_at_top_level_but_what_the_layout_has() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    top = {line.split("/")[0] for line in listed if line and not line.startswith(".")}
    assert top <= {
        *LAYERS, "examples", "tests", "pyproject.toml", "README.md", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE",
        "Makefile", "constraints.txt",
    }  # fmt: skip


@pytest.mark.timeout(300)
def test_the_wheel_holds_every_module_and_data_file(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    for name in filter(None, tracked):
        if name.split("/")[0] in {*LAYERS, "pyproject.toml", "README.md", "LICENSE"} and (ROOT / name).exists():
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("foveate-*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = {
        "foveate/" + name for name in filter(None, tracked) if name.split("/")[0] in LAYERS and (ROOT / name).exists()
    }
    assert packed == expected


def test_importing_the_agent_loads_no_heavy_library() -> None:
    code = f"import sys, foveate.agent; print([m for m in {HEAVY!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize("layer", LAYERS)
def test_what_a_package_exports_exists(layer: str) -> None:
    code = (
        f"import foveate.{layer} as package\n"
        "missing = [n for n in getattr(package, '__all__', []) if not hasattr(package, n)]\n"
        "assert not missing, missing"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_imports_point_one_way() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports"))]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert out.returncode == 0, out.stdout
