#!/usr/bin/env bash
# Installs a real Bluesky server into .real/bluesky/, for tests/real/bluesky. Runs again at no cost.
# Without node the tests skip themselves and say so; a failing installation is an error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

packages=(@atproto/pds@0.4.217 @did-plc/server@0.0.1)
folder=.real/bluesky

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    echo "bluesky: no node or no npm here; tests/real/bluesky will be skipped" >&2
    exit 0
fi

wanted="node $(node -p process.versions.modules): ${packages[*]}"
if [[ -f $folder/.installed && $(<"$folder/.installed") == "$wanted" ]]; then
    exit 0
fi

mkdir -p "$folder"
rm -f "$folder/.installed"
echo '{"private": true}' >"$folder/package.json"
# One dependency (SQLite) is compiled: unoptimised that takes half the time, and nothing here is in a hurry.
if ! (cd "$folder" && CFLAGS=-O0 CXXFLAGS=-O0 npm install --no-audit --no-fund --loglevel=error "${packages[@]}"); then
    echo "bluesky: npm could not install ${packages[*]}; a C++ compiler and node's headers are needed" >&2
    exit 1
fi
printf '%s\n' "$wanted" >"$folder/.installed"
