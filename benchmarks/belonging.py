"""How often what belongs is called unusual, and how often what does not is found.

    python benchmarks/belonging.py [--model ccsn-dust] [--objects 500]

Objects are drawn from the prior and the likelihood of the model, observed at random,
and fitted as rows of a catalogue, with other seeds than those that they are laid
beside. The same observations are then spoiled, relative errors and limits as they are:

- `one band off`: a detected band is a magnitude brighter;
- `PAH`: bands at 7-9 and 11-13 um are three times as bright;
- `power law`: fluxes fall with the frequency, and scatter by their errors;
- `two shells`: the fluxes of another object are added, as bright in the mean;
- `reversed`: the detected bands in reverse order.

Printed are the shares with a probability of belonging below 1 %, beside those with a
posterior predictive probability of chi-squared below 1 %: of all objects, of those with
eight detections or more, and of those whose weights bear their evidence (the others are
for the chains). Of the latter the p-values must be even if nothing was spoiled.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import jax.random as jr
import numpy as np
from scipy.stats import kstest

from grainlight.catalog import CatalogSettings, observe_at_random
from grainlight.catalog.worker import Worker
from grainlight.estimators.shell_model import ShellModel
from grainlight.photometry import jwst_filters
from grainlight.sampling.fit import POGSON, FitSettings
from grainlight.sampling.prior import PriorChoice

FLOOR = 0.05
MANY = 8
PAH = ((7.0, 9.0), (11.0, 13.0))  # um
STRENGTH = 3.0


def pivot(one):
    """Wavelengths of the bands of an object [um]."""
    return np.asarray(jwst_filters().subset(one.bands).pivot)


def changed(one, flux):
    """The object with other fluxes of its detected bands, in multiples of the old."""
    factor = np.where(one.detected, flux, 1.0)
    relative = np.where(one.detected, one.error / np.abs(one.flux), 1.0)
    new = np.where(one.detected, one.flux * factor, one.flux)
    error = np.where(one.detected, relative * np.abs(new), one.error)
    return replace(one, flux=new, error=np.maximum(error, 1e-3 * one.error))


def one_band_off(rng, one, others):
    """A detected band is a magnitude brighter."""
    factor = np.ones(len(one.bands))
    factor[rng.choice(np.flatnonzero(one.detected))] = 10**0.4
    return changed(one, factor)


def pah(rng, one, others):
    """Emission of large molecules, which the dust of the model does not have."""
    wave = pivot(one)
    inside = [(wave > low) & (wave < high) for low, high in PAH]
    return changed(one, np.where(np.any(inside, axis=0), STRENGTH, 1.0))


def power_law(rng, one, others):
    """A spectrum that falls with the frequency."""
    shape = pivot(one)
    level = np.median(np.abs(one.flux[one.detected]))
    wanted = level * shape / np.median(shape[one.detected])
    relative = one.error / np.abs(one.flux)
    wanted = wanted * (1 + np.minimum(relative, 0.3) * rng.normal(size=shape.size))
    return changed(one, wanted / one.flux)


def two_shells(rng, one, others):
    """The light of another object beside it; none without a band that both have."""
    other = others[rng.integers(len(others))]
    known = dict(zip(other.bands, other.flux, strict=True))
    detected = dict(zip(other.bands, other.detected, strict=True))
    added = np.array(
        [known[b] if detected.get(b) and known[b] > 0 else 0.0 for b in one.bands]
    )
    own = np.abs(one.flux)
    both = one.detected & (added > 0)
    if not both.any():
        return None
    scale = np.exp(np.mean(np.log(own[both]) - np.log(added[both])))
    return changed(one, 1 + scale * added / own)


def reverse(rng, one, others):
    """The detected bands in reverse order."""
    place = np.flatnonzero(one.detected)
    factor = np.ones(len(one.bands))
    factor[place] = one.flux[place[::-1]] / one.flux[place]
    return changed(one, factor)


SPOILED = {
    "one band off": one_band_off,
    "PAH": pah,
    "power law": power_law,
    "two shells": two_shells,
    "reversed": reverse,
}


def judge(key, worker, objects):
    """Probability of belonging, and of chi-squared, of every object."""
    rows = []
    for start in range(0, len(objects), worker.settings.rows):
        some = objects[start : start + worker.settings.rows]
        rows += worker.fit_rows(jr.fold_in(key, start), some)
    names = ("belonging", "belonging_fit", "belonging_density")
    found = {
        name: np.array([row.get(name) for row in rows], float)
        for name in (*names, "predictive_probability")
    }
    found["known"] = np.isfinite(found["belonging_density"])
    found["many"] = np.array([one.num_detected >= MANY for one in objects])
    return found


def describe(found):
    """Shares that are called unusual."""
    words = {"objects": int(found["many"].size), "many": int(found["many"].sum())}
    words["known"] = int(found["known"].sum())
    for name in ("belonging", "predictive_probability"):
        low = found[name] < 0.01
        words[name] = float(np.mean(low))
        for some in ("many", "known"):
            words[f"{name}_{some}"] = float(np.mean(low[found[some]]))
    return words


def main() -> None:
    """Measure, print and save."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--model", default="ccsn-dust")
    asked.add_argument("--objects", type=int, default=500)
    asked.add_argument("--seed", type=int, default=101)
    asked.add_argument("--out", type=Path, default=Path("results/belonging.json"))
    given = asked.parse_args()
    keys = jr.split(jr.key(given.seed), 3)
    model = ShellModel.load(given.model).under(clumpy=False)
    prior, floor_mag = model.posterior.prior, float(POGSON * FLOOR)
    objects = observe_at_random(keys[0], model, prior, given.objects, floor_mag)
    objects = [one for one in objects if one.num_detected]
    fit = FitSettings(prior=PriorChoice.read(prior), floor=FLOOR)
    worker = Worker(model, CatalogSettings(fit, rows=250), len(model.bands))
    found = judge(keys[1], worker, objects)
    result = {"belongs": describe(found)}
    for name in ("belonging_fit", "belonging_density"):
        values = found[name][found["known"]]
        result["belongs"][f"{name}_pvalue"] = float(kstest(values, "uniform").pvalue)
    print(json.dumps(result["belongs"]), flush=True)
    rng = np.random.default_rng(given.seed)
    for number, (name, spoil) in enumerate(SPOILED.items()):
        spoiled = [spoil(rng, one, objects) for one in objects]
        spoiled = [one for one in spoiled if one is not None]
        seen = judge(jr.fold_in(keys[2], number), worker, spoiled)
        result[name] = describe(seen)
        print(name, json.dumps(result[name]), flush=True)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
