#!/bin/sh
# Makes the spoken prompts of each language of media/prompts: a WAV each, beside the texts, in FOLDER/<language>/. What is there stays
# until the texts change.
#
# Usage: media/make-prompts.sh [FOLDER]
set -eu

here=$(dirname "$0")
out=${1:-$here/out/prompts}

for tool in espeak-ng gst-launch-1.0; do
    command -v "$tool" >/dev/null || {
        echo "make-prompts: $tool is missing; run: apt-get install espeak-ng gstreamer1.0-tools gstreamer1.0-plugins-base" \
            "gstreamer1.0-plugins-good" >&2
        exit 1
    }
done

# Speaks in LANGUAGE as ID the TEXT, or makes a tone of ~HZ.
speak() {
    [ -s "$out/$1/$2.wav" ] && return
    case $3 in
    '~'*)
        gst-launch-1.0 -q audiotestsrc wave=sine freq="${3#?}" volume=0.3 samplesperbuffer=441 num-buffers=50 \
            ! audio/x-raw,format=S16LE,rate=22050,channels=1 ! wavenc ! filesink location="$out/$1/.$2.part"
        ;;
    *) espeak-ng -v "$1" -s 150 -w "$out/$1/.$2.part" -- "$3" ;;
    esac
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
