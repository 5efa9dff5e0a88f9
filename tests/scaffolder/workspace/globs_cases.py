"""Patterns to ask globby about: those that templates have, and generated ones. See globs_record.cjs."""

from __future__ import annotations

import json
import random
import re
import sys

TREES: dict[str, dict[str, str]] = {
    "repository": dict.fromkeys(
        """src/main.js src/a/b.test.js src/a/b.js src/a/c/d.ts README.md .github/workflows/ci.yml .github/CODEOWNERS .gitignore
        docs/img/logo.png docs/index.md package.json lib/x.ts lib/x.d.ts lib/y.js.map a(1).txt a[1].txt a1.txt empty/
        .hidden/deep/file x.tar.gz UPPER.TXT lib/{a}.txt src/${{values.name}}.java src/{{cookiecutter.x}}/f.py a+b.txt""".split(),  # noqa: SIM905
        "",
    )
    | {"dir with space/f g.txt": "", "link.md": "README.md", "linked": "docs", "broken": "nowhere"},
    "letters": dict.fromkeys(
        "a b ab/a ab/b ab/.a ab/abc/a ab/abc/b.a ba/a.b ba/ab/a .a/a .a/.b/a b.a aab a-b".split(),  # noqa: SIM905
        "",
    ),
    "links": dict.fromkeys("a/x a/s/y d/z".split(), "")  # noqa: SIM905
    | {"b": "a", "c": "b", "d/l": "../a", "e": "d", "dead": "nowhere", "self": "self", "a/file": "x"},
    "circle": {"f": "", "sub/g": "", "back": ".", "sub/up": ".."},
    "loop": {"f": "", "sub/g": "", "back": "."},
}

KNOWN = """* ** **/* *.md **/*.md src src/ ./src src/* src/** src/**/* src/*/ */ **/ .github .github/** .github/workflows/*
.github/workflows/*.yml **/*.{js,ts} *.{md,json} **/*.png lib/!(*.d).ts lib/*.!(ts) !(src)/** @(src|lib)/** +(a|b|1)*.txt
?(a)* **/*(a|b).js a?.txt a[1].txt a[0-9].txt a[!0-9]* a(1).txt [A-Z]*.TXT .* .*/** **/.* **/a/** src/**/b.js **/c/d.ts
x.*.gz *.tar.* docs/../src/* nothing nothing/** {src,lib}/*.js {src,docs}/** {a,b} lib/{a}.txt lib/\\{a\\}.txt a\\(1\\).txt
src/a/*/d.ts ./** . ./. README.md ./README.md link.md linked linked/* linked/** broken empty empty/** dir?with*/**
src/${{values.name}}.java src/{{cookiecutter.x}}/** **/{{cookiecutter.x}}/* a+b.txt **/*.map **/**/*.js s**c/*
[[:upper:]]* **/[[:lower:]].* [ab]* [^a]* {README,LICENSE}{,.md} file{1..3}.txt a{1..2}.txt **/*.test.* !README.md""".split()  # noqa: SIM905

LINKED = {
    "links": "** **/x **/y * */* */*/* */*/*/* b/** c/* c/s/y d/** e/** e/* e/l/x e/*/x {b,c,e}/** {b,e}/*/* d* a/file a",
    "circle": "* */* */*/g f sub/up/f back/f sub/up/back/* sub/*/sub/g",
    "loop": "** **/f */f */*/f back/** back/back/f back/sub/* */*/* {back,sub}/*",
}
"""Through links, also those that lead in a circle; in `circle` globby does not come to an end of `**`."""

ODD = re.compile(r"^/|^!|\*{3}|[^/]\*\*|\*\*[^/]|\.\./|//|[)\]]\+|/\./|!\([^)]*\)\?")
"""Absolute ones, and those that picomatch reads as nobody would: `**` beside something else, such as `+(a)**`."""

LISTS = [
    ["**/*", "!**/*.js"],
    ["!**/*.js", "**/*"],
    ["src/**", "!src/a/**"],
    ["src/**", "!src/a"],
    ["src/**", "!src/a", "src/a/b.js"],
    ["**", "!.github"],
    ["./**", "!.git"],
    ["**/*", "!{src,docs}/**"],
    ["src", "docs"],
    ["dir with space/**", "*.md"],
    ["dir with space/f g.txt"],
    [],
    ["!src"],
]


def generated(random_: random.Random, depth: int = 0) -> str:
    simple = ["a", "b", "ab", "*", "?", "/", "/", ".", "**/", "/**", "[ab]", "[!a]", "a*", "*b", "-"]
    grouped = ["@(a|b)", "?(a)", "*(a|b)", "+(ab|b)", "{a,b}", "{a,b*}", "{ab,a/b}", "!(a)", "(a|b)"]
    return "".join(random_.choice(grouped if random_.random() < 0.2 else simple) for _ in range(random_.randint(1, 6)))


def main() -> None:
    random_ = random.Random(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1500
    cases = [{"tree": "repository", "patterns": one} for one in [*([known] for known in KNOWN), *LISTS]]
    linked = [{"tree": tree, "patterns": [one]} for tree, ones in LINKED.items() for one in ones.split()]
    while len(cases) < count:
        pattern = generated(random_)
        if not ODD.search(pattern):
            cases.append({"tree": "letters", "patterns": [pattern]})
    json.dump({"trees": TREES, "cases": cases + linked}, sys.stdout)


if __name__ == "__main__":
    main()
