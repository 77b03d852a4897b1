"""Alembic's revisions of the schema, one file each, named by a number that grows."""
