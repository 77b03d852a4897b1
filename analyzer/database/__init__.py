"""The history database: results of sweeps and timed runs in SQLite or PostgreSQL, through SQLAlchemy. No torch."""
