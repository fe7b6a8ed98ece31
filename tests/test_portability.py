"""Nothing but hardware.py uses what only POSIX systems have, so that the package imports on Windows."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "hrpose_rt"
MODULES = {"crypt", "fcntl", "grp", "nis", "posix", "pty", "pwd", "readline", "resource", "spwd", "syslog"}
MODULES |= {"termios", "tty"}
# Source: the entries "Availability: Unix" of Python's documentation.
_OS = """
    chown chroot confstr ctermid fchdir fchmod fchown fork forkpty getegid geteuid getgid getgroups
    getloadavg getpgid getpgrp getpriority getresuid getsid getuid killpg lchown mkfifo mknod nice openpty
    pathconf pipe2 posix_fadvise posix_spawn pread pwrite register_at_fork sched_getaffinity
    sched_setaffinity sched_yield
    sendfile setpgid setpriority setsid setuid statvfs sync sysconf tcgetpgrp tcsetpgrp ttyname uname wait
    wait3 wait4 WEXITSTATUS WIFEXITED WIFSIGNALED WNOHANG O_NOFOLLOW O_NONBLOCK
"""
_SIGNAL = """
    SIGALRM SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGUSR1 SIGUSR2 alarm getitimer pause
    pthread_kill pthread_sigmask setitimer siginterrupt sigpending sigtimedwait sigwait
"""
_TIME = "clock_gettime clock_gettime_ns tzset CLOCK_MONOTONIC CLOCK_REALTIME"
NAMES = {"os": set(_OS.split()), "signal": set(_SIGNAL.split()), "time": set(_TIME.split())}
HERE = [path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "hardware.py"]
IMPORT_ALL = """
import builtins, importlib, sys, types

modules, names = {modules!r}, {names!r}
real = builtins.__import__

def other_system(name, scope=None, local=None, wanted=(), level=0):
    if not (scope or {{}}).get("__name__", "").startswith("hrpose_rt"):
        return real(name, scope, local, wanted, level)  # a library, which has its own way on Windows
    if name in modules:
        raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
    module = real(name, scope, local, wanted, level)
    if name not in names:
        return module
    other = types.ModuleType(name)
    other.__dict__.update({{k: v for k, v in vars(module).items() if k not in names[name]}})
    return other

builtins.__import__ = other_system
for module in {ours!r}:
    importlib.import_module(module)
from hrpose_rt.hardware import open_files_limit, peak_memory_mib, usable_cores
assert open_files_limit() is None and peak_memory_mib() is None and usable_cores() >= 1
"""


@pytest.mark.slow
def test_every_module_imports_without_posix() -> None:
    names = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in HERE]
    ours = [name for name in names if not name.endswith("__main__")]  # which starts the command line
    code = IMPORT_ALL.format(modules=MODULES, names=NAMES, ours=ours)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", HERE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_hardware_uses_posix_names(module: Path) -> None:
    found = []
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        match node:
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if name in NAMES.get(owner, ()):
                found.append(f"{owner}.{name}")
            case ast.Import(names=imported):
                found += [alias.name for alias in imported if alias.name in MODULES]
            case ast.ImportFrom(module=owner, names=imported):
                found += [owner] if owner in MODULES else []
                found += [a.name for a in imported if a.name in NAMES.get(owner or "", ())]
    assert found == []
