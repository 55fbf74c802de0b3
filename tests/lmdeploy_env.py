"""LMDeploy's own environment, where ``make lmdeploy-env`` has made one, and foveate in it."""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
INTERPRETER = ROOT / ".venv-lmdeploy" / "bin" / "python"
MISSING = "LMDeploy has no environment in this checkout (.venv-lmdeploy): make lmdeploy-env"


def inside(script: Path, *words: str, timeout_s: float) -> Any:
    """Run a script by LMDeploy's interpreter, with this checkout as ``foveate``; gives the JSON of its last line."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "foveate").mkdir()
        for name in ("actions", "envs", "policies", "agent"):
            (Path(folder) / "foveate" / name).symlink_to(ROOT / name)
        ended = subprocess.run(
            [str(INTERPRETER), "-W", "ignore", str(script), *words],
            capture_output=True, text=True, timeout=timeout_s, env={**os.environ, "PYTHONPATH": folder},
        )  # fmt: skip
    assert ended.returncode == 0, f"{script.name} failed in LMDeploy's environment:\n{ended.stderr[-4000:]}"
    return json.loads(ended.stdout.strip().splitlines()[-1])
