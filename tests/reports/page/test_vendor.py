"""Scripts of other projects are unchanged, and the page contains their license."""

import base64
import hashlib
import re
import zlib

from analyzer.counting.api import count
from reports.page.build import page
from reports.page.write import HERE, html

VENDOR = HERE / "vendor"


def test_every_script_has_the_hash_of_its_readme_and_a_license():
    hashes = dict(re.findall(r"`([\w.]+\.js)`.*`([0-9a-f]{64})`", (VENDOR / "README.md").read_text(encoding="utf-8")))
    assert hashes.keys() == {file.name for file in VENDOR.glob("*.js")}
    for name, digest in hashes.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest
        assert (VENDOR / name.replace(".min.js", ".LICENSE.txt")).is_file()


def test_the_page_contains_the_license_of_the_script_that_it_embeds():
    packed = re.search(r'id="dagre">([^<]+)<', html(page([count("nin")]), "none"))
    assert packed
    script = zlib.decompress(base64.b64decode(packed[1])).decode()
    assert "Copyright (c) 2012-2014 Chris Pettitt" in script.partition("*/")[0]
    assert "sourceMappingURL" not in script
