#!/usr/bin/env bash
# Remake the pins of one Python from a clean install of the package with its
# development tools: constraints/make_pins.sh python3.12
#
# The oldest Python goes first; the others follow its pins where they can, so that
# all install the same versions. Delete py311.txt to let everything move.
set -euo pipefail

python=${1:-python3}
here=$(cd "$(dirname "$0")" && pwd)
tag=$("$python" -c 'import sys; print("py%d%d" % sys.version_info[:2])')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

follow=()
if [ "$tag" != py311 ] && [ -f "$here/py311.txt" ]; then
    follow=(-c "$here/py311.txt")
fi
"$python" -m venv "$work/venv"
pip=("$work/venv/bin/python" -m pip)
"${pip[@]}" install --quiet --upgrade "${follow[@]}" pip setuptools
cd "$here/.."
"${pip[@]}" install "${follow[@]}" --group dev -e '.[filters]'
"$work/venv/bin/python" -c 'import jax, equinox, optax, flowjax, blackjax, numba
import arviz, astropy, corner, matplotlib, miepython, pyarrow'
"${pip[@]}" freeze --all --exclude grainlight --exclude-editable |
    grep -E '^[A-Za-z0-9._-]+==' >"$work/pins"
mv "$work/pins" "$here/$tag.txt"
chmod 644 "$here/$tag.txt"
echo "$here/$tag.txt: $(wc -l <"$here/$tag.txt") pins"
