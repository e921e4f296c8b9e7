"""Programs that pass for a llama-server binary: its help, its ways to fail, its manners. None of them is a model."""

from __future__ import annotations

import sys
from pathlib import Path

OLD_HELP = """\
----- common params -----

-h,    --help, --usage                  print usage and exit
--version                               show version and build info
-t,    --threads N                      number of threads to use during generation (default: -1)
-tb,   --threads-batch N                number of threads to use during batch and prompt processing (default:
                                        same as --threads)
-c,    --ctx-size N                     size of the prompt context (default: 4096, 0 = loaded from model)
-ctk,  --cache-type-k TYPE              KV cache data type for K
-ctv,  --cache-type-v TYPE              KV cache data type for V
-ngl,  --gpu-layers, --n-gpu-layers N   number of layers to store in VRAM
-m,    --model FNAME                    model path
-np,   --parallel N                     number of parallel sequences to decode (default: 1)

----- example-specific params -----

--host HOST                             ip address to listen (default: 127.0.0.1)
--port PORT                             port to listen (default: 8080)
--no-webui                              Disable the Web UI (default: enabled)
--metrics                               enable prometheus compatible metrics endpoint (default: disabled)
--slots                                 enable slots monitoring endpoint (default: disabled)
--draft, --draft-n, --draft-max N       the argument has been removed. use --spec-draft-n-max or
                                        --spec-ngram-mod-n-max
"""

_SERVE = """
import http.server, json, os, signal, threading, time

class Answers(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if os.path.exists({hang!r}):
            time.sleep(600)
        text = asked["messages"][-1]["content"] if "messages" in asked else ""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for number in range(40):
            if number == 5 and "die" in text.split() and not ("once" in text and os.path.exists({died!r})):
                open({died!r}, "w").close()
                os.kill(os.getpid(), signal.Signals[text.split()[-1]])
                time.sleep(600)  # the signal may strike another thread, a moment later
            self.said({{"choices": [{{"index": 0, "delta": {{"content": f"{{number}} "}}}}]}})
            time.sleep({pause_s})
        self.said({{
            "choices": [{{"index": 0, "delta": {{}}, "finish_reason": "stop"}}],
            "usage": {{"prompt_tokens": 9, "completion_tokens": 40}},
        }})
        self.wfile.write(b"data: [DONE]\\n\\n")

    def said(self, event):
        self.wfile.write(b"data: " + json.dumps(event).encode() + b"\\n\\n")
        self.wfile.flush()

    def log_message(self, *args):
        pass

    def do_GET(self):
        if {needs_key} and self.path != "/health":
            if self.headers.get("Authorization") != "Bearer " + os.environ["LLAMA_API_KEY"]:
                self.send_error(401)
                return
        body = json.dumps({{
            "default_generation_settings": {{"n_ctx": {context}}}, "total_slots": {slots}, "model_path": "model.gguf",
        }}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
server.daemon_threads = True
print(f"main: server is listening on http://127.0.0.1:{{server.server_port}} - starting the main loop", flush=True)
server.serve_forever()
"""


def script(
    folder: Path,
    *,
    before: str = "",
    serves: bool = False,
    context: int = 512,
    slots: int = 1,
    help_text: str = OLD_HELP,
    pause_s: float = 0.01,
    needs_key: bool = False,
) -> Path:
    """Write the program. As a server it streams the numbers from 0 to 39.

    A prompt that ends in `die SIGSEGV` kills it after five of them, `die once SIGSEGV` the first time only. While a
    file `hang` stands beside it, it answers no request but GET.

    Args:
        folder: where to.
        before: Python that it runs when it is started as a server.
        serves: whether it then answers as a server would.
        context: what it says its context is.
        slots: how many slots it says it has.
        help_text: its `--help`.
        pause_s: between two numbers.
        needs_key: whether it refuses who does not have its key.
    """
    path = folder / "llama-server"
    path.write_text(
        f"#!{sys.executable} -S\n"
        "import sys\n"
        f"if '--help' in sys.argv:\n    print({help_text!r})\n    sys.exit(0)\n"
        "if '--version' in sys.argv:\n    print('version: 4242 (0a1b2c3d)', file=sys.stderr)\n    sys.exit(0)\n"
        f"{before}\n" + (_serve(folder, context, slots, pause_s, needs_key) if serves else "")
    )
    path.chmod(0o755)
    return path


def _serve(folder: Path, context: int, slots: int, pause_s: float, needs_key: bool) -> str:
    return _SERVE.format(
        context=context,
        slots=slots,
        pause_s=pause_s,
        needs_key=needs_key,
        hang=str(folder / "hang"),
        died=str(folder / "died"),
    )
