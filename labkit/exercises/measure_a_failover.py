"""A failover measured by the student with `labkit failover`, and its phases explained from that run's report."""

import re
from hashlib import sha256
from pathlib import Path

from labkit import history
from labkit.errors import BadInput
from labkit.exercises import Facts, Judged, Pair, Seen, Shape
from labkit.heartbeat import commands
from labkit.language import Text, same
from labkit.store import RunFolder
from labkit.timing import wait_until

name = "measure-a-failover"
order = 60
minutes = 20
needs = ("who-answers",)
title = Text("Measure a failover, and explain its phases", "Mida una conmutación y explique sus fases")
shape = Shape()
task = Text(
    """
{first} has {vip}, and both nodes are well. In `/etc/ha.d/ha.cf` stand keepalive {keepalive} and deadtime {deadtime}.
How long are clients without the page when {first} loses its power, and where does that time go?

1. On your own machine, in a folder without a `lab.yaml`, let labkit cut the power of the active node once, and measure:

       labkit failover --name {lab} --fault node-kill

   The pair is healed at the end. The last line names the run's folder; its `report.html` shows the same as the console
   and more. A table has the figures; the lines above it, or the report's phases, tell where the time goes.
2. Name the run: `labkit exercise answer run FOLDER`, with the whole path where it does not lie under the folder in
   which you are.
3. Answer from its report, in seconds: the outage (`outage`), the time until the peer noticed (`detection`), and the
   time from there until it had {vip} (`takeover`).
4. Which setting of `ha.cf` explains the detection (`setting`)?

Leave the nodes' configuration as it is: the run must be of this pair as it stands. You may measure as often as you
like, each run is another folder; answer for the one that you name. If it has more than one trial, the first counts.
""",
    """
{first} tiene {vip} y ambos nodos están bien. En `/etc/ha.d/ha.cf` hay keepalive {keepalive} y deadtime {deadtime}.
¿Cuánto tiempo se quedan los clientes sin la página cuando {first} pierde la corriente, y en qué se va ese tiempo?

1. En su propia máquina, en una carpeta sin `lab.yaml`, haga que labkit corte una vez la corriente del nodo activo y
   mida:

       labkit failover --name {lab} --fault node-kill

   Al final la pareja queda sana. La última línea nombra la carpeta de la ejecución; su `report.html` muestra lo mismo
   que la consola y más. Una tabla tiene las cifras; las líneas de encima, o las fases del informe, dicen en qué se va
   el tiempo.
2. Nombre la ejecución: `labkit exercise answer run CARPETA`, con la ruta completa si la carpeta no está bajo aquella en
   la que usted se encuentra.
3. Responda según su informe, en segundos: el corte del servicio (`outage`), el tiempo hasta que el otro nodo se dio
   cuenta (`detection`) y el tiempo desde ahí hasta que tuvo {vip} (`takeover`).
4. ¿Qué ajuste de `ha.cf` explica el tiempo de detección (`setting`)?

Deje la configuración de los nodos como está: la ejecución debe ser de esta pareja tal como es. Puede medir cuantas
veces quiera, cada ejecución es otra carpeta; responda por la que nombra. Si tiene más de un ensayo, cuenta el primero.
""",
)
hints = (
    Text(
        "The table's columns are called outage, detection and takeover. Mind the units: 700 ms are 0.7 s.",
        "Las columnas de la tabla se llaman outage, detection y takeover. Atención a las unidades: 700 ms son 0.7 s.",
    ),
    Text(
        "{second} logs `node {first}: is dead`. Until that line nothing was done at all. Compare its instant with the"
        " times in `ha.cf`.",
        "{second} registra `node {first}: is dead`. Hasta esa línea no se hizo nada en absoluto. Compare su instante"
        " con los tiempos de `ha.cf`.",
    ),
    Text(
        "A dead node says nothing. Its peer can only count how long it has heard nothing, and one setting says how long"
        " is too long. Measure again: the detection stays near that time.",
        "Un nodo muerto no dice nada. Su compañero solo puede contar cuánto tiempo lleva sin oírlo, y un ajuste dice"
        " cuánto es demasiado. Mida otra vez: la detección se mantiene cerca de ese tiempo.",
    ),
)
solution = Text(
    """
    labkit failover --name {lab} --fault node-kill
    labkit exercise answer run runs/...-node-kill-....        # as its last line names it
    labkit exercise answer outage ...                         # the table's figures, in seconds
    labkit exercise answer detection ...
    labkit exercise answer takeover ...
    labkit exercise answer setting deadtime

The outage has two parts. First nobody knows: a node without power sends no message that it is gone, so {second} waits
until it has heard nothing for `deadtime`, here {deadtime}. The last heartbeat was up to keepalive old when the power
went, and Heartbeat looks four times a second: so the detection takes between deadtime less keepalive and deadtime plus
a quarter of a second. Then comes the takeover, the work of some scripts: the address, the gratuitous ARP, apache2. It
takes some tenths of a second, and no setting of `ha.cf` changes it. Whoever wants a shorter outage shortens the
waiting, not the work.
""",
    """
    labkit failover --name {lab} --fault node-kill
    labkit exercise answer run runs/...-node-kill-....        # como la nombra su última línea
    labkit exercise answer outage ...                         # las cifras de la tabla, en segundos
    labkit exercise answer detection ...
    labkit exercise answer takeover ...
    labkit exercise answer setting deadtime

El corte tiene dos partes. Primero nadie lo sabe: un nodo sin corriente no avisa que se fue, de modo que {second} espera
hasta no haber oído nada durante `deadtime`, aquí {deadtime}. El último latido tenía como mucho la edad de keepalive
cuando se fue la corriente, y Heartbeat mira cuatro veces por segundo: por eso la detección tarda entre deadtime menos
keepalive y deadtime más un cuarto de segundo. Después viene el relevo, el trabajo de unos scripts: la dirección, el ARP
gratuito, apache2. Toma unas décimas de segundo y ningún ajuste de `ha.cf` lo cambia. Quien quiera un corte más breve
acorta la espera, no el trabajo.
""",
)
questions = {
    "run": Text("Which run did you measure? Its folder.", "¿Qué ejecución midió? Su carpeta."),
    "outage": Text("How long was the outage, in seconds?", "¿Cuánto duró el corte, en segundos?"),
    "detection": Text(
        "How long did it take until {second} noticed, in seconds?",
        "¿Cuánto tardó {second} en darse cuenta, en segundos?",
    ),
    "takeover": Text(
        "How long from there until {second} had {vip}, in seconds?",
        "¿Cuánto pasó desde ahí hasta que {second} tuvo {vip}, en segundos?",
    ),
    "setting": Text(
        "Which setting of `ha.cf` explains the detection?", "¿Qué ajuste de `ha.cf` explica el tiempo de detección?"
    ),
}

