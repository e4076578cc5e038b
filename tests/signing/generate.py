"""Writes a file a scheme: requests and what the vendor's own SDK adds to them, or sends for a token; a JSON object a line."""

import argparse
import json
import os
import pathlib
import random
import time

os.environ["TZ"] = "UTC"  # one of the SDKs takes local time for UTC and back
time.tzset()

import minting  # noqa: E402
import vendor  # noqa: E402

options = argparse.ArgumentParser(description=__doc__)
options.add_argument("--seed", type=int, required=True)
options.add_argument("--count", type=int, required=True)
options.add_argument("--out", type=pathlib.Path, required=True)
told = options.parse_args()

for folder, makers in [(told.out, vendor.SCHEMES), (told.out / "token", minting.WAYS)]:
    folder.mkdir(parents=True, exist_ok=True)
    for maker in makers:
        dice = random.Random(f"{told.seed} {maker.__name__}")
        lines = [json.dumps(maker(dice), ensure_ascii=False) + "\n" for _ in range(told.count)]
        name = maker.__name__.replace("_", "-")
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
        print(f"signing: {len(lines):4} requests by {name}", flush=True)
