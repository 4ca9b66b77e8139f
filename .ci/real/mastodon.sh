#!/usr/bin/env bash
# Installs mastodon_mock and mitmproxy into .real/mastodon/, for tests/real/mastodon. Runs again at no cost.
#     .ci/real/mastodon.sh         install
#     .ci/real/mastodon.sh lock    write the lock file anew
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

wanted=tests/real/mastodon/servers
folder=.real/mastodon

if [[ ${1:-} == lock ]]; then
    .venv/bin/uv --quiet pip compile --universal --python-version 3.11 --upgrade --generate-hashes \
        --no-emit-index-url --no-emit-find-links --custom-compile-command '.ci/real/mastodon.sh lock' \
        "$wanted.in" -o "$wanted.lock"
    exit
fi

# The lock file is copied last, so that a half-made folder is made again.
if cmp --silent "$wanted.lock" "$folder/.made-from"; then
    exit
fi
rm -rf "$folder"
python=$(PATH="$PWD/.venv/bin:$PATH" command -v python3)
"$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
    -r "$wanted.lock"
cp "$wanted.lock" "$folder/.made-from"
echo "Ready: $folder"
