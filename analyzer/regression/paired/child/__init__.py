"""The script that base and head run in their own Pythons. Only fork_server.py imports these files."""
