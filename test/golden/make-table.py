"""Writes table.parquet and table-nested.parquet with the reference implementation of the format: pip install pyarrow."""

import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

here = Path(__file__).parent
plain = pa.table(
    {
        "width": pa.array([1.5, -2.25, 3e38, 0.0], pa.float64()),
        "count": pa.array([1, 2, 2**40, -7], pa.int64()),
        "small": pa.array([1, 2, 3, 4], pa.int8()),
        "flag": pa.array([True, False, True, True]),
        "half": pa.array([0.5, None, 2.5, None], pa.float32()),
        "species": pa.array(["b", "a", "ü", "a"]),
        "day": pa.array([datetime.date(1970, 1, 2)] * 4),
    }
)
pq.write_table(plain, here / "table.parquet", compression="snappy", row_group_size=3)
pq.write_table(pa.table({"list": [[1, 2], [3]], "x": [1, 2]}), here / "table-nested.parquet", compression="none")
