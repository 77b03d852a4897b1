"""The version of a build, from git tags such as v0.2.0; hatchling reads `VERSION`.

A tagged commit has the tag's version. A later commit has that of the next patch as a development release, such as
0.2.1.dev3+g1a2b3c4. Without tags the version is a development release of `NEXT`, and without git it is `NEXT`. An sdist
has its version in PKG-INFO, which hatchling reads first.
"""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEXT = "0.1.0"


def git(*arguments: str) -> str:
    """The output; empty if git fails or is not installed."""
    try:
        done = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def version() -> str:
    if not (ROOT / ".git").exists():
        return NEXT
    described = git("describe", "--tags", "--long", "--match", "v[0-9]*")
    if match := re.fullmatch(r"v(\d+)\.(\d+)\.(\d+)((?:a|b|rc)\d+)?-(\d+)-(g[0-9a-f]+)", described):
        major, minor, patch, pre, distance, commit = match.groups()
        if distance == "0":
            return f"{major}.{minor}.{patch}{pre or ''}"
        return f"{major}.{minor}.{int(patch) + (not pre)}.dev{distance}+{commit}"
    count, commit = git("rev-list", "--count", "HEAD"), git("rev-parse", "--short", "HEAD")
    return f"{NEXT}.dev{count}+g{commit}" if count else NEXT


VERSION = version()
