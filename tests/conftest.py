"""What every test may use."""

import shutil
import signal

import pytest

from tests.checkpoints import (  # noqa: F401 - fixtures that every folder may use
    base_checkpoint,
    deep_checkpoint,
    deep_full_checkpoint,
    flash_checkpoint,
    full_gguf,
    full_tile_checkpoint,
    small_checkpoint,
    small_gguf,
    tiny_gguf,
)

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # a background job of a shell ignores it, and so would every process that the tests interrupt
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give a test of a real browser a second chance, for it shares its processors; the summary lists who took it."""
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.flaky(reruns=1, reruns_delay=1))


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a real Chromium; skips loudly where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        path = shutil.which(name)
        if path:
            return path
    pytest.skip("no Chromium on this machine: apt-get install chromium")
