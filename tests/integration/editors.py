"""What saving a file looks like to the kernel: the system calls of real editors and tools, in their order."""

from __future__ import annotations

import mmap
import os
import shutil
import subprocess
from pathlib import Path
from typing import Callable

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_TRUNCATE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


def _write(path: Path, flags: int, data: bytes, *, sync: bool = False, mode: int = 0o644) -> None:
    """Opens, writes and closes."""
    descriptor = os.open(path, flags | os.O_CLOEXEC, mode)
    try:
        os.write(descriptor, data)
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path, name: str) -> Path:
    """Returns another file in the same folder."""
    return path.with_name(name)


def _unlink_if_there(path: Path) -> None:
    """Removes a file that may not exist."""
    path.unlink(missing_ok=True)


def inplace(path: Path, data: bytes) -> None:
    """The shell's `>`, cp, nano and most scripts: truncate on open, write, close."""
    _write(path, _TRUNCATE, data)


def inplace_in_pieces(path: Path, data: bytes) -> None:
    """A slow writer, e.g. an editor on a large file: truncate on open, several writes, close."""
    descriptor = os.open(path, _TRUNCATE | os.O_CLOEXEC, 0o644)
    try:
        for start in range(0, len(data), 5):
            os.write(descriptor, data[start : start + 5])
    finally:
        os.close(descriptor)


def atomic(path: Path, data: bytes) -> None:
    """Most tools that are careful (Sublime's atomic_save, `sed -i`, rustfmt): new file, rename over."""
    temporary = _beside(path, f".{path.name}.tmp{os.getpid()}")
    _write(temporary, _NEW, data)
    os.rename(temporary, path)


def sed(path: Path, data: bytes) -> None:
    """GNU `sed -i` (sed/execute.c): sedXXXXXX made private, then its mode set, then renamed over."""
    temporary = _beside(path, "sedQx7Zk2")
    _write(temporary, _NEW, data, mode=0o600)
    os.chmod(temporary, 0o644)
    os.rename(temporary, path)


def rsync(path: Path, data: bytes) -> None:
    """rsync -t (receiver.c): .name.XXXXXX, times set on it, rename over."""
    temporary = _beside(path, f".{path.name}.Gk3aB1")
    _write(temporary, _NEW, data, mode=0o600)
    now = os.stat(temporary)
    os.utime(temporary, ns=(now.st_atime_ns, now.st_mtime_ns))
    os.chmod(temporary, 0o644)
    os.rename(temporary, path)


def gio(path: Path, data: bytes) -> None:
    """gedit, GNOME Builder (GLib, gio/glocalfileoutputstream.c): .goutputstream-XXXXXX, fsync, rename over."""
    temporary = _beside(path, ".goutputstream-Q3WX72")
    _write(temporary, _NEW, data, sync=True)
    os.rename(temporary, path)


def kate(path: Path, data: bytes) -> None:
    """Kate, Qt Creator (Qt, QSaveFile over O_TMPFILE): nameless file, linked as name.XXXXXX, rename over."""
    try:
        descriptor = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o644)
    except OSError:  # A file system without O_TMPFILE: Qt falls back to a named file.
        return gio(path, data)
    temporary = _beside(path, f"{path.name}.hTzRwP")
    try:
        os.write(descriptor, data)
        os.fsync(descriptor)
        os.link(f"/proc/self/fd/{descriptor}", temporary, src_dir_fd=descriptor)
    finally:
        os.close(descriptor)
    os.rename(temporary, path)


def vscode(path: Path, data: bytes) -> None:
    """VS Code (diskFileSystemProvider.ts, doWriteFile): truncate on open, write, fdatasync, close."""
    descriptor = os.open(path, _TRUNCATE | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, data)
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def pycharm(path: Path, data: bytes) -> None:
    """PyCharm's safe write (SafeFileOutputStream.java): ___jb_tmp___, original to ___jb_old___, rename, delete."""
    temporary = _beside(path, f"{path.name}___jb_tmp___")
    old = _beside(path, f"{path.name}___jb_old___")
    _write(temporary, _TRUNCATE, data)
    _unlink_if_there(old)
    if path.exists():
        os.rename(path, old)
    os.rename(temporary, path)
    os.chmod(path, 0o644)
    _unlink_if_there(old)


