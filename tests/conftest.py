"""What every test may use."""

import shutil
import signal

import pytest

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # a background job of a shell ignores it, and so would every process that the tests interrupt
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a real Chromium; skips loudly where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        path = shutil.which(name)
        if path:
            return path
    pytest.skip("no Chromium on this machine: apt-get install chromium")