FAULT = "node-kill"
MEASURED = "measured"  # the name of the student's run among those that are kept
FILES = (commands.HA_CF, commands.HARESOURCES, commands.AUTHKEYS)  # the key is random: no other pair has it
NEAR_S, NEAR_SHARE = 0.02, 0.02  # how far an answer may be off: reports round
SETTINGS = re.compile(r"\b(?:keepalive|deadtime|warntime|initdead|deadping|auto_failback)\b")
SECONDS = re.compile(r"(?P<number>\d+(?:[.,]\d+)?)\s*(?P<unit>ms|s|)")
NO_ANSWER = Text("no answer yet", "sin respuesta todavía")


def configure(pair: Pair) -> None:
    """The pair is in order."""


def prepare(pair: Pair) -> None:
    wait_until(pair.lab.owners, lambda owners: owners == [pair.first], 60, f"{pair.first} has the VIP", pair.lab.tails)
    pair.settle(60)


def look(pair: Pair) -> Facts:
    """Who this pair is, and the run that the student names, whose history is kept as `measured`. wrong: why not."""
    given = pair.answers.get("run", "").strip()
    wrong = _take(pair, given) if given else "none"
    return {
        "macs": {node: mac for mac, node in pair.lab.macs().items()},
        "config": {
            node: {path: sha256((pair.read(node, path) or "").encode()).hexdigest() for path in FILES}
            for node in pair.lab.nodes
        },
        "wrong": wrong,
    }


def _take(pair: Pair, given: str) -> str | None:
    """Keeps the named run as the trial `measured`; what is wrong with it, or None."""
    places = (Path(given).expanduser(), pair.runs / given, Path("runs") / given)
    folder = next((place for place in places if (place / "history.jsonl").is_file()), None)
    if folder is None:
        return "missing"
    try:
        run = RunFolder.open(folder)
        events = history.read(run.history)
        if history.header(events)["fault"] != FAULT:
            return "another fault"
        if not history.trials(events):
            return "cut short"
    except BadInput:
        return "damaged"
    pair.made[MEASURED] = run
    return None