def vim(path: Path, data: bytes) -> None:
    """vim's default, as strace shows vim 9.0: swap file, 4913, original to name~, new file, fsync, name~ removed."""
    swap = _beside(path, f".{path.name}.swp")
    probe = _beside(path, "4913")
    backup = _beside(path, f"{path.name}~")
    _write(swap, os.O_RDWR | os.O_CREAT | os.O_EXCL, b"b0VIM 9.0" + bytes(4087), mode=0o600)
    os.chmod(swap, 0o644)
    _write(probe, _NEW | os.O_NOFOLLOW, b"")
    os.unlink(probe)
    _unlink_if_there(backup)
    if path.exists():
        os.rename(path, backup)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, data)
        os.fsync(descriptor)
        os.fchmod(descriptor, 0o644)
    finally:
        os.close(descriptor)
    _write(swap, os.O_RDWR, b"b0VIM 9.0" + bytes(4087))
    _unlink_if_there(backup)
    os.unlink(swap)


def vim_backupcopy(path: Path, data: bytes) -> None:
    """vim with backupcopy=yes, as strace shows vim 9.0: copy to name~, write in place, fsync, name~ removed."""
    backup = _beside(path, f"{path.name}~")
    if path.exists():
        _write(backup, _NEW | os.O_NOFOLLOW, path.read_bytes())
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, data)
        os.fsync(descriptor)
        os.fchmod(descriptor, 0o644)
    finally:
        os.close(descriptor)
    _unlink_if_there(backup)


def emacs(path: Path, data: bytes) -> None:
    """Emacs (src/filelock.c, lisp/files.el): lock link .#name, original to name~, new file, fsync, unlock."""
    lock = _beside(path, f".#{path.name}")
    autosave = _beside(path, f"#{path.name}#")
    os.symlink("someone@somewhere.4711:1700000000", lock)
    _write(autosave, _TRUNCATE, data)
    if path.exists():
        os.rename(path, _beside(path, f"{path.name}~"))
    _write(path, _TRUNCATE, data, sync=True)
    os.chmod(path, 0o644)
    _unlink_if_there(autosave)
    os.unlink(lock)


def git(path: Path, data: bytes) -> None:
    """git checkout (entry.c, write_entry): the old file is removed, the new one made with O_EXCL."""
    _unlink_if_there(path)
    _write(path, _NEW, data, mode=0o666)


def delete_then_create(path: Path, data: bytes) -> None:
    """A tool that removes a file and writes it again."""
    _unlink_if_there(path)
    _write(path, _TRUNCATE, data)


def hard_link(path: Path, data: bytes) -> None:
    """A tool that makes a nameless file visible in one step (linkat): the name only ever appears in CREATE."""
    _unlink_if_there(path)
    descriptor = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, data)
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor)
    finally:
        os.close(descriptor)


def memory_map(path: Path, data: bytes) -> None:
    """A tool that writes through a shared mapping: the kernel reports no write, only the close."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.ftruncate(descriptor, len(data))
        with mmap.mmap(descriptor, len(data)) as mapping:
            mapping[:] = data
            mapping.flush()
    finally:
        os.close(descriptor)


def real_vim(path: Path, data: bytes) -> None:
    """The vim of this system, with its default settings for backups."""
    command = ["vim", "-u", "NONE", "-i", "NONE", "-N", "-es", "-c", "set backupskip="]
    command += [
        "-c",
        "%delete _",
        "-c",
        "call setline(1, split($FASTRELOAD_TEXT, '\\n'))",
        "-c",
        "wq",
    ]
    subprocess.run(
        [*command, path.name],
        cwd=path.parent,
        env={**os.environ, "FASTRELOAD_TEXT": data.decode(), "TERM": "dumb"},
        stdin=subprocess.DEVNULL,
        check=True,
        timeout=20,
    )


def real_sed(path: Path, data: bytes) -> None:
    """The sed of this system, replacing the whole first line."""
    line = data.decode().rstrip("\n")
    subprocess.run(["sed", "-i", f"1s|.*|{line}|", str(path)], check=True, timeout=20)


PATTERNS: dict[str, Callable[[Path, bytes], None]] = {
    "inplace": inplace,
    "inplace_in_pieces": inplace_in_pieces,
    "atomic": atomic,
    "sed": sed,
    "rsync": rsync,
    "gio": gio,
    "kate": kate,
    "vscode": vscode,
    "pycharm": pycharm,
    "vim": vim,
    "vim_backupcopy": vim_backupcopy,
    "emacs": emacs,
    "git": git,
    "delete_then_create": delete_then_create,
    "hard_link": hard_link,
    "memory_map": memory_map,
    "real_vim": real_vim,
    "real_sed": real_sed,
}


def missing_program(how: str) -> str | None:
    """Returns the name of the program that a pattern needs and this system has not."""
    program = {"real_vim": "vim", "real_sed": "sed"}.get(how)
    return program if program and shutil.which(program) is None else None


def save(path: Path, text: str, how: str = "inplace") -> None:
    """Saves a file the way `how` says."""
    PATTERNS[how](path, text.encode())
