"""Found and being found by mDNS, really, each in a network of its own (a namespace of Linux)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import lacking

pytest.importorskip("zeroconf")
pytestmark = pytest.mark.slow

BEGIN = """
import socket, subprocess, sys, threading
sys.path.insert(0, sys.argv[1])
from tests.support.values import INFO, make_frame
from tests.support.waiting import wait_until

def ip(words):
    subprocess.run(["ip", *words.split()], check=True)

ip("link set lo up")
"""
NETWORK = """
ip("link add show type veth peer name there")
ip("link set there up")
ip("addr add 10.1.2.3/24 dev show")
ip("link set show up")
ip("route add default dev show")
"""

FOUND = """
from zeroconf import IPVersion, ServiceInfo, Zeroconf
from streamtag.discovery.browsing import Browser
from streamtag.osc.sink import OscSink
from tests.support.osc import Receiver

sink = OscSink("touchosc", None)
sink.open(INFO)
assert "nobody announces this name" in sink.trouble, sink.trouble
sink.frame(make_frame(1))
assert sink.drops == 1

{network}

def announced(port, name="TouchOSC on iPad"):
    kind = "_osc._udp.local."
    at = [socket.inet_aton("10.1.2.3")]
    info = ServiceInfo(kind, f"{{name}}.{{kind}}", port=port, addresses=at, server="ipad.local.")
    there = Zeroconf(interfaces=["10.1.2.3"], ip_version=IPVersion.V4Only)
    there.register_service(info)
    return there, info

def heard(receiver):
    sink.frame(make_frame(2))
    return receiver.messages()

first, second = Receiver("10.1.2.3"), Receiver("10.1.2.3")
there, info = announced(first.port)
wait_until(lambda: heard(first), "frames at the receiver that was named")
assert sink.trouble is None, sink.trouble

info.port = second.port
there.update_service(info)
wait_until(lambda: heard(second), "frames where it is now")
assert sink.trouble is None, sink.trouble

there.close()
browser = Browser()
browser.open()
assert heard(second), "one that is announced no more is sent to all the same"
there, info = announced(second.port, "Lights")
wait_until(lambda: [found.name for found in browser.receivers] == ["Lights"], "the list")
[lights] = browser.receivers
assert (lights.host, lights.port, lights.machine) == ("10.1.2.3", second.port, "ipad")
assert browser.find("LIGHTS") == lights and browser.find("light") == lights and browser.find("sound") is None
command = [sys.executable, "-m", "streamtag", "receivers", "--seconds", "8"]
listed = subprocess.run(command, capture_output=True, text=True, cwd=sys.argv[1])
assert f"Lights  10.1.2.3:{{second.port}}" in listed.stdout, listed
assert listed.returncode == 0 and listed.stderr == "", listed
there.close()
wait_until(lambda: not browser.receivers, "its end")
browser.close()
sink.close()
first.socket.close()
second.socket.close()
wait_until(lambda: not [each for each in threading.enumerate() if each.name == "streamtag-browse"], "the threads' end")
print("all found")
"""

ANNOUNCED = """
from zeroconf import ServiceBrowser, ServiceStateChange, Zeroconf
from streamtag.osc.control import ControlPort
from streamtag.web.sink import WebSink

seen = {{}}
def note(zeroconf, service_type, name, state_change):
    if state_change is ServiceStateChange.Removed:
        seen.pop((service_type, name))
    else:
        seen[service_type, name] = zeroconf.get_service_info(service_type, name)

shown = WebSink("0.0.0.0", 0, control=ControlPort("0.0.0.0", 9001), announce=True)
shown.open(INFO)
assert shown.trouble is None, shown.trouble
assert not shown._port.announcement.names
{network}
others = Zeroconf(interfaces=["10.1.2.3"])
kinds = ["_oscjson._tcp.local.", "_osc._udp.local."]
ServiceBrowser(others, kinds, handlers=[note])
hidden = WebSink("127.0.0.1", 0, announce=True)
hidden.open(INFO)
wait_until(lambda: len(seen) == 2, "both services, of a session that was there before the network")
by_kind = {{kind: info for (kind, _), info in seen.items()}}
assert [by_kind[kind].port for kind in kinds] == [shown.port, 9001]
assert all(info.parsed_addresses() == ["10.1.2.3"] for info in seen.values()), "one address"
assert all(name.startswith("streamtag on ") and f" ({{shown.port}})." in name for _, name in seen), seen
again = WebSink("10.1.2.3", 0, announce=True)
again.open(INFO)
wait_until(lambda: len(seen) == 3, "a second session, under a name of its own")
for sink in (again, shown, hidden):
    assert sink.trouble is None, sink.trouble
    sink.close()
wait_until(lambda: not seen, "their end")
others.close()
assert not [each for each in threading.enumerate() if each.name.startswith("streamtag")]
print("all found")
"""


@pytest.mark.parametrize("what", [FOUND, ANNOUNCED], ids=["receivers are found", "streamtag is found"])
def test_in_a_network_that_comes_late(what: str) -> None:
    namespace = ["unshare", "--map-root-user", "--net"]
    if not (shutil.which("unshare") and shutil.which("ip")):
        lacking("unshare or ip is missing (packages util-linux, iproute2)")
    if subprocess.run([*namespace, "true"], capture_output=True).returncode:
        lacking("network namespaces are not permitted here")
    code = BEGIN + what.format(network=NETWORK)
    script = [sys.executable, "-W", "error", "-c", code, str(Path(__file__).parents[2])]
    ended = subprocess.run([*namespace, *script], capture_output=True, text=True, timeout=240)
    assert ended.stdout == "all found\n", ended.stderr
    assert ended.stderr == ""
