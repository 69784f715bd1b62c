"""A page for each code of the catalogue, made from its probe while the site is built."""

from mkdocs.structure.files import File

from segdoctor.core.catalogue import CATALOGUE, FAMILIES
from segdoctor.pages import markdown_of


def on_files(files, config):
    """Add the pages of the codes, and their list."""
    pages = {"codes/index.md": listed()}
    pages |= {f"codes/{code}.md": markdown_of(code) for code in CATALOGUE}
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def listed():
    """The list of the codes by family, each with its severity and a link to its page."""
    lines = ["# Codes", "", "A code, once released, keeps its meaning."]
    for family, title in FAMILIES.items():
        lines += [
            "",
            f"## {family} · {title}",
            "",
            "| code | severity | cause |",
            "| --- | --- | --- |",
        ]
        lines += [
            f"| [{e.code}]({e.code}.md) `{e.slug}` | {e.severity} | {e.cause.replace('|', '/')} |"
            for e in CATALOGUE.values()
            if e.family == family
        ]
    return "\n".join(lines) + "\n"
