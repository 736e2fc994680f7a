#!/usr/bin/env python3
"""Requests with names where identifiers were, for `make train`: names.py FROM TO [SEED].

FROM has uniform/*.jsonl and stream/*.jsonl. In some collections of each API every identifier becomes a
name, always the same one: a user's, a slug, a word, or what people call services.
"""

import glob
import json
import os
import random
import re
import sys
import zlib

from faker import Faker
from wonderwords import RandomWord

# Collections of a hundred whose identifiers become names.
SHARE = 45


def pools(seed):
    """Lists of names, each of one kind."""
    pick = random.Random(seed)
    fake = Faker(["en_US", "de_DE", "fr_FR", "es_ES", "it_IT", "pt_BR", "nl_NL"])
    Faker.seed(seed)
    source = RandomWord(rng=pick)
    words = source.filter(include_categories=["noun", "adjective"], regex="[a-z]{3,}")
    words = pick.sample(sorted(set(words)), 1500)
    slug = lambda *lengths: "-".join(pick.sample(words, pick.choice(lengths)))
    ascii_of = lambda names: sorted({name for name in names if name.isascii() and name.isalnum()})
    return [
        ascii_of(fake.user_name() for _ in range(600)),
        [slug(2, 2, 3, 4) for _ in range(600)],
        [slug(1, 2, 2, 3) for _ in range(500)],
        [name.lower() for name in ascii_of(fake.last_name() for _ in range(500))],
        ascii_of(fake.first_name() for _ in range(300)),
        [f"{slug(1)}-{pick.choice(['api', 'worker', 'service', 'db', 'web', 'prod', 'dev'])}" for _ in range(200)],
        words,
    ]


def renamed(api, template, path, names, seed):
    """The path with the names of its collections."""
    parts, values = template.split("/"), path.split("/")
    if len(parts) != len(values):
        return path
    for at, (part, value) in enumerate(zip(parts, values)):
        if not re.fullmatch(r"\{[^}]*\}", part) or not re.search(r"\d", value):
            continue
        collection = f"{seed}{api}{parts[at - 1]}"
        number = zlib.crc32(collection.encode())
        if number % 100 < SHARE:
            pool = names[number // 100 % len(names)]
            values[at] = pool[zlib.crc32(f"{value}{collection}".encode()) % len(pool)]
    return "/".join(values)


def main():
    source, target = sys.argv[1:3]
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    names = pools(seed)
    for file in sorted(glob.glob(f"{source}/*/*.jsonl")):
        to = os.path.join(target, os.path.relpath(file, source))
        os.makedirs(os.path.dirname(to), exist_ok=True)
        with open(file) as lines, open(to, "w") as out:
            for line in lines:
                request = json.loads(line)
                if request["template"]:
                    path, mark, query = request["path"].partition("?")
                    path = renamed(os.path.basename(file), request["template"], path, names, seed)
                    request["path"] = path + mark + query
                out.write(json.dumps(request, ensure_ascii=False, separators=(",", ":")) + "\n")


main()
