# SPDX-License-Identifier: GPL-2.0
"""What the scripts around build/linux share: its paths, its git repository, its records.

build/linux holds the unpacked base, the patches as git commits, and copies of
the overlay. Its repository tracks only the base files that somebody changes;
their unchanged text is in commits whose subject begins with BASE_SUBJECT, so
everything else in the history is a patch of ours.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
LINUX = BUILD / "linux"
PATCHES = ROOT / "patches"
SETS = ("kvm", "guest", "perf")
OVERLAY_DIRS = ("arch", "include", "kernel", "virt", "Documentation", "tools")

BASE_SUBJECT = "base:"

# Records about build/linux; they live and die with it.
STATE = LINUX / ".git" / "pvperf"
ORIGIN = STATE / "origin"           # the tarball or directory it came from
UNPACKED = STATE / "unpacked"       # its mtime: files newer than it were changed here
BASE_FILES = STATE / "base-files"   # every path of the base
APPLIED = STATE / "applied"         # digest of patches/ and the commit that it gave
MANIFEST = STATE / "overlay"        # digest, mode and path of each installed new file

# Commits that the scripts make themselves must come out alike everywhere.
SCRIPT_IDENTITY = {
    "GIT_AUTHOR_NAME": "pvperf", "GIT_AUTHOR_EMAIL": "pvperf@localhost",
    "GIT_COMMITTER_NAME": "pvperf", "GIT_COMMITTER_EMAIL": "pvperf@localhost",
    "GIT_AUTHOR_DATE": "2024-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2024-01-01T00:00:00Z",
}


def die(message):
    """Ends the script with one sentence."""
    sys.exit(f"{Path(sys.argv[0]).name}: {message}")


def git(*args, cwd=LINUX, env=None, **kwargs):
    """Runs git and returns its output; a failure shows what git said and ends the script."""
    full_env = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", **(env or {})}
    done = subprocess.run(["git", *args], cwd=cwd, env=full_env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)
    if done.returncode:
        die(f"git {' '.join(args[:3])} failed in {cwd}:\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def tracked_files():
    return set(git("ls-files", "-z").split("\0")) - {""}


def base_files():
    return set(BASE_FILES.read_text().splitlines())


def overlay_files():
    """All new files of the repository, as paths in the kernel tree."""
    found = []
    for top in OVERLAY_DIRS:
        for path in sorted((ROOT / top).rglob("*")):
            ignored = path.suffix in (".pyc", ".swp", ".orig", ".rej") or path.name.endswith("~")
            if path.is_file() and not ignored:
                found.append(str(path.relative_to(ROOT)))
    return found


def newer_files():
    """Files of build/linux that were written since it was unpacked."""
    out = subprocess.run(
        ["find", ".", "-path", "./.git", "-prune", "-o", "-type", "f",
         "-newer", str(UNPACKED), "-printf", "%P\\n"],
        cwd=LINUX, check=True, text=True, stdout=subprocess.PIPE).stdout
    return set(out.splitlines())


def pristine(paths):
    """Returns {path: (text, mode)} as the base has them, read from where it came from."""
    origin = Path(ORIGIN.read_text().strip())
    if not origin.exists():
        die(f"the base's origin {origin} is gone; put it back, or remove build/linux and run make tree")
    wanted = set(paths)
    if origin.is_dir():
        return {p: ((origin / p).read_bytes(), (origin / p).stat().st_mode) for p in wanted}
    found = {}
    with tarfile.open(origin, "r|*") as tar:
        for member in tar:
            path = member.name.partition("/")[2]
            if path in wanted:
                found[path] = (tar.extractfile(member).read(), member.mode)
                if len(found) == len(wanted):
                    break
    missing = wanted - found.keys()
    if missing:
        die(f"not in {origin}: {', '.join(sorted(missing))}")
    return found


def store_blob(text):
    """Puts a file's text into the repository and returns its name there."""
    done = subprocess.run(["git", "hash-object", "-w", "--stdin"], cwd=LINUX, check=True,
                          input=text, stdout=subprocess.PIPE)
    return done.stdout.decode().strip()


def track(paths):
    """Puts the unchanged text of base files under git; the working files stay as they are."""
    paths = sorted(set(paths) - tracked_files())
    if not paths:
        return
    print(f"now tracked: {', '.join(paths)}", flush=True)
    index_info = "".join(
        f"{'100755' if mode & 0o100 else '100644'} {store_blob(text)}\t{path}\n"
        for path, (text, mode) in pristine(paths).items())
    # The commits are made beside the index, which may hold what a developer has staged.
    side = {"GIT_INDEX_FILE": str(STATE / "side-index")}
    message = f"{BASE_SUBJECT} unchanged text of {len(paths)} files\n"
    for ref in ("refs/heads/base", "HEAD"):
        git("read-tree", ref, env=side)
        git("update-index", "--add", "--index-info", env=side, input=index_info)
        tree = git("write-tree", env=side).strip()
        commit = git("commit-tree", tree, "-p", ref, env=SCRIPT_IDENTITY, input=message).strip()
        git("update-ref", ref, commit)
    git("update-index", "--add", "--index-info", input=index_info)
    refresh_index()


def refresh_index():
    """Has git compare its entries with the files now, whatever their times: reset --keep relies on it."""
    git("status", "--porcelain")


def our_commits():
    """The commits that are patches of ours, oldest first."""
    log = git("log", "--reverse", "--format=%H %s", "HEAD")
    rows = (line.split(" ", 1) for line in log.splitlines())
    return [commit for commit, subject in rows if not subject.startswith(BASE_SUBJECT)]


def series():
    """The patch files in the order in which they apply."""
    listing = PATCHES / "series"
    lines = listing.read_text().splitlines() if listing.exists() else []
    return [PATCHES / line for line in lines if line and not line.startswith("#")]


def patches_digest():
    parts = (f"{path.name} {digest(path)}\n" for path in series())
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def read_applied():
    """(digest of patches/, last commit of ours) at the last apply or refresh."""
    if not APPLIED.exists():
        return hashlib.sha256(b"").hexdigest(), ""
    return tuple(APPLIED.read_text().rstrip("\n").split(" ", 1))


def write_applied():
    """Notes that patches/ and the commits of build/linux are the same now."""
    commits = our_commits()
    APPLIED.write_text(f"{patches_digest()} {commits[-1] if commits else ''}\n")


def patch_targets(patches):
    """The base files that the patches change."""
    return {line[6:].strip() for path in patches for line in path.read_text().splitlines()
            if line.startswith("--- a/")}


def scratch_worktree(path):
    """A second checkout of the tracked base files, without any patch."""
    git("worktree", "prune")
    subprocess.run(["rm", "-rf", path], check=True)
    git("worktree", "prune")
    git("worktree", "add", "-q", "--detach", str(path), "refs/heads/base")


def apply_series(patches):
    """Applies the patches to the base, beside the build tree, and returns the last commit.

    build/linux itself is then moved there in one step, so that files which come
    out alike keep their mtime.
    """
    if not patches:
        return git("rev-parse", "refs/heads/base").strip()
    scratch = BUILD / "apply"
    scratch_worktree(scratch)
    committer = {k: v for k, v in SCRIPT_IDENTITY.items() if "COMMITTER" in k and "DATE" not in k}
    for patch in patches:
        git("am", "-q", "--committer-date-is-author-date", str(patch), cwd=scratch, env=committer)
    tip = git("rev-parse", "HEAD", cwd=scratch).strip()
    git("worktree", "remove", "--force", str(scratch))
    return tip
