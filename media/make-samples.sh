#!/bin/sh
# Makes the sample clips, greetings, prompts and party sources in media/out/. Safe to run again: each file is replaced whole.
#
# Usage: media/make-samples.sh [FOLDER]
set -eu

out=${1:-$(dirname "$0")/out}
mkdir -p "$out"

for tool in gst-launch-1.0 gst-inspect-1.0 espeak-ng; do
    command -v "$tool" >/dev/null || {
        echo "make-samples: $tool is missing; run: apt-get install gstreamer1.0-tools gstreamer1.0-plugins-base" \
            "gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav espeak-ng" >&2
        exit 1
    }
done

if gst-inspect-1.0 --exists x264enc; then
    h264="x264enc bitrate=800 speed-preset=veryfast key-int-max=25 bframes=0"
else
    h264="openh264enc rate-control=bitrate bitrate=800000 gop-size=25"
fi
if gst-inspect-1.0 --exists avenc_aac; then aac="avenc_aac"; else aac="voaacenc"; fi

# Runs a pipeline that writes $1 under a temporary name, then gives it its name.
make_file() {
    name=$1
    what=$2
    shift 2
    # The pipeline is words on purpose.
    # shellcheck disable=SC2086
    gst-launch-1.0 -q -e $* location="$out/.$name.part"
    mv "$out/.$name.part" "$out/$name"
    printf '%-26s %s\n' "$name" "$what"
}

# Picture and tone: NAME COLOUR(0xAARRGGBB) HZ SECONDS WHAT. A small white ball moves, so that no two frames are equal.
picture_and_tone() {
    make_file "$1" "$5" \
        videotestsrc pattern=ball foreground-color=0xffffffff background-color="$2" num-buffers=$(($4 * 25)) \
        ! video/x-raw,format=I420,width=640,height=360,framerate=25/1 ! $h264 ! h264parse ! queue ! mux. \
        audiotestsrc wave=sine freq="$3" volume=0.3 samplesperbuffer=960 num-buffers=$(($4 * 50)) \
        ! audio/x-raw,rate=48000,channels=1 ! audioconvert ! $aac ! aacparse ! queue ! mux. \
        mp4mux name=mux faststart=true ! filesink
}

# Tone alone, 8 kHz WAV: NAME HZ SECONDS WHAT.
tone() {
    make_file "$1" "$4" audiotestsrc wave=sine freq="$2" volume=0.3 samplesperbuffer=160 num-buffers=$(($3 * 50)) \
        ! audio/x-raw,format=S16LE,rate=8000,channels=1 ! wavenc ! filesink
}

# Spoken text, WAV: NAME TEXT.
speech() {
    espeak-ng -v en -s 150 -w "$out/.$1.part" "$2"
    mv "$out/.$1.part" "$out/$1"
    printf '%-26s "%s"\n' "$1" "$2"
}

# Picture and speech: NAME COLOUR SPEECH_FILE SECONDS WHAT.
picture_and_speech() {
    make_file "$1" "$5" \
        videotestsrc pattern=ball foreground-color=0xffffffff background-color="$2" num-buffers=$(($4 * 25)) \
        ! video/x-raw,format=I420,width=640,height=360,framerate=25/1 ! $h264 ! h264parse ! queue ! mux. \
        filesrc location="$out/$3" ! wavparse ! audioconvert ! audioresample ! audio/x-raw,rate=48000,channels=1 \
        ! $aac ! aacparse ! queue ! mux. \
        mp4mux name=mux faststart=true ! filesink
}

picture_and_tone clip.mp4 0xff00ff00 880 8 "sample clip: green, 880 Hz, 8 s"
picture_and_tone greeting.mp4 0xffffff00 660 3 "greeting: yellow, 660 Hz, 3 s"
picture_and_tone beep.mp4 0xff808080 1400 1 "beep: grey, 1400 Hz, 1 s (the built-in one is made by the worker)"
picture_and_tone party-a.mp4 0xffff0000 440 10 "caller A: red, 440 Hz, 10 s"
picture_and_tone party-b.mp4 0xff0000ff 1000 10 "callee B: blue, 1 kHz, 10 s"
tone clip.wav 880 8 "sample clip, sound alone: 880 Hz"
tone greeting.wav 660 3 "greeting, sound alone: 660 Hz"
tone party-a.wav 440 10 "caller A, sound alone: 440 Hz"
tone party-b.wav 1000 10 "callee B, sound alone: 1 kHz"
speech prompt-leave-message.wav "I cannot take your call. Please leave a video message after the tone. Press the hash key when you are done."
"$(dirname "$0")/make-prompts.sh" "$out/prompts"
picture_and_speech greeting-spoken.mp4 0xffffff00 prompt-leave-message.wav 8 "greeting: yellow, spoken"
