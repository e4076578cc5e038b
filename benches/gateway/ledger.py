#!/usr/bin/env python3
"""CPU per request with a ledger beside that without, from one run: rounds of both alternate, the medians are compared.
One start of a gateway differs from the next by more than the ledger takes, so it takes many.

    benches/gateway/ledger.py [ROUNDS] [REQUESTS] [LANE]     20, 15000, same; LANE may be translate
    TRUNKLINE_BIN=/path/to/trunkline                         default: target/release/trunkline

Needs Linux (/proc), target/release/trunkline (`make build`) and target/release/bench-gateway
(`cargo build --release -p trunkline-testkit --bin bench-gateway`).
"""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RELEASE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
GATEWAY = os.environ.get("TRUNKLINE_BIN", RELEASE / "trunkline")
BENCH = RELEASE / "bench-gateway"

CONFIG = """[server]
listen = "127.0.0.1:{port}"

[providers.local]
base_url = "http://{provider}/v1"
dialects = ["openai-chat"]
auth     = {{ none = true }}

[store]
path = "{store}"
"""


def cpu(pid):
    """Seconds of user and system time of a process."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(fields[place]) for place in (11, 12)) / os.sysconf("SC_CLK_TCK")


def measure(folder, provider, store, requests, lane):
    """Microseconds of CPU per request."""
    port = subprocess.check_output([BENCH, "port"], text=True).strip()
    config = folder / "trunkline.toml"
    config.write_text(CONFIG.format(port=port, provider=provider, store=store))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    gateway = subprocess.Popen([GATEWAY, "serve", "--config", config], env={**os.environ, "HOME": str(folder)}, **quiet)

    def load(count):
        options = ["--lane", lane, "--kilobytes", "1", "--model", "local/m", "--connections", "16", "--requests", str(count)]
        subprocess.run([BENCH, "load", "--to", f"127.0.0.1:{port}", *options], check=True, **quiet)

    try:
        time.sleep(0.6)
        load(2000)
        time.sleep(0.5)
        before = cpu(gateway.pid)
        load(requests)
        # What waits is written, too.
        time.sleep(1)
        return (cpu(gateway.pid) - before) / requests * 1e6
    finally:
        gateway.terminate()
        gateway.wait()


def main():
    rounds, requests, lane = [*sys.argv[1:], *["20", "15000", "same"][len(sys.argv) - 1 :]]
    provider = subprocess.Popen([BENCH, "provider", "--port", "0", "--seconds", "3600"], stdout=subprocess.PIPE, text=True)
    try:
        address = provider.stdout.readline().strip()
        without, with_ledger = [], []
        for number in range(int(rounds)):
            with tempfile.TemporaryDirectory() as folder:
                folder = pathlib.Path(folder)
                without.append(measure(folder, address, "none", int(requests), lane))
                with_ledger.append(measure(folder, address, folder / f"{number}.db", int(requests), lane))
    finally:
        provider.kill()
    off, on = statistics.median(without), statistics.median(with_ledger)
    pairs = sorted(one / other for one, other in zip(with_ledger, without))
    print(f"{lane}: {off:.1f} µs of CPU a request without a ledger, {on:.1f} µs with it: {on / off:.3f} times as much")
    print(f"pair by pair: {statistics.median(pairs):.3f}, half of them {pairs[len(pairs) // 4]:.3f} to {pairs[-1 - len(pairs) // 4]:.3f}")


main()
