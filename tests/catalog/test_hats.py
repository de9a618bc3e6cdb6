"""HATS catalogues, made by hand as the layout says, and read by its own library."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grainlight.catalog import CatalogSettings, open_source, run_catalog
from grainlight.catalog.source import names_of
from grainlight.core import FileFormatError

FEW = CatalogSettings(num_draws=800, rows=4)
PROPERTIES = """#HATS catalog
obs_collection = tiny
dataproduct_type = object
hats_nrows = 23
hats_col_ra = ra
hats_col_dec = dec
hats_col_healpix = _healpix_29
hats_col_healpix_order = 29
hats_npix_suffix = {suffix}
hats_version = v0.1
"""
#: Order, pixel, first and last row of the tiles, along the curve of the pixels.
TILES = ((1, 3, 0, 7), (0, 1, 7, 12), (2, 40, 12, 20), (1, 11, 20, 23))
#: Middle of each tile [deg].
PLACES = ((45.0, 66.4), (135.0, 41.8), (225.0, 4.8), (225.0, 66.4))


def hats_table(columns):
    """The objects, with a name, a pixel and a position, and a light curve beside."""
    number = len(columns["object"])
    pixel, ra, dec = np.zeros(number, np.int64), np.zeros(number), np.zeros(number)
    for (order, tile, low, high), place in zip(TILES, PLACES, strict=True):
        inside = (tile << 2 * (29 - order)) + np.arange(high - low)
        pixel[low:high], (ra[low:high], dec[low:high]) = inside, place
    names = np.arange(number) + 2**60
    curves = [[{"mjd": 1.0}]] * number
    added = {"_healpix_29": pixel, "objectId": names, "ra": ra, "dec": dec}
    rest = {name: column for name, column in columns.items() if name != "object"}
    return pa.table({**added, **rest, "curve": curves})


def write_tiles(folder, table, *, in_folders=False):
    """Write a catalogue tile by tile."""
    shutil.rmtree(folder, ignore_errors=True)
    lines = ["Norder,Npix"]
    for order, tile, low, high in TILES:
        place = folder / "dataset" / f"Norder={order}" / "Dir=0" / f"Npix={tile}"
        place.parent.mkdir(parents=True, exist_ok=True)
        rows = table.slice(low, high - low)
        lines.append(f"{order},{tile}")
        if in_folders:
            place.mkdir()
            pq.write_table(rows.slice(0, 2), place / "part0.parquet")
            pq.write_table(rows.slice(2), place / "part1.parquet")
        else:
            pq.write_table(rows, place.with_name(place.name + ".parquet"))
    pq.write_metadata(table.schema, folder / "dataset" / "_common_metadata")
    suffix = "/" if in_folders else ".parquet"
    (folder / "hats.properties").write_text(PROPERTIES.format(suffix=suffix))
    (folder / "partition_info.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def table(columns_of):
    return hats_table(columns_of(23))


@pytest.fixture
def folder(tmp_path, table):
    return write_tiles(tmp_path / "tiny", table)


@pytest.mark.parametrize("in_folders", [False, True])
def test_rows_come_tile_after_tile_along_the_sky(tmp_path, table, in_folders):
    source = open_source(write_tiles(tmp_path / "a", table, in_folders=in_folders))
    assert source.num_rows == 23
    assert "curve" not in source.columns  # of many values a row
    for low, high in ((0, 23), (5, 14), (11, 13), (22, 23)):
        piece = source.read(low, high)
        assert names_of(piece, low) == [str(2**60 + i) for i in range(low, high)]
        kept = source.kept(low, high)
        names = ["objectId", "_healpix_29", "ra", "dec"]
        assert kept == table.select(names).slice(low, high - low)


def test_results_keep_name_pixel_and_position(
    amortized_model, folder, table, quick_fits, tmp_path, files_of
):
    out = tmp_path / "out"
    source = open_source(folder)
    run = run_catalog(1, amortized_model, source, out, FEW)
    assert run.status == {"ok": 19, "unusable": 4}
    found = pa.concat_tables([pq.read_table(p) for p in sorted(out.glob("shard*"))])
    for name in ("objectId", "_healpix_29", "ra", "dec"):
        assert found[name].to_pylist() == table[name].to_pylist()
    assert found["object"].to_pylist() == [str(2**60 + i) for i in range(23)]
    (out / "shard-00002.parquet").unlink()
    before = files_of(out)
    run_catalog(1, amortized_model, open_source(folder), out, FEW, workers=3)
    assert len(files_of(out)) == 6
    assert before.items() <= files_of(out).items()


def test_a_collection_leads_to_its_catalogue(tmp_path, table):
    write_tiles(tmp_path / "all" / "objects", table)
    words = "obs_collection=all\nhats_primary_table_url=objects\n"
    (tmp_path / "all" / "collection.properties").write_text(words)
    assert open_source(tmp_path / "all").num_rows == 23
    other = words.replace("objects", "https\\://somewhere/objects")
    (tmp_path / "all" / "collection.properties").write_text(other)
    with pytest.raises(FileFormatError, match="folder of the catalogue itself"):
        open_source(tmp_path / "all")


def test_a_catalogue_that_is_not_whole_is_refused(folder, table):
    tile = folder / "dataset" / "Norder=2" / "Dir=0" / "Npix=40.parquet"
    whole = tile.read_bytes()
    tile.unlink()
    with pytest.raises(FileFormatError, match="1 that partition_info.csv lists"):
        open_source(folder)
    tile.write_bytes(whole[:100])
    with pytest.raises(FileFormatError, match="Write it again"):
        open_source(folder)
    pq.write_table(table.slice(12, 5), tile)
    with pytest.raises(FileFormatError, match="Expected 23 rows"):
        open_source(folder)
    pq.write_table(table.slice(12, 8).drop_columns(["F560W_ujy"]), tile)
    source = open_source(folder)
    with pytest.raises(FileFormatError, match="without F560W_ujy"):
        source.read(10, 14)
    tile.write_bytes(whole)
    words = (folder / "hats.properties").read_text()
    (folder / "hats.properties").write_text(words.replace("= object", "= margin"))
    with pytest.raises(FileFormatError, match="of kind 'margin'"):
        open_source(folder)
    (folder / "hats.properties").write_text(words)
    (folder / "partition_info.csv").write_text("Norder,Npix\n1,x\n")
    with pytest.raises(FileFormatError, match="Norder and Npix of numbers"):
        open_source(folder)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("in_folders", [False, True])
def test_lsdb_reads_the_same_rows_in_the_same_order(tmp_path, table, in_folders):
    lsdb = pytest.importorskip("lsdb")
    folder = write_tiles(tmp_path / "tiny", table, in_folders=in_folders)
    source = open_source(folder)
    names = ["objectId", "ra", "dec"]
    theirs = lsdb.open_catalog(folder, columns=names).compute()
    ours = source.kept(0, 23)
    for name in names:
        assert theirs[name].tolist() == ours[name].to_pylist()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_what_lsdb_writes_is_fitted_and_what_is_fitted_is_read_by_it(
    amortized_model, quick_fits, table, tmp_path
):
    lsdb = pytest.importorskip("lsdb")
    frame = table.drop_columns(["curve", "_healpix_29"]).to_pandas()
    written = lsdb.from_dataframe(frame, ra_column="ra", dec_column="dec")
    written.write_catalog(tmp_path / "theirs", catalog_name="theirs")
    source = open_source(tmp_path / "theirs")
    assert source.num_rows == 23
    out = tmp_path / "out"
    run_catalog(1, amortized_model, source, out, FEW, workers=2)
    shards = sorted(out.glob("shard*"))
    results = pa.concat_tables([pq.read_table(p) for p in shards]).to_pandas()
    again = lsdb.from_dataframe(results, ra_column="ra", dec_column="dec").compute()
    assert sorted(again["objectId"]) == sorted(frame["objectId"])
