#!/bin/bash
# Fuzzes each target for FUZZ_SECONDS (60), or only TARGET, and says what was found and how to see it again. docs/fuzzing.md.
set -eu
cd "$(dirname "$0")"

seconds=${FUZZ_SECONDS:-60}
mapfile -t targets < <(sed -n 's/^name = "\([a-z_]*\)"$/\1/p' Cargo.toml | sort)
if [ -n "${TARGET:-}" ]; then
    if [[ " ${targets[*]} " != *" $TARGET "* ]]; then
        printf 'fuzz: there is no target %s; there are: %s\n' "$TARGET" "${targets[*]}"
        exit 1
    fi
    targets=("$TARGET")
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
    printf 'fuzz: cargo-fuzz is not here; installing it once (needs the network)\n'
    cargo install --locked cargo-fuzz
fi

# Everything that is fuzzed is safe Rust: no sanitizer is needed, and so no nightly toolchain.
fuzz() { cargo fuzz "$1" --fuzz-dir . --sanitizer none "${@:2}"; }

fuzz build >build.log 2>&1 || { cat build.log; printf 'fuzz: the targets do not build\n'; exit 1; }

# Seeds written in hexadecimal become bytes; the others are bytes.
sow() {
    mkdir -p "corpus/$1" "artifacts/$1"
    local seed
    for seed in "seeds/$1"/*; do
        case $seed in
            *.hex) sed 's/#.*//' "$seed" | tr -d ' \n' | perl -ne 'print pack "H*", $_' >"corpus/$1/$(basename "$seed" .hex)" ;;
            *) cp "$seed" "corpus/$1/" ;;
        esac
    done
    case $1 in sip_datagram) cp ../crates/sip-wire/tests/rfc4475/*.dat "corpus/$1/" ;; esac
    case $1 in sdp_offer | sdp_answer) cp ../crates/sdp/tests/offers/*.sdp "corpus/$1/" ;; esac
}

found=()
for target in "${targets[@]}"; do
    sow "$target"
    dict=()
    [ -f "dictionaries/$target" ] && dict=("-dict=dictionaries/$target")
    touch "artifacts/$target/.began"
    log="artifacts/$target.log"
    status=0
    # A single input may take a second; more is a finding too.
    fuzz run "$target" "corpus/$target" -- -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -max_len=8192 \
        -print_final_stats=1 "${dict[@]}" >"$log" 2>&1 || status=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    cover=$(grep -o 'cov: [0-9]*' "$log" | tail -n1 || true)
    artifact=$(find "artifacts/$target" -type f -newer "artifacts/$target/.began" ! -name .began | head -n1)
    if [ "$status" -eq 0 ] && [ -z "$artifact" ]; then
        printf 'fuzz: %-13s nothing found: %s inputs, %s\n' "$target" "${runs:-?}" "${cover:-no coverage}"
        continue
    fi
    found+=("$target")
    printf 'fuzz: %-13s FOUND something:\n' "$target"
    grep -m1 -A1 'panicked at\|ERROR: libFuzzer' "$log" | sed 's/^/    /' || tail -n 5 "$log"
    if [ -n "$artifact" ]; then
        printf '    again:    cargo fuzz run --fuzz-dir fuzz --sanitizer none %s fuzz/%s\n' "$target" "$artifact"
        printf '    smaller:  cargo fuzz tmin --fuzz-dir fuzz --sanitizer none %s fuzz/%s\n' "$target" "$artifact"
        printf '    mended:   copy it to fuzz/seeds/%s/, where `make test` plays it ever after\n' "$target"
    fi
    printf '    all of it: fuzz/%s\n' "$log"
done

if [ ${#found[@]} -gt 0 ]; then
    printf 'fuzz: FOUND something in %s\n' "${found[*]}"
    exit 1
fi
printf 'fuzz: nothing found in %d targets, %d s each\n' "${#targets[@]}" "$seconds"
