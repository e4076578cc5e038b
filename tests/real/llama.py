"""A llama.cpp server on loopback with a small model, for as long as a `with` block lasts."""

import json
import os
import pathlib
import subprocess
import time
import urllib.error
import urllib.request

from gateway import ROOT, free_port

HOME = ROOT / "target" / "real"


class Llama:
    def __init__(self):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = HOME / "llama.log"

    def __enter__(self):
        bin = HOME / "bin"
        command = [bin / "llama-server", "--model", HOME / "model.gguf", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--jinja", "--chat-template-file", pathlib.Path(__file__).with_name("chat.jinja")]
        command += ["--ctx-size", "4096", "--parallel", "2", "--slots", "--no-webui", "--alias", "smollm2"]
        command += ["--threads", "1", "--poll", "0"]  # two that wait for each other crawl on a machine that does other work
        command += ["--sse-ping-interval", "1"]  # comments in its streams, wherever a prompt takes longer
        environment = {**os.environ, "LD_LIBRARY_PATH": str(bin)}
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=self.log.open("w"), stderr=subprocess.STDOUT
        )
        for _ in range(300):
            if self.process.poll() is not None:
                raise SystemExit(f"llama-server ended with {self.process.returncode}, see {self.log}")
            try:
                self.get("/health")
                return self
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        self.__exit__()
        raise SystemExit(f"llama-server is not ready after 30 s, see {self.log}")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=10) as reply:
            return json.load(reply)

    def busy(self):
        """How many of its two slots are at work."""
        return sum(slot["is_processing"] for slot in self.get("/slots"))

    def connections(self):
        """How many connections to it are open, seen from their other end."""
        lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
        return sum(line.split()[2].endswith(f":{self.port:04X}") and line.split()[3] == "01" for line in lines)

    def wait_until(self, busy, seconds):
        """Seconds until `busy` slots are at work; an AssertionError when that takes longer than `seconds`."""
        start = time.monotonic()
        while self.busy() != busy:
            assert time.monotonic() - start < seconds, f"{self.busy()} slots at work after {seconds} s, not {busy}"
            time.sleep(0.02)
        return time.monotonic() - start

    def providers(self):
        """The same server as two providers, one for each dialect that it speaks, and one that nobody serves."""
        return f"""
[providers.house]
base_url = "{self.url}/v1"
dialects = ["openai-chat"]
auth = {{ none = true }}

[providers.house-messages]
base_url = "{self.url}"
dialects = ["anthropic-messages"]
auth = {{ none = true }}

[providers.gone]
base_url = "http://127.0.0.1:{free_port()}/v1"
dialects = ["openai-chat"]
auth = {{ none = true }}
"""
