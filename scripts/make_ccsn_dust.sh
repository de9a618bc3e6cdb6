#!/usr/bin/env bash
# Make the packaged model `ccsn-dust` again: simulate its parents, train, put it in place.
# Usage: scripts/make_ccsn_dust.sh FOLDER   (about 10 minutes of simulation and 30 of
# training on two cores; both go on where they were interrupted)
set -euo pipefail
folder=${1:?name a folder for the parents and the model}
package=$(cd "$(dirname "$0")/.." && pwd)/src/grainlight/estimators/models/ccsn-dust

grainlight simulate --num-parents 120000 --seed 2023 \
    --prior thesis2023=0.75 --prior ansari2022=0.25 --out "$folder/parents"
grainlight train "$folder/parents" --out "$folder/model" --minutes 30 --epochs 1000 --seed 1
grainlight amortize "$folder/model" --minutes 45 --seed 1

mkdir -p "$package"
for part in . outcomes density posterior; do
    mkdir -p "$package/$part"
    cp "$folder/model/$part/model.json" "$folder/model/$part/weights.npz" "$package/$part/"
done
cp "$folder/parents/dataset.json" "$package/dataset.json"
