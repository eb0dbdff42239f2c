"""Home Assistant's MQTT discovery: which entities a session has, as the configurations that it looks for.

Its documentation (MQTT discovery, and the pages of MQTT sensors and binary sensors) says what each key means. A sensor
with a unit is a number to it, so texts have none.
"""

from __future__ import annotations

import json
from typing import Any

from streamtag import __version__
from streamtag._slugs import slug, slugs
from streamtag.sinks.base import MUSIC, SessionInfo

DISCOVERY_PREFIX = "homeassistant"


def discovery(prefix: str, info: SessionInfo) -> dict[str, dict[str, Any]]:
    """The configuration of each entity.

    Parameters
    ----------
    prefix : str
        What topics of the session begin with.
    info : SessionInfo
        Its tags and heads.

    Returns
    -------
    dict of {str: dict}
        By topic, below the prefix that Home Assistant looks at.
    """
    node = slug(prefix.replace("/", "_"))
    node = node if node.startswith("streamtag") else f"streamtag_{node}"
    common = {
        "state_topic": f"{prefix}/state",
        "availability_topic": f"{prefix}/status",
        "device": {"identifiers": [node], "name": prefix, "model": info.model, "sw_version": __version__},
        "origin": {"name": "streamtag", "sw_version": __version__},
    }
    found: dict[str, dict[str, Any]] = {}

    def add(kind: str, key: str, name: str, template: str, **more: Any) -> None:
        about = {"name": name, "unique_id": f"{node}_{key}", "value_template": f"{{{{ {template} }}}}"}
        found[f"{kind}/{node}/{key}/config"] = {**about, **common, **more}

    def switch(key: str, name: str, condition: str, **more: Any) -> None:
        add("binary_sensor", key, name, f"'ON' if {condition} else 'OFF'", **more)

    top = "value_json.top | default([], true)"
    add("sensor", "top", "Top tag", f"({top})[0][0] if {top} else ''", icon="mdi:music")
    level = "value_json.level_dbfs | default(none)"
    add("sensor", "level", "Level", level, unit_of_measurement="dB", state_class="measurement", icon="mdi:volume-high")
    music = "value_json.music | default(0)"
    switch("music", "Music", f"{music} >= {MUSIC:g}", device_class="sound")
    add("sensor", "state", "State", "value_json.state", entity_category="diagnostic")
    for head, of_head in slugs([head.name for head in info.heads]).items():
        labels = next(one.labels for one in info.heads if one.name == head)
        best = f"value_json.get('heads', {{}}).get({json.dumps(head, ensure_ascii=False)}, [])"
        add("sensor", f"head_{of_head}", head, f"{best}[0][0] if {best} else ''", icon="mdi:tag")
        on = f"value_json.get('heads_on', {{}}).get({json.dumps(head, ensure_ascii=False)}, [])"
        for label, of_label in slugs(labels).items():
            condition = f"{json.dumps(label, ensure_ascii=False)} in {on}"
            switch(f"head_{of_head}_{of_label}", f"{head}: {label}", condition)
    for label, of_label in slugs(info.labels).items():
        condition = f"{json.dumps(label, ensure_ascii=False)} in value_json.get('on', [])"
        switch(
            f"tag_{of_label}", label, condition, enabled_by_default=False
        )  # fifty are a crowd: who wants one says so
    return found
