#!/usr/bin/env bash
# Rewrites requirements.lock (needs uv). torch is left out: pip picks the build that fits the machine.
set -eu
cd "$(dirname "$0")/.."
grep -v '"torch==' pyproject.toml > toolchain/pyproject.toml
trap 'rm -f toolchain/pyproject.toml' EXIT
uv pip compile --universal --python-version 3.11 --no-emit-index-url --no-emit-package torch --no-header --no-annotate \
  --override toolchain/overrides.txt --extra contracts --extra plots --extra test --extra node \
  toolchain/pyproject.toml toolchain/extra.in -o requirements.lock "$@"
