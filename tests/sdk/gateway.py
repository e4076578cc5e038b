"""A gateway process with a configuration of its own, for as long as a `with` block lasts."""

import os
import pathlib
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

KEY = "tk-for-the-tests"
ROOT = pathlib.Path(__file__).resolve().parents[2]


def binary():
    """The program under test: $TRUNKLINE_BIN, else the newest build in target/."""
    named = os.environ.get("TRUNKLINE_BIN")
    built = [ROOT / "target" / kind / "trunkline" for kind in ("debug", "release")]
    found = [pathlib.Path(named).resolve()] if named else [path for path in built if path.exists()]
    if not found:
        raise SystemExit("no trunkline binary: run `cargo build` or set TRUNKLINE_BIN")
    return str(max(found, key=lambda path: path.stat().st_mtime))


def free_port():
    """A port on loopback that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Gateway:
    """`providers` is TOML for the configuration, after the [server] table."""

    def __init__(self, providers=""):
        self.key = KEY
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.providers = providers

    def __enter__(self):
        self.home = tempfile.TemporaryDirectory(prefix="trunkline-test-")
        home = pathlib.Path(self.home.name)
        self.config = home / "gateway.toml"
        self.config.write_text(f'[server]\nlisten = "127.0.0.1:{self.port}"\nkey = "env:TRUNKLINE_KEY"\n\n{self.providers}')
        # A bare environment and an empty folder: no key, no .env and no configuration of the person who runs this.
        self.env = {"PATH": os.environ["PATH"], "HOME": self.home.name, "TRUNKLINE_KEY": KEY}
        self.log = home / "gateway.log"
        self.process = subprocess.Popen(
            [binary(), "serve", "--config", str(self.config)],
            cwd=home,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=self.log.open("w"),
            stderr=subprocess.STDOUT,
        )
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.home.cleanup()

    def _wait(self):
        for _ in range(200):
            if self.process.poll() is not None:
                raise SystemExit(f"the gateway ended with {self.process.returncode}:\n{self.log.read_text()}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise SystemExit(f"the gateway does not listen on {self.url} after 10 s:\n{self.log.read_text()}")

    def command(self, *arguments):
        """A command with the gateway's configuration."""
        return [binary(), "--config", str(self.config), *arguments]

    def run(self, *arguments, stdin="", code=0):
        """What a command prints on stdout, and what on stderr."""
        done = subprocess.run(
            self.command(*arguments),
            env=self.env,
            cwd=self.home.name,
            input=stdin,
            capture_output=True,
            check=False,
            text=True,
            timeout=58,
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done.stdout, done.stderr

    def get(self, path, **headers):
        """GET, for what no SDK does: the status and the body as text."""
        request = urllib.request.Request(self.url + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def open_files(self):
        """How many files and sockets the process holds open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def show_log(self):
        """The end of what the gateway wrote, for a failed run."""
        print("--- the gateway's log, its end ---\n" + self.log.read_text()[-4000:], flush=True)
