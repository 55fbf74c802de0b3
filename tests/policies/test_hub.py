"""Models from a hub, against a server here that speaks as Hugging Face's does."""

import hashlib
import http.server
import json
import shutil
import socket
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")

from foveate.actions.errors import CheckpointError, MissingDependency, ModelUnavailable
from foveate.policies.engines.torch import TorchEngine
from foveate.policies.internvl import checkpoint, hub
from foveate.policies.internvl.hub import HubId

pytestmark = pytest.mark.torch

COMMITS = {"main": "a" * 40, "v1": "b" * 40}


class Hub:
    """A hub with one repository of two revisions; counts what is asked for, and can break off."""

    def __init__(self) -> None:
        tiny = checkpoint.find("tiny")
        self.files = {path.name: path.read_bytes() for path in sorted(tiny.iterdir()) if path.is_file()}
        self.files["remote_code.py"] = b"raise SystemExit('run')\n"
        self.files["pytorch_model.bin"] = b"\x80\x04."
        self.asked: list[tuple[str, str, str]] = []
        self.breaks = 0
        self.refused = ""
        hub_ = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

            def do_HEAD(self) -> None:
                self.answer()

            def do_GET(self) -> None:
                self.answer()

            def answer(self) -> None:
                path = unquote(urlsplit(self.path).path)
                hub_.asked.append((self.command, path, self.headers.get("Range", "")))
                parts = path.strip("/").split("/")
                if parts[:3] == ["api", "models", "owner"]:
                    self.described(parts)
                elif self.command == "GET" and parts[-1] == hub_.refused:
                    self.said({"error": "gated"}, 403)
                elif parts[2:3] == ["resolve"] and parts[4] in hub_.files and self.commit(parts[3]):
                    self.file(hub_.files[parts[4]], self.commit(parts[3]))
                else:
                    self.said({"error": "not found"}, 404, {"X-Error-Code": "RevisionNotFound"})

            def commit(self, revision: str) -> str:
                return COMMITS.get(revision, revision if revision in COMMITS.values() else "")

            def described(self, parts: list[str]) -> None:
                commit = self.commit(parts[5] if len(parts) > 5 else "main")
                if not commit:
                    self.said({"error": "no such revision"}, 404, {"X-Error-Code": "RevisionNotFound"})
                elif "tree" in parts:
                    listed = [
                        {"type": "file", "path": name, "size": len(data), "oid": tag(data)}
                        for name, data in hub_.files.items()
                    ]
                    self.said(listed)
                else:
                    self.said({"id": "owner/tiny", "sha": commit, "siblings": []})

            def file(self, data: bytes, commit: str) -> None:
                start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
                rest = data[start:]
                self.send_response(206 if start else 200)
                for name, value in {
                    "ETag": f'"{tag(data)}"', "X-Repo-Commit": commit, "Content-Length": str(len(rest)),
                    "Accept-Ranges": "bytes", "Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}",
                }.items():  # fmt: skip
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "HEAD":
                    return
                if hub_.breaks and len(data) > 10**6:
                    hub_.breaks -= 1
                    self.wfile.write(rest[: len(data) // 2])
                    self.wfile.flush()
                    self.close_connection = True
                    return
                self.wfile.write(rest)

            def said(self, data: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
                body = json.dumps(data).encode()
                self.send_response(status)
                for name, value in {
                    "Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {}),
                }.items():  # fmt: skip
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"

    def fetched(self) -> set[str]:
        """Names of the files of which bytes were asked for."""
        return {path.rpartition("/")[2] for command, path, _ in self.asked if command == "GET" and "/resolve/" in path}


def tag(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import constants

    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    one = Hub()
    thread = threading.Thread(target=one.server.serve_forever, args=(0.05,))
    thread.start()
    yield one
    one.server.shutdown()
    thread.join()
    one.server.server_close()


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("owner/name", HubId("owner/name")),
        ("owner/name@v1.2", HubId("owner/name", "v1.2")),
        ("modelscope:owner/name@main", HubId("owner/name", "main", modelscope=True)),
        ("./owner/name", None), ("owner", None), ("/owner/name", None), ("~/name", None), ("../name", None),
        ("a/b/c", None), ("owner/name@", None), ("owner/na me", None),
    ],
)  # fmt: skip
def test_an_id_is_read_and_written(text: str, read: HubId | None) -> None:
    assert HubId.read(text) == read
    assert read is None or str(read) == text


def test_a_model_of_the_hub_is_fetched_without_code_or_pickles(served: Hub) -> None:
    folder = checkpoint.find("owner/tiny", endpoint=served.address)
    assert checkpoint.check(folder).profile == "tiny"
    assert served.fetched() == set(served.files) - {"remote_code.py", "pytorch_model.bin", "README.md", "curves.png"}
    assert not list(folder.rglob("*.py"))
    assert folder.name == COMMITS["main"]


def test_a_second_time_nothing_is_fetched_and_no_hub_is_needed(served: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    first = checkpoint.find("owner/tiny", endpoint=served.address)
    served.asked.clear()
    assert checkpoint.find("owner/tiny", endpoint=served.address) == first
    assert served.fetched() == set()
    served.asked.clear()
    monkeypatch.setattr(hub, "_reachable", lambda address: False)
    assert checkpoint.find("owner/tiny", endpoint=served.address) == first
    assert served.asked == []


def test_a_revision_pins_what_is_fetched(served: Hub) -> None:
    assert checkpoint.find("owner/tiny@v1", endpoint=served.address).name == COMMITS["v1"]
    assert checkpoint.find(f"owner/tiny@{COMMITS['main']}", endpoint=served.address).name == COMMITS["main"]
    with pytest.raises(ModelUnavailable, match="'owner/tiny@v2'"):
        checkpoint.find("owner/tiny@v2", endpoint=served.address)


def test_a_connection_that_breaks_off_in_a_file_is_taken_up_where_it_broke(
    served: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 2**16)
    served.breaks = 1
    folder = checkpoint.find("owner/tiny", endpoint=served.address)
    first, second = [part for command, path, part in served.asked if command == "GET" and path.endswith(".safetensors")]
    half = len(served.files["model.safetensors"]) // 2
    assert first == ""
    assert half - 2**16 <= int(second.removeprefix("bytes=").split("-")[0]) <= half
    assert (folder / "model.safetensors").read_bytes() == served.files["model.safetensors"]


def test_a_download_that_failed_goes_on_with_the_files_that_lack(served: Hub) -> None:
    served.refused = "model.safetensors"
    with pytest.raises(ModelUnavailable, match="the same command goes on") as error:
        checkpoint.find("owner/tiny", endpoint=served.address)
    assert "403" in str(error.value)
    served.refused = ""
    served.asked.clear()
    folder = checkpoint.find("owner/tiny", endpoint=served.address)
    assert "model.safetensors" in served.fetched()
    assert "config.json" not in served.fetched()
    assert checkpoint.check(folder).profile == "tiny"


def test_a_disk_without_room_is_named_before_anything_great_is_fetched(
    served: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: types.SimpleNamespace(free=70 * 2**20))
    with pytest.raises(ModelUnavailable, match=r"takes \d+\.\d MB more, and .* has 73\.4 MB free.*HF_HOME") as error:
        checkpoint.find("owner/tiny", endpoint=served.address)
    assert "\n" not in str(error.value)
    assert served.fetched() == {"config.json"}


def test_a_foreign_model_is_refused_by_its_configuration_alone(served: Hub) -> None:
    served.files["config.json"] = json.dumps({"model_type": "llama"}).encode()
    with pytest.raises(CheckpointError, match="'llama'"):
        checkpoint.find("owner/tiny", endpoint=served.address)
    assert served.fetched() == {"config.json"}


@pytest.mark.parametrize(
    ("language", "how", "says"),
    [
        ({}, {"bits": 3}, "no weights of 3 bits"),
        ({}, {"device": "cuda:9"}, "there is no cuda:9 here"),
        ({}, {"dtype": "int3"}, "no dtype 'int3'"),
        ({"num_experts": 8}, {"bits": 4}, "mixture of experts"),
        ({"model_type": "gpt_oss"}, {}, "reads Harmony's tokens: serve the model with vLLM"),
        (
            {"hidden_size": 10**6},
            {"device": "cpu"},
            r"take \d+\.\d GB as float32, and cpu has 1\.0 GB free",
        ),
    ],
)
async def test_what_cannot_run_here_is_refused_before_the_weights_are_fetched(
    served: Hub, monkeypatch: pytest.MonkeyPatch, language: dict[str, Any], how: dict[str, Any], says: str
) -> None:
    from foveate.policies.engines import torch_room

    config = json.loads(served.files["config.json"])
    served.files["config.json"] = json.dumps({**config, "text_config": {**config["text_config"], **language}}).encode()
    monkeypatch.setattr(torch_room, "free_bytes", lambda device, place: 10**9)
    monkeypatch.setattr(checkpoint, "fetch", lambda model, check, **_: hub.fetch(model, check, endpoint=served.address))
    with pytest.raises(ModelUnavailable, match=says):
        await TorchEngine("owner/tiny", **how).open()
    assert served.fetched() == {"config.json"}


def test_a_path_is_never_looked_up_on_a_hub() -> None:
    for look in (checkpoint.find, checkpoint.find_config):
        with pytest.raises(ModelUnavailable, match="no model 'owner/none'"):
            look(Path("owner/none"))


@pytest.mark.parametrize(
    ("address", "proxies", "asked"),
    [
        ("http://mirror", {}, ("mirror", 80)),
        ("https://mirror", {}, ("mirror", 443)),
        ("http://mirror:8000", {}, ("mirror", 8000)),
        ("https://mirror", {"all": "socks5://p"}, None),
        ("https://mirror", {"https": "http://p"}, None),
    ],
)
def test_a_hub_is_looked_for_where_its_address_says(
    monkeypatch: pytest.MonkeyPatch, address: str, proxies: dict[str, str], asked: tuple[str, int] | None
) -> None:
    seen: list[tuple[str, int]] = []

    def connect(where: tuple[str, int], timeout: float) -> Any:
        seen.append(where)
        raise OSError

    monkeypatch.setattr(hub, "getproxies", lambda: proxies)
    monkeypatch.setattr(socket, "create_connection", connect)
    assert hub._reachable(address) == (asked is None)
    assert seen == ([] if asked is None else [asked])


def test_of_a_configuration_nothing_else_is_fetched(served: Hub) -> None:
    said = checkpoint.find_config("owner/tiny", endpoint=served.address)
    assert said["foveate_profile"] == "tiny"
    assert served.fetched() == {"config.json"}


def test_what_a_download_takes_is_said(served: Hub, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "foveate.policies.internvl.hub"):
        checkpoint.find("owner/tiny", endpoint=served.address)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "foveate.policies.internvl.hub"]
    assert line.startswith("fetching owner/tiny: ")
    assert " MB, to " in line


def test_modelscope_without_its_client_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "modelscope", None)
    with pytest.raises(MissingDependency, match="pip install modelscope"):
        checkpoint.find("modelscope:owner/tiny")


def test_modelscope_is_asked_for_its_configuration_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tiny, asked = checkpoint.find("tiny"), []

    def snapshot_download(model_id: str, *, allow_patterns: list[str], revision: str | None = None) -> str:
        asked.append((model_id, revision, allow_patterns))
        for path in tiny.iterdir():
            if any(path.match(pattern) for pattern in allow_patterns):
                shutil.copy(path, tmp_path / path.name)
        return str(tmp_path)

    class HubApi:
        def get_model_files(self, model_id: str, *, revision: str | None, recursive: bool) -> list[dict[str, Any]]:
            return [{"Path": path.name, "Size": path.stat().st_size} for path in tiny.iterdir()]

    api = types.ModuleType("modelscope.hub.api")
    api.HubApi = HubApi  # type: ignore[attr-defined]
    client = types.ModuleType("modelscope")
    client.snapshot_download = snapshot_download  # type: ignore[attr-defined]
    for name, module in (
        ("modelscope", client), ("modelscope.hub", types.ModuleType("modelscope.hub")), ("modelscope.hub.api", api),
    ):  # fmt: skip
        monkeypatch.setitem(sys.modules, name, module)
    folder = checkpoint.find("modelscope:owner/tiny@v1")
    assert checkpoint.check(folder).profile == "tiny"
    assert asked == [("owner/tiny", "v1", ["config.json"]), ("owner/tiny", "v1", list(hub.WANTED))]
