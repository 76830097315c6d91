"""A handset of PJSIP's pjsua2 (PyPI: pjsua2-python): sound alone, reliable provisional responses, MWI."""

import json
import select
import sys

import pjsua2 as pj
from lines import say, settings

HAS = settings()


class Call(pj.Call):
    """A call that plays the party's tone and records what comes, from early media on."""

    def onCallState(self, _):
        info = self.getInfo()
        match info.state:
            case pj.PJSIP_INV_STATE_EARLY:
                say("progress", status=info.lastStatusCode)
            case pj.PJSIP_INV_STATE_CONFIRMED:
                say("answered", call_id=info.callIdString)
            case pj.PJSIP_INV_STATE_DISCONNECTED:
                say("closed", status=info.lastStatusCode, reason=info.lastReason)
                phone.call = None

    def onCallMediaState(self, _):
        # Held by a name: what is in it goes when it goes.
        info = self.getInfo()
        for medium in info.media:
            if medium.type == pj.PJMEDIA_TYPE_AUDIO and medium.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                stream = self.getAudioMedia(medium.index)
                phone.microphone.startTransmit(stream)
                stream.startTransmit(phone.ear)


class Account(pj.Account):
    """The subscriber at the registrar."""

    def onRegState(self, state):
        say("registered" if state.code == 200 and state.expiration > 0 else "register", status=state.code)

    def onIncomingCall(self, incoming):
        phone.call = Call(self, incoming.callId)
        say("incoming", call_id=phone.call.getInfo().callIdString)
        phone.answer(180)
        if HAS["answers"]:
            phone.answer()

    def onMwiInfo(self, told):
        say("mwi", body=told.rdata.wholeMsg)


class Phone:
    """Endpoint, account, and the call there is."""

    def __init__(self):
        self.call = None
        self.endpoint = pj.Endpoint()
        self.endpoint.libCreate()
        config = pj.EpConfig()
        config.logConfig.level = 4
        config.logConfig.consoleLevel = 0
        config.logConfig.filename = "log"
        # Everything happens in this thread: Python is called from no other.
        config.uaConfig.threadCnt = 0
        config.uaConfig.mainThreadOnly = True
        config.medConfig.clockRate = 8000
        self.endpoint.libInit(config)
        transport = pj.TransportConfig()
        transport.port = HAS["port"]
        transport.boundAddress = "127.0.0.1"
        self.endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
        self.endpoint.libStart()
        self.endpoint.audDevManager().setNullDev()
        for codec in self.endpoint.codecEnum2():
            self.endpoint.codecSetPriority(codec.codecId, 0)
        # One or several, the best first.
        for place, name in enumerate(HAS.get("audio", "PCMU").split(",")):
            rate = 16000 if name == "G722" else 8000
            self.endpoint.codecSetPriority(f"{name}/{rate}/1", 255 - place)
        self.microphone = pj.AudioMediaPlayer()
        self.microphone.createPlayer(HAS["tone"])
        self.ear = pj.AudioMediaRecorder()
        self.ear.createRecorder("heard.wav")
        account = pj.AccountConfig()
        account.idUri = f"sip:{HAS['user']}@{HAS['server']}"
        account.regConfig.registrarUri = f"sip:{HAS['server']}"
        account.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", HAS["user"], 0, HAS["password"]))
        account.callConfig.prackUse = pj.PJSUA_100REL_OPTIONAL
        account.mwiConfig.enabled = True
        account.mediaConfig.transportConfig.boundAddress = "127.0.0.1"
        account.mediaConfig.srtpUse = getattr(pj, "PJMEDIA_SRTP_" + HAS.get("srtp", "disabled").upper())
        account.mediaConfig.srtpSecureSignaling = 0
        self.account = Account()
        self.account.create(account)
        say("ready")

    def answer(self, status=200):
        """Takes the call that came, or rings."""
        parameters = pj.CallOpParam()
        parameters.statusCode = status
        self.call.answer(parameters)

    def do(self, command):
        """One command of the test; false at the last."""
        match command["do"]:
            case "dial":
                self.call = Call(self.account)
                self.call.makeCall(command["uri"], pj.CallOpParam(True))
            case "answer":
                self.answer()
            case "hangup" if self.call:
                self.call.hangup(pj.CallOpParam(True))
            case "press":
                self.call.dialDtmf(command["key"])
            case "quit":
                return False
        return True

    def run(self):
        """Until the test has said its last word, or is gone."""
        while True:
            self.endpoint.libHandleEvents(20)
            while select.select([sys.stdin], [], [], 0)[0]:
                line = sys.stdin.readline()
                if not line or not self.do(json.loads(line)):
                    # In this order: a recorder that outlives the endpoint ends the process with an assertion.
                    self.call = self.ear = self.microphone = None
                    self.account.shutdown()
                    self.endpoint.libDestroy()
                    return


phone = Phone()
phone.run()
