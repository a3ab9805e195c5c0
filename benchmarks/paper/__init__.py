"""The paper's data sets, from snapshots to tracked columns: :mod:`benchmarks.paper_scale` runs them."""