def judge(seen: Seen) -> list[Judged]:
    trial = seen.trial(MEASURED) or {}
    wrong = seen.facts["wrong"] or _wrong(seen, trial)
    judged = Judged(
        "run",
        "fail" if wrong else "pass",
        Text(
            "a whole run of {fault} on this pair as it stands",
            "una ejecución completa de {fault} en esta pareja tal como es",
        ).filled(fault=FAULT),
        WRONG[wrong] if wrong else same(seen.answers["run"].strip()),
        same(f"labkit failover --name {seen.spec.name} --fault {FAULT}; labkit runs"),
    )
    right = {} if wrong else trial
    return [
        judged,
        *(_figure(seen, key, right.get(f"{key}_ms")) for key in ("outage", "detection", "takeover")),
        _setting(seen),
    ]


def _wrong(seen: Seen, trial: Facts) -> str | None:
    """What is wrong with a run that could be read."""
    run = history.header(seen.runs[MEASURED])
    here = all(
        run.get("macs", {}).get(node) == seen.facts["macs"].get(node)
        and digests.items() <= run.get("config", {}).get(node, {}).items()
        for node, digests in seen.facts["config"].items()
    )
    if not here:
        return "another pair"
    whole = trial["cost"] and None not in (trial["outage_ms"], trial["detection_ms"], trial["takeover_ms"])
    return None if whole and trial["server_after"] != trial["server_before"] else "cut short"


def _figure(seen: Seen, key: str, right_ms: float | None) -> Judged:
    given = seen.answers.get(key, "").strip()
    told_s = _seconds(given)
    near = right_ms is not None and told_s is not None and _near(told_s, right_ms / 1000)
    return Judged(
        key,
        "pass" if near else "fail",
        Text(
            "the {key} of the run that you named, in seconds", "el dato {key} de la ejecución que nombró, en segundos"
        ).filled(key=key),
        same(given) if given else NO_ANSWER,
        Text("the table of the report: {key}", "la tabla del informe: {key}").filled(key=key),
    )


def _seconds(given: str) -> float | None:
    """An answer as a student writes it: `2.42`, `2,42 s`, `702 ms`."""
    found = SECONDS.fullmatch(given)
    return float(found["number"].replace(",", ".")) / (1000 if found["unit"] == "ms" else 1) if found else None


def _near(told_s: float, right_s: float) -> bool:
    return abs(told_s - right_s) <= max(NEAR_S, NEAR_SHARE * right_s)


def _setting(seen: Seen) -> Judged:
    given = seen.answers.get("setting", "").strip()
    return Judged(
        "setting",
        "pass" if set(SETTINGS.findall(given.lower())) == {"deadtime"} else "fail",
        Text("the setting of ha.cf that the detection follows", "el ajuste de ha.cf al que sigue la detección"),
        same(given) if given else NO_ANSWER,
        same(commands.HA_CF),
    )


WRONG = {
    "none": Text("no run is named yet", "todavía no se ha nombrado ninguna ejecución"),
    "missing": Text(
        "there is no such run folder; name its whole path", "no hay tal carpeta de ejecución; dé su ruta completa"
    ),
    "damaged": Text("its history cannot be read", "su historial no se puede leer"),
    "another fault": Text("it is a run of another fault", "es una ejecución de otro fallo"),
    "another pair": Text(
        "it is of another pair, or of another configuration than the nodes have now (do both run?)",
        "es de otra pareja, o de otra configuración que la que los nodos tienen ahora (¿funcionan ambos?)",
    ),
    "cut short": Text("it did not come to its end, or nothing moved", "no llegó a su fin, o nada se movió"),
}


def solve(pair: Pair) -> None:
    """As `labkit failover` does it."""
    if not pair.trial("by-hand", FAULT):
        return
    run = pair.made["by-hand"]
    trial = (run.result() or {})["trials"][0]
    pair.answers |= {key: f"{trial[f'{key}_ms'] / 1000:.2f}" for key in ("outage", "detection", "takeover")}
    pair.answers |= {"run": str(run.path), "setting": "deadtime"}
