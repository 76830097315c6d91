"""What a test says to a handset and hears from it: a JSON object a line, on standard input and output.

In:  {"do": "dial", "uri": "sip:..."} | answer | hangup | {"do": "press", "key": "1"} | {"do": "look", "file": "..."} | quit
Out: {"event": "ready" | "registered" | "incoming" | "progress" | "answered" | "closed" | "mwi" | "looked", ...}

What a handset hears goes to `heard.wav` in its folder, 16 bit mono, from its first call on.
"""

import json
import struct
import sys
import wave


def settings():
    """The handset's settings: the one argument, a JSON object."""
    return json.loads(sys.argv[1])


def say(event, **more):
    """Tells the test."""
    print(json.dumps({"event": event, **more}), flush=True)


def tone(path):
    """The samples of a 16-bit mono WAV file, and how many there are a second."""
    with wave.open(path) as file:
        return file.readframes(file.getnframes()), file.getframerate()


class Heard:
    """A WAV file that can be read while it grows: its header is written first, for more than will come."""

    def __init__(self, path):
        self.path, self.file = path, None

    def write(self, rate, samples):
        """Appends 16-bit mono samples."""
        if self.file is None:
            self.file = open(self.path, "wb")
            self.file.write(
                b"RIFF" + struct.pack("<I", 0x7FFFFFFF) + b"WAVEfmt "
                + struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * 2, 2, 16)
                + b"data" + struct.pack("<I", 0x7FFFFFFF - 36)
            )
        self.file.write(samples)
        self.file.flush()
