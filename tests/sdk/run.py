"""Starts a gateway and lets the official SDKs call it. Arguments: words that a check's title must hold."""

import signal
import sys

import check
import test_anthropic  # noqa: F401  (importing registers the checks)
import test_bedrock  # noqa: F401
import test_cohere  # noqa: F401
import test_cut  # noqa: F401
import test_gemini  # noqa: F401
import test_ollama  # noqa: F401
import test_openai  # noqa: F401
import test_operations  # noqa: F401
import test_responses  # noqa: F401
from gateway import Gateway

signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started here ends too
# A second provider of the simulator, so that calls have to be translated.
OTHER = """[providers.other]
base_url = "sim://built-in/v1"
dialects = ["openai-chat"]
auth     = { none = true }
"""
with Gateway(OTHER) as gateway:
    code = check.run(gateway, sys.argv[1:], gateway.show_log)
sys.exit(code)
