"""Cost as an exact formula: `analyze scale` fits polynomials to exact counts at several sizes. Imports no torch."""
