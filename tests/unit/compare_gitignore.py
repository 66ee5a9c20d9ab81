#!/usr/bin/env python3
"""Compares pattern.c with git: random trees, random .gitignore files, every path of them.

What is compared is the number of the line that decides, which is stricter than the verdict. git is
asked with "git check-ignore" once for many trees, each in a folder of its own with its .gitignore;
pattern.c through the program pattern_oracle. Besides the random rounds, one fixed round compares
each bracket class on each byte.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile

ROUNDS_PER_REPOSITORY = 100
CLASSES = "alnum alpha blank cntrl digit graph lower print punct space upper xdigit".split()

NAMES = ["a", "b", "ab", "ba", "aa", "abc", "a.b", "a-b", ".a", "A", "foo", "foo.py", "a b", "a ",
         " ", "b]", "[a]", "a[b", "*", "**", "a*", "?", "\\", "a\\b", "!a", "#a", "-", "^", "1",
         "a1", "é", "build", "x.tar.gz"]
# Weighted by repetition: what people write often, then what breaks matchers.
PIECES = ["a", "b", "ab", "a", "b", "foo", "foo.py", ".py", "build", "1", "A", ".", "-", " ", "é",
          "*", "*", "*", "*", "**", "**", "**/", "/**", "/**/", "***", "/", "/", "/", "/", "?",
          "?", "[ab]", "[!a]", "[^b]", "[a-c]", "[-a]", "[a-]", "[]a]", "[!]a]", "[[:alpha:]]",
          "[[:digit:]a]", "[^[:space:]]", "[[:nope:]]", "[[:alpha:]-z]", "[[:a]", "[[:]", "[[::]]",
          "[\\]]", "[\\a-\\c]", "[c-a]", "[a-c-e]", "[/]", "[a/]", "[!/]", "[", "]", "[a", "[]",
          "[!]", "[^]", "[a-[:alpha:]]", "\\", "\\*", "\\?", "\\[", "\\a", "\\ ", "\\/",
          "**\\/", "/**\\/", "\\!", "\\#", "\\\\", "!", "#", "^", "//"]


def random_tree(rng):
    """Returns {path: is it a folder}."""
    names = rng.sample(NAMES, rng.randint(2, 5))
    tree = {}
    folders = [""]
    for _ in range(rng.randint(3, 24)):
        parent = rng.choice(folders)
        path = parent + rng.choice(names)
        if path in tree or path.count("/") > 5:
            continue
        tree[path] = rng.random() < 0.6
        if tree[path]:
            folders.append(path + "/")
    return tree


def generalized_path(rng, path):
    """Makes a pattern from a path that exists: with a good chance it matches something."""
    parts = path.split("/")
    for i, part in enumerate(parts):
        chance = rng.random()
        if chance < 0.15:
            parts[i] = "*"
        elif chance < 0.3:
            parts[i] = "**"
        elif chance < 0.45:
            at = rng.randrange(len(part) + 1)
            parts[i] = part[:at] + rng.choice(["*", "**", "?", "[!x]"]) + part[at + 1:]
    text = "/".join(parts[rng.randrange(len(parts)):])
    return rng.choice(["", "", "", "/", "**/", "!"]) + text + rng.choice(["", "", "/", "/**", " "])


def random_pattern(rng, tree):
    if tree and rng.random() < 0.5:
        return generalized_path(rng, rng.choice(list(tree)))
    text = "".join(rng.choice(PIECES) for _ in range(rng.randint(1, 6)))
    if rng.random() < 0.15:
        text = "!" + text
    if rng.random() < 0.15:
        text += "/"
    return text + rng.choice(["", "", "", "", " ", "  ", "\\ "])


def random_round(rng):
    tree = random_tree(rng)
    # git's file reader takes "#" lines out; pattern.c never sees them.
    lines = [random_pattern(rng, tree) for _ in range(rng.randint(1, 6))]
    return [line for line in lines if not line.startswith("#")], tree


def class_rounds():
    """One round for each class: each byte that a name can hold."""
    names = [bytes([byte]).decode("utf-8", "surrogateescape")
             for byte in range(1, 256) if chr(byte) not in "\n/."]
    return [([f"[[:{name}:]]"], dict.fromkeys(names, False)) for name in CLASSES]


def build_tree(root, lines, tree):
    os.mkdir(root)
    with open(os.path.join(root, ".gitignore"), "w", errors="surrogateescape") as file:
        file.writelines(line + "\n" for line in lines)
    for path, is_folder in tree.items():
        path = os.path.join(root, path)
        if is_folder:
            os.mkdir(path)
        else:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY))


def ask_git(rounds):
    """Returns one list of line numbers for each round."""
    with tempfile.TemporaryDirectory(prefix="compare_gitignore.") as top:
        env = {"PATH": os.environ["PATH"], "HOME": top, "LC_ALL": "C",
               "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
        subprocess.run(["git", "init", "-q", top], check=True, env=env)
        asked = []
        for number, (lines, tree) in enumerate(rounds):
            build_tree(os.path.join(top, f"r{number}"), lines, tree)
            asked += [f"r{number}/{path}" for path in tree]
        result = subprocess.run(
            ["git", "check-ignore", "-z", "-v", "-n", "--no-index", "--stdin"], cwd=top, env=env,
            input="".join(path + "\0" for path in asked).encode("utf-8", "surrogateescape"),
            stdout=subprocess.PIPE, check=False)
        if result.returncode > 1:
            sys.exit(f"git check-ignore failed with {result.returncode}")
    # source, line number, pattern, path
    fields = result.stdout.split(b"\0")[1:-1:4]
    if len(fields) != len(asked):
        sys.exit(f"git answered {len(fields)} of {len(asked)} questions")
    answers = iter(int(field or 0) for field in fields)
    return [[next(answers) for _ in tree] for _, tree in rounds]


def ask_oracle(oracle, rounds):
    questions = []
    for lines, tree in rounds:
        questions.append("R\n")
        questions += [f"P {line}\n" for line in lines]
        questions += [f"{'D' if is_folder else 'F'} {path}\n" for path, is_folder in tree.items()]
    result = subprocess.run([oracle], stdout=subprocess.PIPE, check=True,
                            input="".join(questions).encode("utf-8", "surrogateescape"))
    answers = iter(int(line) for line in result.stdout.split())
    return [[next(answers) for _ in tree] for _, tree in rounds]


def compare(oracle, rounds, show):
    """Returns how many paths agreed, how many did not, and how many were matched at all."""
    passed = failed = matched = 0
    for (lines, tree), git, ours in zip(rounds, ask_git(rounds), ask_oracle(oracle, rounds)):
        for (path, is_folder), expected, got in zip(tree.items(), git, ours):
            matched += expected != 0
            if got == expected:
                passed += 1
                continue
            failed += 1
            if failed <= show:
                print(f"{lines!r}: {path!r}{' (folder)' if is_folder else ''}: "
                      f"git says line {expected}, pattern.c says {got}")
    return passed, failed, matched


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("oracle", help="the program built from tests/unit/pattern_oracle.c")
    parser.add_argument("--rounds", type=int, default=500, help="trees to compare (500)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    args = parser.parse_args()
    print(f"seed {args.seed}, {args.rounds} rounds")

    rng = random.Random(args.seed)
    passed, failed, matched = compare(args.oracle, class_rounds(), 20)
    done = 0
    while done < args.rounds:
        count = min(ROUNDS_PER_REPOSITORY, args.rounds - done)
        done += count
        result = compare(args.oracle, [random_round(rng) for _ in range(count)],
                         max(0, 20 - failed))
        passed, failed, matched = (a + b for a, b in zip((passed, failed, matched), result))
    print(f"{matched} of them were matched by a pattern")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
