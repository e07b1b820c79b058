"""A failover measured by the student with `labkit failover`, and its phases explained from that run's report."""

import re

from labkit.exercises import NO_ANSWER, Facts, Judged, Pair, Seen, Shape, _tools_runs
from labkit.heartbeat import commands
from labkit.language import Text, same

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

FIGURES = ("outage", "detection", "takeover")
SETTINGS = re.compile(r"\b(?:keepalive|deadtime|warntime|initdead|deadping|auto_failback)\b")


def configure(pair: Pair) -> None:
    """The pair is in order."""


def prepare(pair: Pair) -> None:
    pair.await_owner(pair.first)
    pair.settle(60)


def look(pair: Pair) -> Facts:
    return _tools_runs.look(pair, (commands.HA_CF, commands.HARESOURCES, commands.AUTHKEYS))


def judge(seen: Seen) -> list[Judged]:
    measured = _tools_runs.measured(seen)
    figures = [_tools_runs.figure(seen, key, measured) for key in FIGURES]
    return [_tools_runs.run_named(seen), *figures, _setting(seen)]


def _setting(seen: Seen) -> Judged:
    given = seen.answers.get("setting", "").strip()
    return Judged(
        "setting",
        "pass" if set(SETTINGS.findall(given.lower())) == {"deadtime"} else "fail",
        Text("the setting of ha.cf that the detection follows", "el ajuste de ha.cf al que sigue la detección"),
        same(given) if given else NO_ANSWER,
        same(commands.HA_CF),
    )


def solve(pair: Pair) -> None:
    _tools_runs.measure(pair, FIGURES)
    pair.answers["setting"] = "deadtime"
