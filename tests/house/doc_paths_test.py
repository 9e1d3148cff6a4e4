"""The paths that the pages name are in the tree: all of docs/design.md, CONTRIBUTING.md and README.md's map, and
every page's links. GRKAN_SOURCE is the folder of the source."""
import os
import pathlib
import re
import sys

SOURCE = pathlib.Path(os.environ["GRKAN_SOURCE"])
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "bench/*.md", "integrations/*/*.md"]
# Made by building, not kept.
MADE = ("build",)


def expand(path):
    """core/schedule.{h,cpp}: a path for each word."""
    braces = re.fullmatch(r"(.*)\{(.*)\}(.*)", path)
    return [braces[1] + word + braces[3] for word in braces[2].split(",")] if braces else [path]


def named_paths(text):
    """Words with a slash, but no addresses and no options."""
    for word in re.findall(r"(?<![\w/:.$-])[A-Za-z_.][\w.-]*/[\w.{},/*-]*", re.sub(r"https?://\S+", "", text)):
        yield from expand(word.rstrip(".,"))


def main():
    readme = (SOURCE / "README.md").read_text()
    texts = {"docs/design.md": (SOURCE / "docs/design.md").read_text(),
             "CONTRIBUTING.md": (SOURCE / "CONTRIBUTING.md").read_text(),
             "README.md": readme[readme.index("## Map"):readme.index("## What each dependency")]}
    missing = []
    count = 0
    for page, text in texts.items():
        for path in named_paths(text):
            count += 1
            if not path.startswith(MADE) and not list(SOURCE.glob(path.rstrip("/"))):
                missing.append(f"{page} names {path}, which is not in the tree")
    for page in (found for pattern in PAGES for found in sorted(SOURCE.glob(pattern))):
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if "://" in link:
                continue
            count += 1
            if not (page.parent / link).exists():
                missing.append(f"{page.relative_to(SOURCE)} links to {link}, which is not in the tree")
    print("\n".join(missing) if missing else f"{count} paths are there")
    sys.exit(1 if missing or count == 0 else 0)


main()
