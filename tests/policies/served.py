"""A model served by ``foveate serve``, for as long as a block lasts."""

import asyncio
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

COMMAND = str(Path(sys.executable).with_name("foveate"))
READY_S = 60.0
GONE_S = 30.0


@asynccontextmanager
async def served(model: str | Path, *flags: str) -> AsyncIterator[str]:
    """Serve a model; gives the server's address, and sees that it is gone at the end."""
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            COMMAND, "serve", str(model), *flags, stdout=asyncio.subprocess.PIPE, stderr=log
        )
        assert process.stdout is not None

        def said() -> str:
            log.seek(0)
            return log.read().decode(errors="replace")[-3000:]

        try:
            async with asyncio.timeout(READY_S):
                url = (await process.stdout.readline()).decode().strip()
            assert url.startswith("http"), said()
            yield url
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(GONE_S):
                    await process.wait()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        assert process.returncode == 130, said()
