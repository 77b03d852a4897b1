"""Worker processes, in which the code of models runs: what it prints, changes or ends is that of its own process.

`client` asks a worker that is forked from a server; `fresh_interpreter` runs one request in a fresh interpreter.
Neither imports torch. `fork_server`, `run_task` and `channel` run in the workers. Requests and replies are lines of
JSON.
"""
