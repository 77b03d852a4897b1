"""What the results of sweeps say: fronts, scaling, machines, grids, best configurations, failures. Pure functions."""
