"""The script that base and head run in their own Pythons. Only pair_server.py imports these files."""
