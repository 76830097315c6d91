#!/bin/sh
# Makes the spoken prompts of each language of media/prompts: a WAV each, beside the texts, in FOLDER/<language>/. What is there stays
# until the texts change.
#
# Usage: media/make-prompts.sh [FOLDER]
set -eu

here=$(dirname "$0")
out=${1:-$here/out/prompts}

command -v espeak-ng >/dev/null || {
    echo "make-prompts: espeak-ng is missing; run: apt-get install espeak-ng" >&2
    exit 1
}

# Speaks in LANGUAGE as ID the TEXT.
speak() {
    [ -s "$out/$1/$2.wav" ] && return
    espeak-ng -v "$1" -s 150 -w "$out/$1/.$2.part" -- "$3"
    mv "$out/$1/.$2.part" "$out/$1/$2.wav"
    made=$((made + 1))
}

for folder in "$here"/prompts/*/; do
    language=$(basename "$folder")
    mkdir -p "$out/$language"
    made=0
    cmp -s "$folder/spoken.txt" "$out/$language/spoken.txt" || rm -f "$out/$language"/*.wav
    cp "$folder/pictures.txt" "$out/$language/"
    while IFS= read -r line; do
        case $line in
        '' | '#'*) ;;
        *) speak "$language" "${line%% = *}" "${line#* = }" ;;
        esac
    done <"$folder/spoken.txt"
    n=0
    while [ $n -le 99 ]; do
        speak "$language" "n$n" "$n"
        n=$((n + 1))
    done
    cp "$folder/spoken.txt" "$out/$language/"
    echo "prompts/$language: $made made, $(find "$out/$language" -name '*.wav' | wc -l) there"
done
