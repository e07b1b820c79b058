"""What `labkit check` sees: each page, on the lab's own network and through the host's ports, and who has the VIP."""

from dataclasses import dataclass
from typing import Literal

import requests

from labkit.cluster.lab import Lab
from labkit.language import Text, listed, same
from labkit.render import heading

TIMEOUT_S = 5

_OF_A_NODE = Text("page of {node}", "página de {node}")
_OF_THE_VIP = Text("page of the VIP", "página de la IP virtual")
_ELSEWHERE = Text(
    "the engine is at {where}, and its loopback is not ours", "el motor está en {where}, y su loopback no es el nuestro"
)
_NO_PAGE = Text("{url} shows no node's page ({trouble})", "{url} no muestra la página de ningún nodo ({trouble})")
_SHOULD = Text("{seen}, and {owners} should answer there", "{seen}, y allí debería responder {owners}")


@dataclass(frozen=True)
class Sight:
    """One look, judged. check: what was looked at; detail: what was seen, and what was expected if it differs."""

    check: Text
    verdict: Literal["pass", "fail", "unknown"]
    detail: Text


def look(lab: Lab) -> list[Sight]:
    """Gets index.html from both nodes' addresses and from the VIP, from the client and from this host."""
    owners = lab.owners()
    wanted = [(_OF_A_NODE.filled(node=name), str(node.address), [name]) for name, node in lab.spec.nodes.items()] + [
        (_OF_THE_VIP, lab.vip, owners)
    ]
    fetched = lab.client.ask("/usr/lib/labkit/fetch", *(f"http://{address}/" for _, address, _ in wanted))
    sights = [
        _page(
            lab, check, f"http://{address}/", answer["page"], answer["error"] or f"status {answer['status']}", expected
        )
        for (check, address, expected), answer in zip(wanted, fetched, strict=True)
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
    sights = []
    for inside, expected in wanted.items():
        url = f"http://127.0.0.1:{published.get(inside, inside)}/"
        if not lab.engine.is_local:
            sights.append(Sight(same(url), "unknown", _ELSEWHERE.filled(where=lab.engine.where)))
            continue
        try:
            answer = requests.get(url, timeout=TIMEOUT_S)
            page, trouble = answer.text, f"status {answer.status_code}"
        except requests.RequestException as error:
            page, trouble = "", type(error).__name__
        sights.append(_page(lab, same(url), url, page, trouble, expected))
    return sights


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
