#!/usr/bin/env bash
# Make the packaged model `ccsn-dust` again: simulate its parents, train, put it in place.
# Usage: scripts/make_ccsn_dust.sh FOLDER   (on two cores, 10 minutes for the smooth
# shells, CLUMPY for those with clumps and 40 minutes of training; all of it goes on
# where it was interrupted)
set -euo pipefail
folder=${1:?name a folder for the parents and the model}
package=$(cd "$(dirname "$0")/.." && pwd)/src/grainlight/estimators/models/ccsn-dust

grainlight simulate --num-parents 120000 --seed 2023 \
    --prior thesis2023=0.75 --prior ansari2022=0.25 --out "$folder/parents"
grainlight simulate --num-parents CLUMPY --seed 2024 --prior thesis2023 \
    --largest-filling 0.5 --mirrored --out "$folder/clumps"
grainlight train "$folder/parents" "$folder/clumps" --variants 20 --variants 200 \
    --out "$folder/model" --minutes 35 --epochs 1000 --seed 1

mkdir -p "$package"
for part in . outcomes density density-clumpy; do
    mkdir -p "$package/$part"
    cp "$folder/model/$part/model.json" "$folder/model/$part/weights.npz" "$package/$part/"
done
cp "$folder/parents/dataset.json" "$package/dataset.json"
cp "$folder/clumps/dataset.json" "$package/dataset-clumpy.json"
