# Sourced by the other scripts: where things are, which interpreter to use, and how to say what went wrong.
# Works with bash 3.2 (macOS) and later.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD
MIN_MINOR=11 # CPython 3.11, as pyproject.toml's requires-python says

# `--help` as the first argument prints the comment at the top of the script, and does nothing else.
case ${1:-} in
    -h | --help) sed -n -e 1d -e '/^#/!q' -e 's/^# \{0,1\}//p' "$0"; exit ;;
esac

say() { if [ -t 2 ]; then printf '\033[1m==> %s\033[0m\n' "$*" >&2; else printf '==> %s\n' "$*" >&2; fi; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# Prints "3.11" for an interpreter that starts, nothing otherwise: a pyenv shim may exist and still not run.
python_version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }

# Prints a working interpreter for a name such as python3.13: the name itself, else pyenv's copy of that version.
resolve_python() {
    local found
    if [ -n "$(python_version "$1")" ]; then
        "$1" -c 'import sys; print(getattr(sys, "_base_executable", sys.executable))'
        return
    fi
    for found in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"${1#python}"*/bin/"$1"; do
        if [ -n "$(python_version "$found")" ]; then echo "$found"; return; fi
    done
}

# Sets BASE_PYTHON, PY_VERSION and VENV. PYTHON=... names the interpreter and gets an environment of its own.
choose_python() {
    local name
    BASE_PYTHON=
    if [ -n "${PYTHON:-}" ]; then
        BASE_PYTHON=$(resolve_python "$PYTHON")
        [ -n "$BASE_PYTHON" ] || fail "PYTHON=$PYTHON does not run: install it or name another CPython 3.$MIN_MINOR or later"
    else
        for name in python3 python3.14 python3.13 python3.12 python3.11 python; do
            case $(python_version "$name") in
                3.[0-9] | 3.10 | 2.* | '') ;;
                *) BASE_PYTHON=$(resolve_python "$name"); break ;;
            esac
        done
        [ -n "$BASE_PYTHON" ] || fail "no CPython 3.$MIN_MINOR or later found: install one, or name it: make ... PYTHON=/path/to/python3"
    fi
    PY_VERSION=$(python_version "$BASE_PYTHON")
    case $PY_VERSION in
        3.[0-9] | 3.10 | 2.*) fail "$BASE_PYTHON is Python $PY_VERSION, Pallasite needs 3.$MIN_MINOR or later: make ... PYTHON=python3.$MIN_MINOR" ;;
    esac
    VENV=$ROOT/.venv
    [ -z "${PYTHON:-}" ] || VENV=$ROOT/.venv-$PY_VERSION
    VPY=$VENV/bin/python
    export VIRTUAL_ENV=$VENV PYO3_PYTHON=$VPY
}

# One build directory per Python version: a change of interpreter rebuilds PyO3, so they must not share.
build_dir() { echo "$ROOT/target/cpython-$PY_VERSION"; }

require_rust() {
    local have need
    command -v cargo >/dev/null && command -v rustc >/dev/null ||
        fail "Rust is missing: install it with rustup or your system's packages, then open a new shell"
    need=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    # With rustup but without a default toolchain, `rustc` is there and fails.
    have=$(rustc --version 2>/dev/null | cut -d' ' -f2) || true
    [ -n "$have" ] || fail "rustc does not run, as with rustup before a toolchain is chosen: run 'rustup default stable'"
    [ "$(printf '%s\n%s\n' "$need" "$have" | sort -t. -k1,1n -k2,2n | head -1)" = "$need" ] ||
        fail "Rust $have is too old, Pallasite needs $need or later: run 'rustup update stable'"
    command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null ||
        fail "no C compiler (cc) found, the build needs one to compile and link: install gcc or clang (Debian: apt install gcc libc6-dev; macOS: xcode-select --install)"
}

# One hash over the names and contents of the given files and folders; what is not there is skipped.
fingerprint() {
    local path
    for path in "$@"; do
        [ ! -e "$path" ] || find "$path" -type f ! -name '*.pyc' -print0
    done | LC_ALL=C sort -z | xargs -0 cksum | cksum | tr ' ' -
}
