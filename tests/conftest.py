"""What every test may use."""

import shutil

import pytest


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a real Chromium; skips loudly where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        path = shutil.which(name)
        if path:
            return path
    pytest.skip("no Chromium on this machine: apt-get install chromium")
