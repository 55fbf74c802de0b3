"""llama.cpp's own server through xllamacpp, in a process of its own.

``python -m foveate.policies.engines.llamacpp_server MODEL --host HOST --port PORT``; ``foveate serve`` starts it.
The prompt is the reference's, but texts are tokenised by llama.cpp's own rule: unlike in LlamaCppEngine, a control
token in a page's text is one.
"""

import argparse
import logging
import signal
import sys
from collections.abc import Sequence
from typing import Any, Final

from foveate.actions.errors import FoveateError, MissingDependency, ModelUnavailable
from foveate.policies.engines.llamacpp import cores
from foveate.policies.engines.llamacpp_files import GgufFiles, find, on_cpu, read

_log = logging.getLogger(__name__)

TEMPLATE: Final = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message.role + '\n' -}}"
    "{%- set pieces = message.content.split('<__media_') -%}{{- pieces[0] -}}"
    "{%- for piece in pieces[1:] -%}{%- set ends = piece.split('__>') -%}"
    "{{- '<__media_' + ends[0] + '__>\n' + ends[1:] | join('__>') -}}{%- endfor -%}"
    "{%- if not loop.last or message.role != 'assistant' -%}{{- '<|im_end|>\n' -}}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if messages[-1].role != 'assistant' -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)
"""The reference's prompt: ChatML, a line break behind each picture; an assistant's last message begins the answer.

Source: template ``internvl2_5`` (OpenGVLab/InternVL, internvl_chat/internvl/conversation.py).
"""


def alias(files: GgufFiles) -> str:
    """Give the name that a model is served under: the profile that its file asks for, else the file's."""
    return files.profile or files.model.stem


def parameters(xllamacpp: Any, files: GgufFiles, *, host: str, port: int, context: int) -> Any:
    """Lay out what llama.cpp's server is started with."""
    params = on_cpu(xllamacpp, files, context=context, threads=cores())
    params.chat_template, params.prefill_assistant = TEMPLATE, False
    params.hostnames, params.port, params.model_alias = [host], port, {alias(files)}
    return params


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until a signal ends it; gives an exit code."""
    parser = argparse.ArgumentParser(prog="llamacpp_server", description="llama.cpp's server, for foveate serve.")
    parser.add_argument("model", help="a GGUF file, or its folder")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--context", type=int, default=16_384, help="most tokens of a prompt and its answer")
    asked = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # as SIGTERM: it ends at once, in llama.cpp's code, too
    try:
        server = _served(asked)
    except FoveateError as exc:
        _log.error("error: %s", exc)
        return 3
    _log.info("llama.cpp serves %s at %s", asked.model, server.listening_address)
    while True:
        signal.pause()


def _served(asked: argparse.Namespace) -> Any:
    files = read(*find(asked.model))
    try:
        import xllamacpp
    except ImportError as exc:
        raise MissingDependency("llama.cpp's server", f"pip install 'foveate[llamacpp]' ({exc})") from exc
    params = parameters(xllamacpp, files, host=asked.host, port=asked.port, context=asked.context)
    try:
        return xllamacpp.Server(params)
    except RuntimeError as exc:
        raise ModelUnavailable(f"llama.cpp cannot serve {files.model} at {asked.host}:{asked.port}: {exc}") from exc


if __name__ == "__main__":
    sys.exit(main())
