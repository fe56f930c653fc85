# What the scripts share. Sourced, not run.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export ROOT

say() {
    if [ -t 1 ]; then printf '\n\033[1m%s\033[0m\n' "$*"; else printf '\n%s\n' "$*"; fi
}
die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# need COMMAND PACKAGE...: the command is there afterwards, or the script ends and says what to install. As root on a
# Debian-like host the packages are installed.
need() {
    local command=$1
    shift
    command -v "$command" >/dev/null && return
    install_packages "$@"
    command -v "$command" >/dev/null || die "$command is missing; install it (Debian: apt-get install $*)"
}

# As root on a Debian-like host; elsewhere nothing is done, and whoever needs them says so.
install_packages() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing $*"
        apt_updated || apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
    fi
}

apt_updated() { find /var/lib/apt/lists -name '*_Packages*' -mmin -1440 2>/dev/null | grep -q .; }

# The compilers: Rust as new as Cargo.toml asks for, and a C compiler for SQLite, the fork shim and librdkafka,
# which also wants make and a C++ compiler.
need_compilers() {
    command -v cargo >/dev/null || PATH=$PATH:$HOME/.cargo/bin
    command -v cargo >/dev/null || die "cargo is missing; install Rust from https://rustup.rs"
    local wanted found
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml")
    found=$(cd "$ROOT" && rustc --version | cut -d' ' -f2)
    printf '%s\n%s\n' "$wanted" "$found" | sort -VC || die "Rust is $found and must be $wanted or newer; run rustup update"
    need cc gcc libc6-dev
    need c++ g++
    need make make
}

# need_python_tool NAME VERSION: a program from the Python registry, in an environment of its own at target/NAME.
need_python_tool() {
    local place="$ROOT/target/$1"
    "$place/bin/python" -c "from importlib.metadata import version; assert version('$1') == '$2'" 2>/dev/null && return
    need python3 python3
    python3 -c 'import ensurepip' 2>/dev/null || install_packages python3-venv
    echo "installing $1 $2 into target/$1"
    rm -rf "$place"
    { python3 -m venv "$place" && "$place/bin/pip" install --quiet --disable-pip-version-check "$1==$2"; } ||
        die "$1 $2 cannot be installed; in an environment of Python at target/$1: pip install $1==$2"
}

# need_python_packages NAME VERSION...: pure Python packages for functions to bring with them, in target/bundled.
need_python_packages() {
    local place="$ROOT/target/bundled" wanted="$*"
    [ "$(cat "$place/list.txt" 2>/dev/null)" = "$wanted" ] && return
    need python3 python3
    python3 -m pip --version >/dev/null 2>&1 || install_packages python3-pip
    echo "installing $* into target/bundled"
    rm -rf "$place"
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --no-compile --target "$place" "$@" ||
        die "packages cannot be installed; into target/bundled: pip install --no-deps --target target/bundled $*"
    echo "$wanted" >"$place/list.txt"
}

# need_noida: a broker that speaks Kafka's protocol, at target/noida-db. Its sources are not public, so it is known by its digest, and
# nothing but tests uses it.
need_noida() {
    local place="$ROOT/target/noida-db" version=0.2.3
    "$place/bin/python" -c "from importlib.metadata import version; assert version('noida-db') == '$version'" 2>/dev/null && return
    need python3 python3
    python3 -c 'import ensurepip' 2>/dev/null || install_packages python3-venv
    echo "installing noida-db $version into target/noida-db"
    rm -rf "$place"
    { python3 -m venv "$place" && "$place/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes -r \
        <(echo "noida-db==$version --hash=sha256:40a2fb15567e3d344e7483df62bb439e7d64ac6fb232f4f223554aed58204f82"); } ||
        die "noida-db $version cannot be installed in target/noida-db"
}

# need_node: Node.js 20 or newer, which can be forked, is the first `node` of PATH afterwards; where the host's is older or there
# is none, one from the npm registry, at target/node.
need_node() {
    is_node_current node && return
    local version=20.19.5 machine place="$ROOT/target/node"
    PATH=$place/package/bin:$PATH
    is_node_current node && return
    case $(uname -m) in x86_64) machine=x64 ;; aarch64) machine=arm64 ;; *) die "install Node.js 20 or newer" ;; esac
    echo "installing Node.js $version into target/node"
    mkdir -p "$place"
    curl -fsSL "https://registry.npmjs.org/node-linux-$machine/-/node-linux-$machine-$version.tgz" | tar -xz -C "$place" ||
        die "Node.js cannot be installed; install version 20 or newer"
    hash -r
    is_node_current node || die "the Node.js of target/node does not run here; install version 20 or newer"
}

is_node_current() { "$1" -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' 2>/dev/null; }

# npm_package FOLDER NAME VERSION: that package in a folder of its name.
npm_package() {
    set -o pipefail
    mkdir -p "$1/$2"
    curl -fsSL --retry 3 "https://registry.npmjs.org/$2/-/$2-$3.tgz" | tar -xz --strip-components 1 -C "$1/$2"
}

# need_axe: in target/browser, the rules by which pages serve those who see, hear or move otherwise than most.
need_axe() {
    local version=4.14.1 place="$ROOT/target/browser"
    [ "$(cat "$place/version.txt" 2>/dev/null)" = "$version" ] && return
    need curl curl
    echo "installing axe-core $version into target/browser"
    rm -rf "$place"
    npm_package "$place" axe-core "$version" || die "axe-core $version cannot be installed in target/browser"
    echo "$version" >"$place/version.txt"
}

# The unmodified SDKs of Tencent Cloud in target/sdk: that for Python in an environment of its own, that for Node.js by the list of
# packages that belong to it, since Debian's npm is not asked for.
need_sdks() {
    local place="$ROOT/target/sdk" list="$ROOT/tests/sdk/packages.txt"
    if ! "$place/python/bin/python" -c "from importlib.metadata import version as v
assert (v('tencentcloud-sdk-python-scf'), v('tencentcloud-sdk-python-cls'), v('cos-python-sdk-v5')) == ('3.1.100', '3.1.192', '1.9.44')" 2>/dev/null; then
        need python3 python3
        python3 -c 'import ensurepip' 2>/dev/null || install_packages python3-venv
        echo "installing Tencent Cloud's SDK for Python into target/sdk"
        rm -rf "$place/python"
        { python3 -m venv "$place/python" && "$place/python/bin/pip" install --quiet --disable-pip-version-check \
            tencentcloud-sdk-python-scf==3.1.100 tencentcloud-sdk-python-cls==3.1.192 cos-python-sdk-v5==1.9.44; } ||
            die "the SDK cannot be installed; in an environment of Python at target/sdk/python: pip install tencentcloud-sdk-python-scf==3.1.100 tencentcloud-sdk-python-cls==3.1.192 cos-python-sdk-v5==1.9.44"
    fi
    cmp -s "$list" "$place/packages.txt" && return
    need curl curl
    echo "installing Tencent Cloud's SDK for Node.js into target/sdk"
    rm -rf "$place/node_modules"
    # Many small files: several at once, or most of the time is spent waiting for each.
    export -f npm_package
    xargs -P 8 -L 1 bash -c 'npm_package "$@"' _ "$place/node_modules" <"$list" ||
        die "the SDK for Node.js cannot be installed: the packages of tests/sdk/packages.txt, in target/sdk/node_modules"
    cp "$list" "$place/packages.txt"
}
