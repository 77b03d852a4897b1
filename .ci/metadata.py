"""Project metadata that depends on where the repository is: its addresses, and absolute links in the README.

The address is in the environment variable REPOSITORY_URL, which the release workflow sets. Without it there are no
addresses, and links of the README stay relative to the repository.
"""

import os
import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\]\((?!https?:|#)([^)\s]+)\)")


def absolute(text: str, address: str) -> str:
    """The text with links to files of the repository as addresses."""
    return LINK.sub(rf"]({address}/blob/HEAD/\1)", text)


def urls(address: str) -> dict[str, str]:
    return {
        "Repository": address,
        "Issues": f"{address}/issues",
        "Changelog": f"{address}/blob/HEAD/CHANGELOG.md",
    }


class MetadataHook(MetadataHookInterface):
    def update(self, metadata: dict) -> None:
        address = os.environ.get("REPOSITORY_URL", "").rstrip("/")
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": absolute(text, address) if address else text}
        metadata["urls"] = urls(address) if address else {}
