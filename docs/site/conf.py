"""The configuration of the documentation site, for `sphinx-build -W -c docs/site . OUT`.

The source folder is the repository, so that links between Markdown files are the same on the site and on the host of
a repository. Nothing is loaded from a network, neither by the build nor by the pages.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # the extension `generated_pages`

from fdabench import __version__

project = "fdabench"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "generated_pages"]
root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "examples/README.md",
    "benchmarks/README.md",
    "fdabench/published/README.md",
    "reports/*/*.md",
    "suites/study/README.md",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
]
exclude_patterns = ["docs/_build", "results", "build", "dist"]

html_theme = "furo"
html_title = "fdabench"
html_additional_pages = {"index": "redirect.html"}  # the first page is docs/index.html
html_extra_path = ["../llms.txt"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_static_path = ["static"]
html_css_files = ["tables.css"]
templates_path = ["templates"]
html_theme_options = {"top_of_page_buttons": []}

# anchors of headings as the hosts of repositories make them
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
suppress_warnings = ["myst.header"]  # CHANGELOG and summaries begin some sections at a lower level

default_role = "code"
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
