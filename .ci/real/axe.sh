#!/usr/bin/env bash
# Installs axe-core, which judges how accessible a page is, into .real/axe/, for tests/storyboard. Runs again at
# no cost. Without npm the test skips itself and says so; a failing installation is an error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

package=axe-core@4.10.3
folder=.real/axe

if ! command -v npm >/dev/null; then
    echo "axe: no npm here; the storyboard's accessibility will not be judged" >&2
    exit 0
fi
if [[ -f $folder/.installed && $(<"$folder/.installed") == "$package" ]]; then
    exit 0
fi

mkdir -p "$folder"
rm -f "$folder/.installed"
echo '{"private": true}' >"$folder/package.json"
(cd "$folder" && npm install --no-audit --no-fund --no-package-lock --ignore-scripts --loglevel=error "$package")
printf '%s\n' "$package" >"$folder/.installed"
echo "Ready: $folder"
