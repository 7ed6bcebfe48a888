"""The versions of code and data that a run was made from, as tags."""

import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import yaml

from segpipe.tracking.naming import tag_name

_GIT_TIMEOUT_S = 10


def tags(lock: Path, data: Sequence[str], written: Sequence[str] = ("dvc.lock", "metrics")) -> dict[str, str]:
    """The tags of a run of the current folder: git commit, whether files are changed, DVC experiment, data hashes.

    lock: DVC's lock file; data: paths as written in it; written: paths under git that the pipeline itself rewrites,
    whose changes are not changes of the code. Unknown tags (no git, no lock file) are left out.
    """
    tag_of = _git_tags(written) | {tag_name(f"dvc.{path}"): md5 for path, md5 in dvc_hashes(lock, data).items()}
    experiment = os.environ.get("DVC_EXP_NAME")
    return tag_of | ({"dvc.experiment": experiment} if experiment else {})


def dvc_hashes(lock: Path, paths: Sequence[str]) -> dict[str, str]:
    """The MD5 of each of `paths` in dvc.lock; that of a folder ends in ".dir".

    The entry of an output comes before that of a dependency: a stage that has not run again still names old inputs.
    Source: https://dvc.org/doc/user-guide/project-structure/dvcyaml-files#dvclock-file
    """
    try:
        stages = (yaml.safe_load(lock.read_text(encoding="utf-8")) or {}).get("stages", {}).values()
    except (OSError, ValueError, AttributeError, yaml.YAMLError):
        return {}
    md5_of_path = {
        entry["path"]: str(entry["md5"])
        for kind in ("deps", "outs")
        for stage in stages
        for entry in stage.get(kind) or []
        if "md5" in entry
    }
    return {path: md5_of_path[path] for path in paths if path in md5_of_path}


def md5_of(path: Path) -> str:
    """The MD5 of a file's bytes in hex, as DVC records it. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _git_tags(written: Sequence[str]) -> dict[str, str]:
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return {}
    excluded = [f":(exclude){path}" for path in written]
    changed = _git("--no-optional-locks", "status", "--porcelain", "--untracked-files=no", "--", ".", *excluded)
    return {"git.commit": commit} | ({} if changed is None else {"git.dirty": "true" if changed else "false"})


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
