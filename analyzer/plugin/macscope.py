"""The command `analyze` and `python -m macscope`.

A user's `analyzer` or `reports` may come before macscope's packages on the import path, because of `PYTHONPATH` or the
current folder. So this module has a separate name, as `macscope_pytest` has, and loads both packages from their folder.
"""

import sys
from _signal import SIG_IGN, SIGINT, signal  # type: ignore[import-not-found]  # Built in: no import to interrupt.


def _folder() -> str:
    """The folder of the packages: that of this file, or a folder of the path if they are installed as editable."""
    from pathlib import Path

    for folder in (str(Path(__file__).parent), *sys.path):
        if Path(folder, "analyzer", "cli", "app.py").is_file():
            return folder
    sys.exit("analyze: macscope's packages are missing; install macscope again")


def _load(name: str, folder: str) -> None:
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    spec = PathFinder.find_spec(name, [folder])
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])


def main() -> int:
    try:
        folder = _folder()
        for name in ("analyzer", "reports"):
            _load(name, folder)
        from analyzer.cli import main

        return main()
    except KeyboardInterrupt:  # While Python imports, or after the first one.
        return 130
    finally:
        signal(SIGINT, SIG_IGN)  # A Ctrl-C while Python ends would show a traceback.


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # The current folder.
    sys.exit(main())
