"""A real model behind the gateway, called in every way. Arguments: words that a check's title must hold."""

import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "sdk"))

import check
import test_ask  # noqa: F401  (importing registers the checks)
import test_chat  # noqa: F401
import test_curl  # noqa: F401
import test_real  # noqa: F401
from gateway import Gateway
from llama import Llama

signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started here ends too
with Llama() as llama, Gateway(llama.providers()) as gateway:
    gateway.llama = llama
    code = check.run(gateway, sys.argv[1:], gateway.show_log)
sys.exit(code)
