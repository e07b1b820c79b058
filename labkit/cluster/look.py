"""What `labkit check` sees: each page, on the lab's own network and through the host's ports, and who has the VIP.

Where the engine's 127.0.0.1 is not ours, a helper on the engine's host asks there.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal

import requests

from labkit.cluster.lab import Lab
from labkit.language import Text, listed, same
from labkit.render import heading

TIMEOUT_S = 5
FETCH = "/usr/lib/labkit/fetch"

_OF_A_NODE = Text("page of {node}", "página de {node}")
_OF_THE_VIP = Text("page of the VIP", "página de la IP virtual")
_ON_ITS_HOST = Text("{url} on the engine's host", "{url} en la máquina del motor")
_NO_PAGE = Text("{url} shows no node's page ({trouble})", "{url} no muestra la página de ningún nodo ({trouble})")
_SHOULD = Text("{seen}, and {owners} should answer there", "{seen}, y allí debería responder {owners}")


@dataclass(frozen=True)
class Sight:
    """One look, judged. check: what was looked at; detail: what was seen, and what was expected if it differs."""

    check: Text
    verdict: Literal["pass", "fail", "unknown"]
    detail: Text


def look(lab: Lab) -> list[Sight]:
    """Gets index.html from both nodes' addresses and from the VIP, from the client and from the engine's host."""
    owners = lab.owners()
    wanted = [(_OF_A_NODE.filled(node=name), str(node.address), [name]) for name, node in lab.spec.nodes.items()] + [
        (_OF_THE_VIP, lab.vip, owners)
    ]
    urls = [f"http://{address}/" for _, address, _ in wanted]
    answers = _told(lab.client.ask(FETCH, *urls))
    sights = [
        _page(lab, check, url, page, trouble, expected)
        for (check, _, expected), url, (page, trouble) in zip(wanted, urls, answers, strict=True)
    ]
    return [*sights, _one_owner(lab, owners), *_through_ports(lab, owners)]


def _one_owner(lab: Lab, owners: list[str]) -> Sight:
    seen = Text(
        "{vip} is answered for by {owners} (ARP, asked by the client)",
        "por {vip} responde {owners} (ARP, preguntado por el cliente)",
    )
    return Sight(
        Text("one owner of the VIP", "un solo dueño de la IP virtual"),
        "pass" if len(owners) == 1 else "fail",
        seen.filled(vip=lab.vip, owners=_names(owners)),
    )


def _through_ports(lab: Lab, owners: list[str]) -> list[Sight]:
    """The same pages as a user's browser gets them."""
    first, second = lab.spec.nodes
    ports = lab.spec.ports
    wanted = {ports.first_http: [first], ports.second_http: [second], ports.vip_http: owners}
    published = lab.gateway.published()
    urls = [f"http://127.0.0.1:{published.get(inside, inside)}/" for inside in wanted]
    if lab.engine.is_local:
        answers = [_fetched(url) for url in urls]
    else:
        told = lab.engine.run_helper(lab.client.image, lab.name, [FETCH, *urls], network_mode="host")
        answers = _told(json.loads(told))
    checks = [same(url) if lab.engine.is_local else _ON_ITS_HOST.filled(url=url) for url in urls]
    return [
        _page(lab, check, url, page, trouble, expected)
        for check, url, (page, trouble), expected in zip(checks, urls, answers, wanted.values(), strict=True)
    ]


def _told(fetched: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """(page, trouble) of each address that the client's own command asked."""
    return [(one["page"], one["error"] or f"status {one['status']}") for one in fetched]


def _fetched(url: str) -> tuple[str, str]:
    """(page, trouble) of an address, asked from here."""
    try:
        answer = requests.get(url, timeout=TIMEOUT_S)
    except requests.RequestException as error:
        return "", type(error).__name__
    return answer.text, f"status {answer.status_code}"


def _page(lab: Lab, check: Text, url: str, page: str, trouble: str, expected: list[str]) -> Sight:
    """Whether a page is that of exactly the one node that is expected."""
    shown = [name for name in lab.nodes if heading(name) in page]
    seen = (
        Text("{url} shows {page}", "{url} muestra {page}").filled(url=url, page=heading(shown[0]))
        if shown
        else _NO_PAGE.filled(url=url, trouble=trouble)
    )
    if len(expected) != 1:
        return Sight(check, "fail", _SHOULD.filled(seen=seen, owners=_names(expected)))
    if shown == expected:
        return Sight(check, "pass", seen)
    wanted = Text("{seen}, expected {page}", "{seen}, se esperaba {page}")
    return Sight(check, "fail", wanted.filled(seen=seen, page=heading(expected[0])))


def _names(nodes: list[str]) -> Text:
    return listed([same(node) for node in nodes], Text(" and ", " y ")) if nodes else Text("nobody", "nadie")
