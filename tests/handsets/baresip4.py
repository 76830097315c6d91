"""A handset of baresip 4 (PyPI: baresip-python): sound and VP8, reliable provisional responses, MWI, SRTP."""

import asyncio
import json
import sys

import baresip
from lines import Heard, say, settings, tone

HAS = settings()
WIDTH, HEIGHT = 640, 360
# What it films: one colour, as packed I420.
FRAME = b"".join(bytes([value]) * size for value, size in zip(HAS["yuv"], [WIDTH * HEIGHT] + [WIDTH * HEIGHT // 4] * 2))


class Phone:
    """The agent, and the call there is."""

    def __init__(self):
        self.call, self.seen, self.heard = None, None, Heard("heard.wav")
        self.microphone, self.rate = tone(HAS["tone"])

    async def run(self):
        """Until the test has said its last word, or is gone."""
        runtime = baresip.Runtime(native_log_level="info")
        await runtime.start(
            baresip.Config(
                net_interface="127.0.0.1",
                video_size=(WIDTH, HEIGHT),
                video_fps=15.0,
                sip_trace=False,
                extra_config_text=f"sip_listen 127.0.0.1:{HAS['port']}\n",
            )
        )
        parameters = ["mwi=yes", "100rel=yes"]
        if HAS.get("srtp"):
            parameters.append(f"mediaenc={HAS['srtp']}")
        account = baresip.Account(
            HAS["user"],
            HAS["server"],
            HAS["password"],
            audio_codecs=(HAS.get("audio", "pcmu"),),
            extra_params=tuple(parameters),
        )
        agent = await baresip.UserAgent.create(runtime, account)
        agent.on_incoming(self.incoming)
        agent.on(self.told)
        await agent.register()
        say("registered")
        say("ready")
        media = asyncio.create_task(self.media())
        media.add_done_callback(lambda ended: ended.cancelled() or say("failed", reason=repr(ended.exception())))
        lines = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        while line := await lines.readline():
            command = json.loads(line)
            if command["do"] == "quit":
                break
            await self.do(agent, command)
        media.cancel()
        await runtime.close()

    async def do(self, agent, command):
        """One command of the test."""
        match command["do"]:
            case "dial":
                self.call = await agent.dial(command["uri"], video=HAS["video"])
                self.call.on(self.happened)
            case "answer":
                await self.answer()
            case "hangup" if self.call:
                await self.call.hangup()
            case "press":
                await self.call.send_dtmf(command["key"])
            case "look":
                self.look(command["file"])

    async def answer(self):
        """Takes the call; the stack may not be ready for that in the moment in which it says that it rings."""
        for _ in range(20):
            try:
                return await self.call.answer(video=HAS["video"])
            except baresip.StaleHandleError:
                raise
            except baresip.BaresipError as error:
                failure = error
                await asyncio.sleep(0.1)
        say("failed", reason=str(failure))

    def incoming(self, call):
        """A call rings."""
        self.call = call
        call.on(self.happened)
        say("incoming")
        if HAS["answers"]:
            asyncio.create_task(self.answer())

    def told(self, event):
        """Something of the agent."""
        if event.event is baresip.Event.MWI_NOTIFY:
            say("mwi", body=event.text or "")

    def happened(self, event):
        """Something of the call."""
        names = {
            baresip.Event.CALL_RINGING: "progress",
            baresip.Event.CALL_PROGRESS: "progress",
            baresip.Event.CALL_ESTABLISHED: "answered",
            baresip.Event.CALL_CLOSED: "closed",
        }
        if name := names.get(event.event):
            say(name, call_id=event.call_id or "", reason=event.text or "")
        if event.event is baresip.Event.CALL_CLOSED:
            self.call, self.seen = None, None

    async def media(self):
        """Speaks, films, listens and looks."""
        while True:
            await asyncio.sleep(0.02)
            if self.call is None:
                continue
            try:
                self.sound(self.call.audio)
            except (baresip.AudioNotActive, baresip.AudioRestarted):
                pass
            if not HAS["video"]:
                continue
            try:
                self.call.video.write_frame(FRAME)
                self.seen = self.call.video.read_frame() or self.seen
            except (baresip.VideoNotActive, baresip.VideoRestarted):
                pass

    def sound(self, audio):
        """Says what fits, takes what came."""
        info = audio.info()
        if info.rx_ready and (samples := audio.read(65_536)):
            mono = bytes(memoryview(samples).cast("h")[:: info.rx_channels])
            self.heard.write(info.rx_sample_rate, mono)
        if info.tx_ready and info.tx_buffered < info.tx_sample_rate // 5:
            # The tone lasts a whole number of its periods: it goes on without a click.
            piece, self.microphone = self.microphone[:640], self.microphone[640:] + self.microphone[:640]
            audio.write(piece)

    def look(self, path):
        """The picture that came last, as a PPM of grey and colour that ffmpeg reads."""
        if self.seen is None:
            say("looked", file=None)
            return
        with open(path, "wb") as file:
            file.write(b"YUV4MPEG2 W%d H%d F1:1 C420\nFRAME\n" % (self.seen.width, self.seen.height) + self.seen.data)
        say("looked", file=path)


asyncio.run(Phone().run())
