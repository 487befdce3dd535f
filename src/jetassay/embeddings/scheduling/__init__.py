"""Units of work on a Dask cluster: who computes them, what a worker does, and what the driver makes of it."""
