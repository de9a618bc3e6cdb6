"""Tables of the whole spectrum for rays: what is absorbed, emitted, and escapes."""

import math

import numpy as np
from jaxtyping import Float

from grainlight.dust import Opacity
from grainlight.transfer import exchange
from grainlight.transfer.solution import LIGHT_SPEED_UM, planck_function

TABLE_COLUMNS, TABLE_TEMPERATURES = 400, 180
COLDEST, HOTTEST = 3.0, 6000.0  # [K]
THIN = 1e-3  # optical depth that the first step of the tables resolves


class GridTables:
    """Tables by column and temperature, for dust of one composition.

    Columns $X$ are `unit * (exp(step * place) - 1)` at the places 0, 1, ...

    Attributes:
        extinction: Extinction of the mixture [cm^2 g^-1].
        share: Share of it that each species absorbs, (species, wave).
        unit: Unit of the columns [g cm^-2].
        step: Step of their logarithm.
        stopped: Share of the light that is stopped on the way to a column, (column,
            wave).
        temperatures: Temperatures of the tables [K].
        log_emitted: Log of the power of a gram, (species, temperature).
        spectrum: Share of each wavelength in that power, (species, temperature, wave).
        exchange: Share of the light of a species at a temperature that another absorbs
            on the way to a column, (emitting, temperature, column, absorbing).
        scattered: Share of it that is scattered, (emitting, temperature, column, 1).
        passed: Share of it that is left there, (emitting, temperature, column, 1).
    """

    def __init__(
        self, opacity: Opacity, weight: Float[np.ndarray, " wave"], farthest: float
    ) -> None:
        """Make the tables.

        Args:
            opacity: Opacities of the dust.
            weight: Quadrature weights of integrals over frequency.
            farthest: Largest column that rays may have [g cm^-2].
        """
        self.extinction = opacity.extinction
        absorption = opacity.mass_fraction[:, None] * opacity.absorption
        self.share = absorption / self.extinction
        self.unit = float(THIN / self.extinction.max())
        self.step = math.log1p(farthest / self.unit) / (TABLE_COLUMNS - 1)
        columns = self.columns(np.arange(float(TABLE_COLUMNS)))
        self.stopped = -np.expm1(-np.outer(columns, self.extinction))
        self.temperatures = np.geomspace(COLDEST, HOTTEST, TABLE_TEMPERATURES)
        frequency = LIGHT_SPEED_UM / opacity.wave
        planck = planck_function(frequency, self.temperatures[:, None])
        emitted = 4 * math.pi * opacity.absorption[:, None] * planck * weight
        total = emitted.sum(axis=2)
        self.log_emitted = np.log(total)
        self.spectrum = emitted / total[:, :, None]
        self.exchange = np.einsum(
            "stw,aw,cw->stca", self.spectrum, self.share, self.stopped, optimize=True
        )
        lost = self.stopped * opacity.albedo
        self.scattered = (self.spectrum @ lost.T)[..., None]
        self.passed = (self.spectrum @ (1 - self.stopped).T)[..., None]

    def places(self, columns: Float[np.ndarray, " ray"]) -> Float[np.ndarray, " ray"]:
        """Places of columns [g cm^-2] in the tables."""
        return np.log1p(columns / self.unit) / self.step

    def columns(self, places: Float[np.ndarray, " ray"]) -> Float[np.ndarray, " ray"]:
        """Columns at places of the tables [g cm^-2]."""
        return self.unit * np.expm1(self.step * places)

    def warmth(
        self, power: Float[np.ndarray, "species cell"]
    ) -> Float[np.ndarray, "species cell"]:
        """Places in the tables of the temperatures at which a gram has this power."""
        places = np.arange(TABLE_TEMPERATURES)
        return np.array(
            [
                np.interp(row, known, places)
                for row, known in zip(np.log(power), self.log_emitted, strict=True)
            ]
        )

    def temperature(
        self, warmth: Float[np.ndarray, "species cell"]
    ) -> Float[np.ndarray, "species cell"]:
        """Temperatures at places of the tables [K]."""
        places = np.arange(TABLE_TEMPERATURES)
        return np.exp(np.interp(warmth, places, np.log(self.temperatures)))

    def emission(
        self,
        power: Float[np.ndarray, "species cell"],
        warmth: Float[np.ndarray, "species cell"],
    ) -> Float[np.ndarray, "wave cell"]:
        """Power that cells emit at each wavelength."""
        return exchange.emitted(power, warmth, self.spectrum)

    def mean_escape(
        self, columns: Float[np.ndarray, " ray"]
    ) -> Float[np.ndarray, " wave"]:
        """Mean share of the light that passes columns."""
        low, part = self._places(columns)
        count = np.bincount(low, 1 - part, TABLE_COLUMNS)
        count += np.bincount(low + 1, part, TABLE_COLUMNS)
        return count @ (1 - self.stopped) / len(columns)

    def escape(
        self,
        power: Float[np.ndarray, "species cell"],
        warmth: Float[np.ndarray, "species cell"],
        columns: Float[np.ndarray, " ray"],
        weights: Float[np.ndarray, " ray"],
    ) -> Float[np.ndarray, " wave"]:
        """Emission of cells that passes the columns of their rays.

        Args:
            power: Power of the cells.
            warmth: Places of their temperatures.
            columns: Columns of all rays, those of a cell in turn [g cm^-2].
            weights: Share of the light of its cell that each ray stands for.
        """
        light = np.zeros(len(self.extinction))
        low, part = self._places(columns)
        per_cell = len(columns) // power.shape[1]
        for s, spectrum in enumerate(self.spectrum):
            each = np.repeat(power[s], per_cell) * weights
            place = np.repeat(warmth[s], per_cell)
            cool = np.minimum(place.astype(int), TABLE_TEMPERATURES - 2)
            mix = place - cool
            count = np.zeros(TABLE_TEMPERATURES * TABLE_COLUMNS)
            for i, by_warmth in ((0, 1 - mix), (1, mix)):
                for j, by_column in ((0, 1 - part), (1, part)):
                    number = (cool + i) * TABLE_COLUMNS + low + j
                    amount = each * by_warmth * by_column
                    count += np.bincount(number, amount, len(count))
            count = count.reshape(TABLE_TEMPERATURES, TABLE_COLUMNS)
            light += np.sum(count @ (1 - self.stopped) * spectrum, axis=0)
        return light

    def _places(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places of columns, as whole numbers and the rest."""
        place = self.places(columns)
        low = np.minimum(place.astype(int), TABLE_COLUMNS - 2)
        return low, place - low
