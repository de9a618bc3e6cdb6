#!/usr/bin/env bash
# Make the packaged model `ccsn-dust` again: simulate its parents, train, put it in place.
# Usage: scripts/make_ccsn_dust.sh FOLDER   (on two cores some 10 minutes for smooth
# shells and an hour of training; both go on where they were interrupted. Shells with
# clumps take two to three hours of one core and are there already, in `data/clumps`)
set -euo pipefail
folder=${1:?name a folder for the parents and the model}
root=$(cd "$(dirname "$0")/.." && pwd)
package=$root/src/grainlight/estimators/models/ccsn-dust

grainlight simulate --num-parents 120000 --seed 2023 \
    --prior thesis2023=0.75 --prior ansari2022=0.25 --out "$folder/parents"
[ -d "$folder/clumps" ] || cp -r "$root/data/clumps" "$folder/clumps"
grainlight simulate --num-parents 3000 --seed 2024 --prior thesis2023 \
    --largest-filling 0.5 --mirrored --out "$folder/clumps"
grainlight train "$folder/parents" --out "$folder/smooth" \
    --minutes 30 --epochs 1000 --seed 1
grainlight train "$folder/clumps" --smooth "$folder/smooth" --out "$folder/model" \
    --seed 1

grainlight amortize "$folder/model" --minutes 45 --seed 1
grainlight amortize "$folder/model" --onward --draws 500000 --minutes 62 --seed 11
grainlight calibrate "$folder/model" --objects 6000 --seed 1

for part in . outcomes density posterior clumps clumps/outcomes clumps/density; do
    mkdir -p "$package/$part"
    cp "$folder/model/$part/model.json" "$folder/model/$part/weights.npz" "$package/$part/"
done
cp "$folder/parents/dataset.json" "$package/dataset.json"
cp "$folder/clumps/dataset.json" "$package/clumps/dataset.json"
cp "$folder/model/belonging.npz" "$package/belonging.npz"
