#!/usr/bin/env bash
# Installs into .real/ the servers and clients written by others that tests/real talks to: a WebSub hub, feed
# parsers. What is there already is left alone. Needs python3 with venv, and npm; without npm the parsers are
# left out, and their tests say so. Debian has newsboat and rss2email as packages of these names.
#     .ci/real/feeds.sh         install
#     .ci/real/feeds.sh lock    write the lock files anew
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

feeds=tests/real/feeds
hub=.real/venv
parsers=.real/node

if [[ ${1:-} == lock ]]; then
    .venv/bin/uv --quiet pip compile --universal --python-version 3.11 --upgrade --generate-hashes \
        --no-emit-index-url --no-emit-find-links --custom-compile-command '.ci/real/feeds.sh lock' \
        "$feeds/websub.in" -o "$feeds/websub.lock"
    (cd "$feeds/node" && npm install --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund)
    exit
fi

# The lock file is copied last, so that a half-made folder is made again.
made_from() {
    cmp --silent "$1" "$2/.made-from"
}

if ! made_from "$feeds/websub.lock" "$hub"; then
    rm -rf "$hub"
    python=$(PATH="$PWD/.venv/bin:$PATH" command -v python3)
    "$python" -m venv "$hub"
    "$hub/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
        -r "$feeds/websub.lock"
    cp "$feeds/websub.lock" "$hub/.made-from"
    echo "Ready: $hub"
fi

if ! command -v npm >/dev/null; then
    echo "npm is not here: the feeds are not shown to parsers from npm" >&2
elif ! made_from "$feeds/node/package-lock.json" "$parsers"; then
    rm -rf "$parsers"
    mkdir -p "$parsers"
    cp "$feeds"/node/* "$parsers/"
    (cd "$parsers" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
    cp "$feeds/node/package-lock.json" "$parsers/.made-from"
    echo "Ready: $parsers"
fi
