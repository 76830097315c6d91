#!/bin/bash
# Runs all that must be green, one stage after the other, and says at the end whether it is.
# `tests/all.sh STAGE...` runs only these.
set -u
cd "$(dirname "$0")/.."

failed=()
passed=0
began=$SECONDS

# stage NAME COMMAND...: runs it, remembers how it went, goes on.
stage() {
    local name=$1 from=$SECONDS
    shift
    if [ ${#only[@]} -gt 0 ] && [[ " ${only[*]} " != *" $name "* ]]; then return; fi
    printf '\n=== %s: %s\n' "$name" "$*"
    if "$@"; then
        passed=$((passed + 1))
        printf '=== %s: ok, %d s\n' "$name" $((SECONDS - from))
    else
        failed+=("$name")
        printf '=== %s: FAILED, %d s\n' "$name" $((SECONDS - from))
    fi
}

finish() {
    printf '\n'
    if [ ${#failed[@]} -gt 0 ]; then
        printf 'FAIL: %s (%d stages passed, %d s)\n' "${failed[*]}" "$passed" $((SECONDS - began))
        exit 1
    fi
    printf 'PASS: %d stages, %d s\n' "$passed" $((SECONDS - began))
    exit 0
}

only=("$@")

# Nothing can work without these.
tests/setup.sh || { failed+=(setup); finish; }
media/make-samples.sh >/dev/null || { failed+=(samples); finish; }
cargo build --locked --workspace --all-targets || { failed+=(build); finish; }
built=$((SECONDS - began))

stage fmt cargo fmt --all --check -- -l
stage clippy cargo clippy --locked --workspace --all-targets -q -- -D warnings
if cargo deny --version >/dev/null 2>&1; then
    # Advisories need their database from the network: `make deny` asks for those too.
    stage deny cargo deny check bans licenses sources
else
    printf '\n=== deny: skipped, cargo-deny is not installed (`make deny` installs it)\n'
fi

# Unit tests, stories and simulation: no network, no clock.
stage unit cargo test --locked --workspace --exclude segue-tests -q --no-fail-fast

stage helpers cargo test --locked -p segue-tests --lib --bins -q

# Real processes, sockets and codecs: one test at a time, so that each is alone with its measured times. The peers come
# before what needs them.
order=(house peers sipp interop crash)
for file in tests/tests/*.rs; do
    name=$(basename "$file" .rs)
    [[ " ${order[*]} " == *" $name "* ]] || order+=("$name")
done
for name in "${order[@]}"; do
    stage "$name" cargo test --locked -p segue-tests --test "$name" -q -- --test-threads=1
done

printf '\n(%d s of it building)\n' "$built"
finish
