"""Which device is meant: lists as PortAudio and sound servers give them, of several systems."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamtag.errors import DeviceError
from streamtag.sources.names import Device, again, choose, exactly
from streamtag.sources.server import ServerSource

INPUTS = [
    Device(1, "USB Mixer Pro", "ALSA", 8, 96_000, False),
    Device(2, "USB Mixer", "ALSA", 4, 44_100, False),
    Device(3, "Built-in Mic", "ALSA", 1, 48_000, False),
    Device(4, "default", "ALSA", 32, 44_100, True),
]


@pytest.mark.parametrize(
    ("given", "index"),
    [("default", 4), ("1", 1), (3, 3), ("USB Mixer", 2), ("usb mixer pro", 1), ("built", 3), (" Mic ", 3), ("PRO", 1)],
)
def test_a_device_by_index_exact_name_or_part(given: str | int, index: int) -> None:
    assert choose(INPUTS, given).index == index


def test_where_none_is_the_default_the_first_is() -> None:
    assert choose(INPUTS[:3], "default").index == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("mixer", "several inputs match 'mixer': 1 'USB Mixer Pro', 2 'USB Mixer'"),
        ("Built-in Mike", "no input is called 'Built-in Mike'. Did you mean 3 'Built-in Mic'?"),
        ("zzz", "no input is called 'zzz'. There are: 1 'USB Mixer Pro', 2 'USB Mixer', 3"),
        ("0", "no input is called '0'"),
        ("17", "no input is called '17'"),
        ("-1", "no input is called '-1'"),
    ],
)
def test_a_device_that_is_none_or_several(given: str, said: str) -> None:
    with pytest.raises(DeviceError) as caught:
        choose(INPUTS, given)
    assert said in str(caught.value)


def test_without_any_input_the_message_says_what_works() -> None:
    for given, said in (("default", "on this machine. Without"), ("Scarlett", "so none called 'Scarlett'")):
        with pytest.raises(DeviceError, match="no sound input on this machine") as caught:
            choose([], given)
        assert said in str(caught.value)
        assert "--input demo" in str(caught.value)


def test_a_list_in_a_message_is_short_and_tells_hosts_where_there_are_several() -> None:
    many = [Device(number, f"Input {number}", "ALSA", 2, 48_000, False) for number in range(30)]
    with pytest.raises(DeviceError) as caught:
        choose(many, "zzz")
    assert "19 'Input 19', and 10 more: see `streamtag devices`" in str(caught.value)
    with pytest.raises(DeviceError, match=r"4 'default' \(ALSA\), 5 'system' \(JACK Audio Connection Kit\)"):
        choose([*INPUTS, Device(5, "system", "JACK Audio Connection Kit", 2, 48_000, False)], "zzz")


# --- several hosts ------------------------------------------------------------------------------------------------

# what PortAudio lists on Windows with VB-Cable and one microphone: each once for each host
WINDOWS = [
    Device(0, "Microsoft Sound Mapper - Input", "MME", 2, 44_100, True),
    Device(1, "CABLE Output (VB-Audio Virtual ", "MME", 16, 44_100, False),
    Device(2, "Microphone (Realtek(R) Audio)", "MME", 2, 44_100, False),
    Device(6, "Primary Sound Capture Driver", "Windows DirectSound", 2, 44_100, False),
    Device(7, "CABLE Output (VB-Audio Virtual Cable)", "Windows DirectSound", 16, 44_100, False),
    Device(8, "Microphone (Realtek(R) Audio)", "Windows DirectSound", 2, 44_100, False),
    Device(13, "CABLE Output (VB-Audio Virtual Cable)", "Windows WASAPI", 2, 48_000, False),
    Device(14, "Microphone (Realtek(R) Audio)", "Windows WASAPI", 2, 48_000, False),
    Device(19, "CABLE Output (VB-Audio Point)", "Windows WDM-KS", 16, 44_100, False),
    Device(20, "Microphone (Realtek HD Audio Mic input)", "Windows WDM-KS", 2, 44_100, False),
]


@pytest.mark.parametrize(
    ("given", "index"),
    [
        ("CABLE Output", 13),
        ("cable", 13),
        ("CABLE Output (VB-Audio Virtual Cable)", 13),
        ("CABLE Output (VB-Audio Virtual ", 13),
        ("CABLE Output (VB-Audio Virtual", 13),
        ("Microphone (Realtek(R) Audio)", 14),
        ("microphone", 14),
        ("CABLE Output, MME", 1),
        ("CABLE Output (VB-Audio Virtual Cable), MME", 1),
        ("CABLE Output (VB-Audio Virtual , MME", 1),
        ("CABLE Output, DirectSound", 7),
        ("CABLE Output (VB-Audio Virtual Cable), Windows DirectSound", 7),
        ("CABLE Output, WASAPI", 13),
        ("cable output, windows wdm-ks", 19),
        ("CABLE Output (VB-Audio Point)", 19),
        ("Point", 19),
        ("8", 8),
        ("default", 0),
        ("Primary Sound", 6),
    ],
)
def test_a_name_that_several_hosts_have(given: str, index: int) -> None:
    for devices in (WINDOWS, WINDOWS[::-1]):
        assert choose(devices, given).index == index


def test_two_devices_whose_names_mme_cuts_to_the_same() -> None:
    names = [f"Microphone (Focusrite USB Audio, {side})" for side in ("left", "right")]
    devices = [Device(number, name[:31], "MME", 2, 44_100, False) for number, name in enumerate(names)]
    devices += [Device(5 + number, name, "Windows WASAPI", 2, 48_000, False) for number, name in enumerate(names)]
    assert [choose(devices, name).index for name in names] == [5, 6]
    with pytest.raises(DeviceError, match="several inputs match"):
        choose(devices, names[0][:31])


def test_a_host_alone_or_a_foreign_one_is_no_name() -> None:
    for given in ("MME", ", MME", "CABLE Output, JACK", "CABLE Output,", ""):
        with pytest.raises(DeviceError, match="no input is called"):
            choose(WINDOWS, given)


@pytest.mark.parametrize("hosts", [("Core Audio", "ALSA"), ("JACK Audio Connection Kit", "ALSA"), ("ALSA", "OSS")])
def test_the_order_of_hosts(hosts: tuple[str, str]) -> None:
    devices = [Device(number, "Mixer", host, 2, 48_000, False) for number, host in enumerate(hosts)]
    assert choose(devices, "mixer").index == choose(devices[::-1], "Mixer").index == 0
    assert choose(devices, f"Mixer, {hosts[1]}").index == 1
    unknown = [Device(3, "Mixer", "Sndio", 2, 48_000, False), *devices]
    assert choose(unknown, "Mixer").index == 0


def test_a_comma_in_a_name_is_part_of_it() -> None:
    devices = [
        Device(0, "HDA: ALC257 (hw:0,0)", "ALSA", 2, 48_000, False),
        Device(1, "In 1, JACK", "Core Audio", 2, 48_000, False),
    ]
    assert choose(devices, "HDA: ALC257 (hw:0,0)").index == 0
    assert choose(devices, "hw:0,0").index == 0
    assert choose(devices, "In 1, JACK").index == 1
    assert choose(devices, "In 1, JACK, core audio").index == 1


# --- sound servers ------------------------------------------------------------------------------------------------


def served(name: str, description: str, *, monitor: bool = False) -> Device:
    source = ServerSource(name, description, "PulseAudio", ("front-left", "front-right"), 48_000, monitor)
    return Device(-1, description, "PulseAudio", 2, 48_000, False, source, asks_server=True, opened_as=7)


SERVED = [
    Device(0, "Scarlett 2i2 USB: Audio (hw:1,0)", "ALSA", 2, 48_000, False),
    Device(7, "pulse", "ALSA", 2, 48_000, True),
    served("alsa_input.pci.analog-stereo", "Built-in Audio Analog Stereo"),
    served("alsa_output.pci.analog-stereo.monitor", "Monitor of Built-in Audio Analog Stereo", monitor=True),
    served("alsa_input.usb-Focusrite.analog-stereo", "Scarlett 2i2 Analog Stereo"),
    served("alsa_output.usb-Focusrite.analog-stereo.monitor", "Monitor of Scarlett 2i2 Analog Stereo", monitor=True),
]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Scarlett", "Scarlett 2i2 USB: Audio (hw:1,0)"),  # as before: what PortAudio itself sees comes first
        ("Scarlett 2i2 Analog", "Scarlett 2i2 Analog Stereo"),
        ("Scarlett, PulseAudio", "Scarlett 2i2 Analog Stereo"),
        ("Built-in", "Built-in Audio Analog Stereo"),
        ("Monitor of Built-in", "Monitor of Built-in Audio Analog Stereo"),
        ("alsa_output.pci.analog-stereo.monitor", "Monitor of Built-in Audio Analog Stereo"),
        ("alsa_input.usb-Focusrite.analog-stereo", "Scarlett 2i2 Analog Stereo"),
        ("pulse", "pulse"),
        ("7", "pulse"),
    ],
)
def test_a_source_of_a_sound_server_by_its_name(given: str, name: str) -> None:
    assert choose(SERVED, given).name == name


def test_two_monitors_in_part_are_several() -> None:
    with pytest.raises(DeviceError, match=r"several inputs match 'monitor': 'Monitor of Built-in"):
        choose(SERVED, "monitor")


def test_what_is_opened_for_a_source_is_the_servers_device() -> None:
    assert [device.portaudio_index for device in SERVED] == [0, 7, 7, 7, 7, 7]


# --- after it was gone --------------------------------------------------------------------------------------------


def test_the_device_of_before_is_the_one_of_its_name_and_host() -> None:
    mixer = INPUTS[1]
    other, same = Device(5, "USB Mixer", "JACK", 2, 48_000, False), Device(6, "USB Mixer", "ALSA", 2, 48_000, False)
    assert again([other, same], mixer, "USB Mixer") is same
    assert again([*INPUTS[2:], other], mixer, "USB Mixer") is other
    with pytest.raises(DeviceError, match="no input is called 'USB Mixer'"):
        again(INPUTS[2:], mixer, "USB Mixer")
    with pytest.raises(DeviceError, match="no input is called 'USB Mixer' any more"):
        again([INPUTS[0], Device(2, "Other", "ALSA", 2, 48_000, False)], mixer, "2")
    for given in ("default", "4"):
        moved = [INPUTS[0], Device(9, "default", "ALSA", 2, 48_000, False), Device(3, "new", "ALSA", 2, 48_000, True)]
        assert again(moved, INPUTS[3], given).name == ("new" if given == "default" else "default")


def card(number: int, index: int = 3, name: str = "USB PnP Sound Device: Audio", device: int = 0) -> Device:
    return Device(index, f"{name} (hw:{number},{device})", "ALSA", 1, 44_100, False)


@pytest.mark.parametrize("given", ["USB PnP Sound Device: Audio (hw:1,0)", "3", 3, "PnP", "(hw:1,0)"])
def test_a_device_back_under_another_card_number_is_found(given: str | int) -> None:
    others = [
        Device(0, "HDA: ALC257 (hw:0,0)", "ALSA", 2, 48_000, False),
        card(2, 5, "HDMI: Audio"),
        card(2, 6, device=1),
    ]
    back = card(2, 4)
    assert again([*others, back], card(1), given) is back
    if given != "PnP":  # which another has in its name, too
        with pytest.raises(DeviceError):
            again(others, card(1), given)


def test_of_two_identical_devices_the_unchanged_one_is_taken_or_the_one_that_is_left() -> None:
    one, two = card(1, 3), card(2, 4)
    assert again([one, two], two, "4") is two
    assert again([two, one], one, one.name) is one
    assert again([one], two, two.name) is one
    assert again([replace(two, host="OSS"), one], two, two.name) is one, "the host weighs more"


def test_a_full_name_of_another_day_is_found_at_the_start() -> None:
    assert choose([card(2, 4), *INPUTS], "USB PnP Sound Device: Audio (hw:1,0)").index == 4
    with pytest.raises(DeviceError, match="several inputs match"):
        choose([card(2, 4), card(3, 5)], "USB PnP Sound Device: Audio (hw:1,0)")


def test_windows_numbers_a_device_in_another_socket() -> None:
    before = Device(3, "Microphone (USB Audio)", "Windows WASAPI", 1, 48_000, False)
    back = Device(5, "Microphone (2- USB Audio)", "Windows WASAPI", 1, 48_000, False)
    assert again([*WINDOWS, back], before, "3") is back
    assert choose([before, back], back.name) is back
    assert choose([before, back], before.name) is before


def test_a_source_of_a_sound_server_is_found_by_either_name() -> None:
    before = SERVED[4]
    renamed = served("alsa_input.usb-Focusrite.2.analog-stereo", "Scarlett 2i2 Analog Stereo")
    assert again([*SERVED[:4], renamed], before, "Scarlett, PulseAudio") is renamed
    assert again([renamed, *SERVED], before, "Scarlett, PulseAudio") is before
    with pytest.raises(DeviceError):
        again(SERVED[:4], before, before.name)


def test_exactly_leaves_parts_and_emptiness_alone() -> None:
    assert exactly(INPUTS, "usb mixer") == [INPUTS[1]]
    assert exactly(INPUTS, "usb") == exactly(INPUTS, "") == exactly(INPUTS, "  ") == []
    nameless = Device(8, "", "ALSA", 2, 48_000, False)
    assert exactly([nameless], "") == []
    assert choose([nameless], "8") is nameless
