"""A handset of linphonec (Debian: linphone-cli): sound and VP8, driven by its own prompt."""

import json
import os
import re
import subprocess
import sys
import threading

from lines import say, settings

HAS = settings()
# What its prompt says, and what that means.
MEANINGS = [
    (re.compile(r"registered, identity"), "registered"),
    (re.compile(r"Receiving new incoming call"), "incoming"),
    (re.compile(r"Call \d+ to \S+ ringing|early media"), "progress"),
    (re.compile(r"Call \d+ with .* (connected|answered)"), "answered"),
    (re.compile(r"Call \d+ with .* (ended|error|declined)"), "closed"),
    (re.compile(r"Notify type (.*)|messages-waiting", re.I), "mwi"),
]

# Its codecs for sound, in its order; on are those that the test names.
CODECS = [("opus", 48000, 2), ("speex", 16000, 1), ("speex", 8000, 1), ("PCMU", 8000, 1), ("PCMA", 8000, 1), ("G722", 8000, 1), ("G729", 8000, 1)]
wanted = HAS.get("audio", "PCMU").split(",")
codecs = "".join(
    f"[audio_codec_{place}]\nmime={mime}\nrate={rate}\nchannels={channels}\nenabled={int(mime in wanted)}\n"
    for place, (mime, rate, channels) in enumerate(CODECS)
)

os.makedirs(".local/share/linphone", exist_ok=True)
with open("linphonerc", "w") as file:
    # MSExtDisplay draws nowhere, but decodes: no screen is needed to look.
    file.write(f"""[sip]
sip_port={HAS['port']}
sip_tcp_port=0
sip_tls_port=0
use_ipv6=0
bind_address=127.0.0.1
guess_hostname=0
contact=sip:{HAS['user']}@127.0.0.1
media_encryption={'srtp' if HAS.get('srtp') else 'none'}
media_encryption_mandatory={int(bool(HAS.get('srtp')))}
[net]
dns_srv_enabled=0
[rtp]
audio_rtp_port={HAS['port'] + 2}
video_rtp_port={HAS['port'] + 4}
[video]
enabled={int(HAS['video'])}
capture={int(HAS['video'])}
display={int(HAS['video'])}
displaytype=MSExtDisplay
size=cif
automatically_initiate={int(HAS['video'])}
automatically_accept={int(HAS['video'])}
{codecs}""")

arguments = ["linphonec", "-c", "linphonerc", "-l", "log", "-d", "5"] + (["-C", "-D"] if HAS["video"] else []) + (["-a"] if HAS["answers"] else [])
phone = subprocess.Popen(
    arguments, env={**os.environ, "HOME": os.getcwd()}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
)


def tell(line):
    """Types a line."""
    try:
        phone.stdin.write(line + "\n")
        phone.stdin.flush()
    except BrokenPipeError:
        pass


def listen():
    """Until the phone ends."""
    with open("prompt", "w", buffering=1) as prompt:
        for line in phone.stdout:
            prompt.write(line)
            for pattern, event in MEANINGS:
                if pattern.search(line):
                    if event == "registered":
                        registered.set()
                    say(event, text=line.strip())
            if taken := re.search(r"Taking video snapshot in file (\S+)", line):
                say("looked", file=taken[1])
    say("gone", status=phone.wait())


registered = threading.Event()
threading.Thread(target=listen, daemon=True).start()
tell("soundcard use files")
tell(f"play {HAS['tone']}")
tell("record heard.wav")
if HAS["video"]:
    tell(f"staticpic set {HAS['picture']}")
tell(f"register sip:{HAS['user']}@{HAS['server']} sip:{HAS['server']} {HAS['password']}")
say("ready")


def ask():
    """It does not say by itself that it has registered."""
    while phone.poll() is None and not registered.wait(0.3):
        tell("status register")


threading.Thread(target=ask, daemon=True).start()
while phone.poll() is None:
    line = sys.stdin.readline()
    command = json.loads(line) if line else {"do": "quit"}
    match command["do"]:
        case "dial":
            tell(f"call {command['uri']}")
        case "answer":
            tell("answer")
        case "hangup":
            tell("terminate")
        case "press":
            tell(command["key"])
        case "look":
            tell(f"snapshot {command['file']}")
        case "quit":
            tell("quit")
            try:
                phone.wait(3)
            except subprocess.TimeoutExpired:
                phone.kill()
            break
