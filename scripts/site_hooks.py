"""Hooks of MkDocs: pages that are made from the code, and links to files beside docs/.

A link to a file of the checkout, such as ../examples/digits.py, becomes a page with that file.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]  # this checkout, whatever is installed

import command_line  # noqa: E402
import reference  # noqa: E402
from reference_groups import PAGES  # noqa: E402

_LINK = re.compile(r"(\]\()([^)#:\s]+)(#[^)\s]*)?(\))")
_LANGUAGES = {".py": "python", ".sh": "sh", ".sbatch": "sh", ".cpp": "cpp", ".yaml": "yaml"}


def on_config(config: Any) -> Any:
    """Add the reference's pages to the navigation."""
    sections = {title: pages for entry in config["nav"] for title, pages in entry.items()}
    sections["Reference"].append({"API": [f"reference/{page.name}.md" for page in PAGES]})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages made from the code, and those of files that pages link to."""
    linked = sorted(_find_linked(files))
    for page in PAGES:
        _add(files, config, f"reference/{page.name}.md", reference.make_page(page))
    _add(files, config, "command_line.md", command_line.make_page())
    for path in linked:
        _add(files, config, f"files/{path}.md", _show(ROOT / path))
    return files


def _add(files: Files, config: Any, path: str, text: str) -> None:
    file = File.generated(config, path, content=text)
    if path.startswith("files/"):
        file.inclusion = InclusionLevel.NOT_IN_NAV
    files.append(file)


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Point links that leave docs/ to the pages that show those files."""
    folder = posixpath.dirname(page.file.src_uri)

    def change(match: re.Match[str]) -> str:
        path = _find_outside(folder, match[2])
        if path is None:
            return match[0]
        target = posixpath.relpath(f"files/{path}.md", folder or ".")
        return f"{match[1]}{target}{match[3] or ''}{match[4]}"

    return _LINK.sub(change, markdown)


def _find_outside(folder: str, target: str) -> str | None:
    """The path from the checkout's root of a link's target that is not in docs/."""
    path = posixpath.normpath(posixpath.join("docs", folder, target))
    return None if path.startswith("docs/") or not (ROOT / path).is_file() else path


def _find_linked(files: Files) -> set[str]:
    """The files outside docs/ that the pages link to."""
    found = set()
    for file in files.documentation_pages():
        folder = posixpath.dirname(file.src_uri)
        targets = [match[2] for match in _LINK.finditer(file.content_string)]
        found |= {path for target in targets if (path := _find_outside(folder, target))}
    return found


def _show(path: Path) -> str:
    """A page with a file: its text, or of Markdown the page itself, with its links as text."""
    text = path.read_text()
    if path.suffix == ".md":
        return re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", text)
    language = _LANGUAGES.get(path.suffix, "text")
    return f"# {path.relative_to(ROOT)}\n\n````{language}\n{text}````\n"
