"""What stands on the page and in the terminal beside what was seen, in English and in Spanish."""

from collections.abc import Iterator, Mapping
from typing import Any

from labkit import faults
from labkit.language import Language, Text
from labkit.plot import duration
from labkit.spec import Spec

WORDS: Mapping[str, Text] = {
    "title": Text("live view", "vista en vivo"),
    "other_language": Text("En español", "In English"),
    "skip": Text("Skip to the faults", "Ir a los fallos"),
    "connecting": Text("connecting ...", "conectando ..."),
    "lost": Text(
        "connection lost: does `labkit watch` still run? Trying again ...",
        "conexión perdida: ¿sigue `labkit watch` en marcha? Se intenta de nuevo ...",
    ),
    "over": Text("The watch has ended: {why}", "La observación terminó: {why}"),
    "held": Text("in use by {holder}", "en uso por {holder}"),
    "nodes": Text("The nodes", "Los nodos"),
    "has_vip": Text("has the VIP", "tiene la IP virtual"),
    "no_vip": Text("does not have the VIP", "no tiene la IP virtual"),
    "serves": Text("serves the client", "atiende al cliente"),
    "node_is": Text("node", "nodo"),
    "heartbeats": Text("heartbeats", "latidos"),
    "beating": Text("{rate}/s, the last {ago} ago", "{rate}/s, el último hace {ago}"),
    "silent": Text("silent for {ago}", "en silencio desde hace {ago}"),
    "none_heard": Text("none heard", "no se oye ninguno"),
    "resources": Text("resources", "recursos"),
    "apache2": Text("web server", "servidor web"),
    "runs": Text("runs", "en marcha"),
    "stopped": Text("stopped", "detenido"),
    "minute": Text("The last minute, second by second", "El último minuto, segundo a segundo"),
    "answers": Text("client's answers", "respuestas al cliente"),
    "owner": Text("VIP", "IP virtual"),
    "good_from": Text("good, from {node}", "bien, de {node}"),
    "failed": Text("no good answer", "sin respuesta buena"),
    "minute_ago": Text("a minute ago", "hace un minuto"),
    "now": Text("now", "ahora"),
    "trial": Text("The trial", "El ensayo"),
    "no_trial": Text("Press a fault, and what happens is told here.", "Pulse un fallo, y aquí se cuenta lo que pasa."),
    "without": Text("no good answer for {ago}", "sin respuesta buena desde hace {ago}"),
    "on": Text("{fault} on {node}", "{fault} en {node}"),
    "after_fault": Text("after the fault", "tras el fallo"),
    "seen": Text("what was seen", "lo que se vio"),
    "results": Text("Measured so far", "Medido hasta ahora"),
    "no_results": Text("Nothing yet.", "Nada aún."),
    "fault": Text("fault", "fallo"),
    "outage": Text("outage", "interrupción"),
    "detection": Text("detection", "detección"),
    "takeover": Text("takeover", "toma"),
    "failback": Text("failback", "vuelta"),
    "served_by": Text("served by", "atiende"),
    "checks": Text("checks", "juicio"),
    "pass": Text("pass", "bien"),
    "fail": Text("FAIL", "MAL"),
    "unknown": Text("unknown", "no se sabe"),
    "report": Text("report", "informe"),
    "said": Text("What has happened", "Lo que ha pasado"),
    "ago": Text("{ago} ago", "hace {ago}"),
    "faults": Text("Press a fault", "Pulse un fallo"),
    "how": Text(
        "It strikes the node that has the VIP, is measured, and is healed.",
        "Golpea al nodo que tiene la IP virtual, se mide y se cura.",
    ),
    "moves": Text("The VIP should move", "La IP virtual debería moverse"),
    "stays": Text("The VIP should stay", "La IP virtual debería quedarse"),
    "end": Text("Ctrl-C ends the watch; the lab stays.", "Ctrl-C termina la observación; el laboratorio se queda."),
}
BAND = Text("{low} to {high} predicted", "se prevén de {low} a {high}")
NO_OUTAGE = Text("no outage predicted", "no se prevé interrupción")
NO_BAND = Text("no prediction", "sin previsión")


def words(language: Language) -> dict[str, str]:
    """All of WORDS in one language."""
    return {name: text.within(language) for name, text in WORDS.items()}


def catalogue(spec: Spec, language: Language) -> Iterator[dict[str, Any]]:
    """What can be pressed: name, description, whether the VIP should move, and the predicted outage in words."""
    for name, fault in faults.all_faults().items():
        expected = fault.expect(spec)
        band = expected.outage_ms
        if band is None:
            predicted = NO_BAND
        elif band == (0.0, 0.0):
            predicted = NO_OUTAGE
        else:
            predicted = BAND.filled(low=duration(band[0]), high=duration(band[1]))
        described = Text(fault.describe, fault.describe_es).within(language)
        yield {
            "name": name,
            "describe": described,
            "moves": expected.moves,
            "predicted": predicted.within(language),
        }
