"""The rules, one function each: a source in, findings out. Tables above a rule are its knowledge.

To change a rule, change its table and say why there. To let one line through, end it with
`# tidy-ok: the reason`.
"""

from __future__ import annotations

import ast
import re

from tests.tidy.source import LAYERS, Finding, Import, Source

# --- layers: imports only go down -----------------------------------------------------------------

RANKS = {
    "core/errors": 0,
    "core/clock": 0,
    "core/codec": 0,
    "core/machine": 1,
    "core/storage": 1,
    "core/wire": 1,
    "core/raft": 2,
    "core/group": 3,
    "core": 3,
    "consistency": 4,
    "hosts": 5,
    "quorate": 6,
    "chaos/lab/children": 7,  # what Toxiproxy's keeper needs of the laboratory
    "chaos/toxiproxy": 8,  # bench delays links with it, and uses nothing else of chaos
    "chaos": 9,
    "bench": 9,
    "quorate/__main__": 10,  # the command, which hands over to all of them
}
"""The height of each part. A part imports itself and what is strictly lower: no siblings."""


def part_of(path: str) -> str | None:
    """The part a path or dotted module (slashes for dots) belongs to: the longest known prefix."""
    for part in sorted(RANKS, key=len, reverse=True):
        if path == part or path.startswith((part + "/", part + ".")):
            return part
    return None


def layers(source: Source) -> list[Finding]:
    """A module imports only its own part and lower ones."""
    own = part_of(source.path)
    findings: list[Finding] = []
    for wanted in _our_modules(source) if own else []:
        other = part_of(wanted.module.removeprefix("quorate.").replace(".", "/"))
        if other in (None, own) or own is None or other is None or RANKS[other] < RANKS[own]:
            continue
        findings += source.find(
            wanted.line, f"{own} must not import {other}: imports only go down. Hand the value in."
        )
    return findings


def _our_modules(source: Source) -> list[Import]:
    """Imports of our own code; `from quorate.core import codec` is read as `quorate.core.codec`."""
    found: list[Import] = []
    for wanted in source.imports:
        if wanted.module in ("quorate", "quorate.core") and wanted.names:
            for name in wanted.names:
                named = wanted.module == "quorate.core" or name in LAYERS
                module = f"{wanted.module}.{name}" if named else wanted.module
                found.append(Import(module, (), wanted.line, wanted.typing_only, 0))
        elif wanted.module.split(".")[0] == "quorate":
            found.append(wanted)
    return found


# --- purity: what decides does no IO --------------------------------------------------------------

IMPURE = {
    "asyncio": "return the effect and let the shell do it; plan calls on core.clock.Scheduler",
    "socket": "return the message; core/wire sends it",
    "ssl": "core/wire owns it",
    "select": "core/wire owns it",
    "lmdb": "use the storage engine that was handed in",
    "threading": "one thread owns the host; core/storage has the only other one",
    "concurrent": "one thread owns the host; core/storage has the only other one",
    "multiprocessing": "processes are started by hosts/demo and tests/live only",
    "subprocess": "processes are started by hosts/demo and tests/live only",
    "time": "take a core.clock.Clock",
    "random": "take a random.Random that was seeded outside",
    "secrets": "take the bytes as an argument",
    "uuid": "take the id as an argument",
    "aiohttp": "hosts/admin and hosts/cli own it",
}

_CALLERS = "futures, deadlines and cancellation of callers"
_SOCKETS = "connections"
_DISK = "files, LMDB and the commit thread"
SHELLS: dict[str, str] = {
    "core/clock.py": "the one place that reads the clocks and seeds a generator",
    "core/codec.py": "names uuid.UUID among the values it carries",
    "chaos/sim/engine.py": "the command: runs seeds on all cores and times them",
    "chaos/stores/__main__.py": "the command: runs seeds on all cores and times them",
    "chaos/stores/loop.py": "an event loop in virtual time, for the coroutines of the stores",
    "chaos/agents/__main__.py": "the command: runs seeds on all cores and times them",
    "chaos/agents/actors.py": "agents of users, who may sleep in their turns",
    "chaos/sim/unpatched_world.py": "seeds the global dice, which the unpatched engine rolls",
    **{
        f"core/group/{name}.py": _CALLERS
        for name in (
            *("claims", "group", "leases", "reads", "requests", "scope", "signal"),
            *("submitter", "watch"),
        )
    },
    "consistency/strong.py": _CALLERS,
    "consistency/store/plane.py": _CALLERS,
    "consistency/store/waits.py": _CALLERS,
    **{
        f"core/wire/{name}.py": _SOCKETS
        for name in ("accept", "dial", "dialled", "link", "mesh", "reception", "shared", "tls")
    },
    "core/wire/ports.py": _SOCKETS,
    **{
        f"core/storage/{name}.py": _DISK
        for name in (
            *("committer", "copier", "faults", "folder", "worker"),
            *("lmdb_engine", "lmdb_errors", "lmdb_open", "lmdb_reader", "lmdb_writer"),
        )
    },
    **{f"consistency/events/{name}.py": _CALLERS for name in ("news", "own", "strong")},
    **{
        f"consistency/layers/{name}.py": _CALLERS
        for name in ("cached", "caches", "flights", "follower")
    },
}
"""A module in one of `PURE` decides, unless it is here with the reason."""

DECIDERS: tuple[str, ...] = (
    *(f"hosts/admin/{name}.py" for name in ("values", "problems", "openapi")),
    *(f"hosts/cli/{name}.py" for name in ("parser", "tables", "store_tables")),
    *(f"hosts/demo/{name}.py" for name in ("record", "level_record", "agent_record", "lines")),
    "hosts/config.py",
    "hosts/partition_view.py",
    "hosts/reconciliation.py",
    "hosts/agents/kin/reasons.py",
    *(f"hosts/agents/lasting/{name}.py" for name in ("due", "table", "tries")),
    *(
        f"hosts/agents/placement/{name}.py"
        for name in ("choose", "counts", "demand", "rebalance", "views")
    ),
    *(
        f"hosts/agents/state/{name}.py"
        for name in (
            *("applying", "buffer", "drafts", "found", "handles", "ledger", "marks", "memory"),
            *("options", "quick", "receipts", "reports", "scope"),
        )
    ),
)
"""Modules of hosts that decide; the rest of hosts does."""


PURE = ("core/", "consistency/", "chaos/sim/", "chaos/stores/", "chaos/agents/")


def decides(path: str) -> bool:
    """Whether the module at `path` must be pure."""
    if path in DECIDERS:
        return True
    return path.startswith(PURE) and path not in SHELLS


def purity(source: Source) -> list[Finding]:
    """A module that decides imports nothing that waits, fetches or rolls dice; types are fine."""
    if not decides(source.path):
        return []
    findings: list[Finding] = []
    for wanted in source.imports:
        top = wanted.module.split(".")[0]
        if wanted.typing_only or (top == "random" and wanted.names in ((), ("Random",))):
            continue
        if top in IMPURE:
            text = f"a deciding module must not import {top}: {IMPURE[top]}"
            findings += source.find(wanted.line, text)
    for node in source.nodes:
        name = dotted(node) if isinstance(node, ast.Attribute) else ""
        if name.startswith("random.") and not name.startswith("random.Random"):
            text = f"{name} rolls the global dice: {IMPURE['random']}"
            findings += source.find(node.lineno, text)
    return findings


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a chain of names; "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""


# --- one home per dependency ----------------------------------------------------------------------

HOMES: dict[str, tuple[str, ...]] = {
    "pysyncobj": (
        *("core/raft/", "chaos/sim/", "chaos/control/", "bench/"),
        *("tests/contracts/", "tests/sim/"),
    ),
    "lmdb": ("core/storage/", "bench/", "tests/storage/"),
    "cbor2": ("core/codec.py", "tests/wire/"),
    "aiohttp": (
        *("hosts/admin/", "hosts/cli/", "chaos/toxiproxy/", "chaos/report/", "bench/peers/"),
        *("tests/admin/", "tests/cli/", "tests/live/", "tests/report/"),
    ),
    "matplotlib": ("bench/plots/",),
    "prometheus_client": ("hosts/admin/",),
    "psutil": ("hosts/agents/placement/", "bench/", "tests/"),
    "rich": ("hosts/cli/", "hosts/demo/", "bench/", "chaos/"),
    "uvloop": ("hosts/", "bench/", "tests/"),
    "cryptography": ("core/wire/", "hosts/cli/", "tests/wire/", "tests/live/"),
}


def homes(source: Source) -> list[Finding]:
    """Each outside dependency is imported in its home only, so it can be replaced there."""
    findings: list[Finding] = []
    for wanted in source.imports:
        top = wanted.module.split(".")[0]
        if top in HOMES and not source.path.startswith(HOMES[top]):
            findings += source.find(
                wanted.line, f"{top} is imported only in {', '.join(HOMES[top])}"
            )
    return findings


# --- bans that name the replacement ---------------------------------------------------------------

BANNED_IMPORTS = {
    "pickle": "core.codec",
    "marshal": "core.codec",
    "shelve": "core.storage",
    "dill": "core.codec",
    "cloudpickle": "core.codec",
}
BANNED_CALLS = {"eval": "parse it", "exec": "write a function", "__import__": "import it"}


def bans(source: Source) -> list[Finding]:
    """Nothing that turns bytes into running code."""
    findings: list[Finding] = []
    for wanted in source.imports:
        top = wanted.module.split(".")[0]
        if top in BANNED_IMPORTS:
            findings += source.find(
                wanted.line, f"{top} runs code it reads: use {BANNED_IMPORTS[top]}"
            )
    for node in source.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            name = node.func.id
            if name in BANNED_CALLS:
                findings += source.find(node.lineno, f"{name}() is banned: {BANNED_CALLS[name]}")
    return findings


def absolute_imports(source: Source) -> list[Finding]:
    """Our code is `quorate.core…`, never `.x` nor a bare `core`: two names make two modules."""
    findings: list[Finding] = []
    for wanted in source.imports:
        if wanted.level:
            findings += source.find(wanted.line, "relative import: write quorate.<layer>.<module>")
        elif wanted.module.split(".")[0] in LAYERS:
            findings += source.find(wanted.line, f"write quorate.{wanted.module}")
    return findings


# --- shape ----------------------------------------------------------------------------------------

LINES_MAX = 400
LONG: dict[str, str] = {}
"""Files past the limit, each with the reason it is not split."""


def length(source: Source) -> list[Finding]:
    """A file has one job; past the limit it is split by meaning."""
    if len(source.lines) <= LINES_MAX or source.path in LONG:
        return []
    text = f"{len(source.lines)} lines, {LINES_MAX} at most: split it by meaning"
    return [Finding(source.path, len(source.lines), text)]


def opens_with_law(source: Source) -> list[Finding]:
    """A file opens with its law: what lives here, what it must not know."""
    if (ast.get_docstring(source.tree) or "").strip():
        return []
    return [Finding(source.path, 1, "open the file with a docstring: what lives here")]


_PLACES = ("work", "root", "home", "tmp", "Users")
_HOSTS = ("pypi" + ".org", "pythonhosted" + ".org", "debian" + ".org", "proxy.golang" + ".org")
PLACES = re.compile(
    r"(?<![\w.$}*/-])/(?:" + "|".join(_PLACES) + r")/\w|" + "|".join(map(re.escape, _HOSTS))
)


def no_machine_paths(source: Source) -> list[Finding]:
    """Nothing in the repository knows on which machine it was written."""
    findings: list[Finding] = []
    for number, line in enumerate(source.lines, 1):
        found = PLACES.search(line)
        if found:
            findings += source.find(number, f"a place of one machine: {found.group()!r}")
    return findings


# --- time -----------------------------------------------------------------------------------------

SLEEPERS = ("tests/live/",)


def no_sleeps(source: Source) -> list[Finding]:
    """Tests wait for what happens, never for time, except in tests/live; nobody blocks the loop."""
    if source.path.startswith(SLEEPERS):
        return []
    findings: list[Finding] = []
    for node in source.nodes:
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        zero = (
            bool(node.args) and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0
        )
        if called == "time.sleep":
            findings += source.find(node.lineno, "time.sleep blocks: plan it on the Scheduler")
        elif called == "asyncio.sleep" and source.path.startswith("tests/") and not zero:
            findings += source.find(node.lineno, "a test that sleeps: wait for the event itself")
    return findings


# --- limits ---------------------------------------------------------------------------------------

LIMIT_WORDS = {"max", "min", "limit", "timeout", "interval", "ttl", "delay", "period", "budget"}
UNITS = {"ms", "s", "us", "ns", "depth", "percent", "ratio", "factor"}
PUBLIC_WORDS = {"timeout", "ttl", "limit"}
"""The public API's own words: seconds, seconds, and things listed."""


def limits_name_their_unit(source: Source) -> list[Finding]:
    """A number that bounds something says in what: `_ms`, `_bytes`, or what it counts."""
    findings: list[Finding] = []
    for name, line, parameter in _numbers(source):
        words = name.lower().strip("_").split("_")
        named = any(word in UNITS or (word.endswith("s") and len(word) > 2) for word in words)
        if LIMIT_WORDS & set(words) and not named and not (parameter and name in PUBLIC_WORDS):
            findings += source.find(line, f"{name}: end the name in its unit")
    return findings


def _numbers(source: Source) -> list[tuple[str, int, bool]]:
    """(name, line, is a parameter) of all constants, fields and parameters that hold a number."""
    found: list[tuple[str, int, bool]] = []
    scopes = [source.tree, *(node for node in source.nodes if isinstance(node, ast.ClassDef))]
    for scope in scopes:
        for node in scope.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found += [(node.target.id, node.lineno, False)] if _is_number(node.value) else []
            elif isinstance(node, ast.Assign) and _is_number(node.value):
                found += [
                    (t.id, node.lineno, False) for t in node.targets if isinstance(t, ast.Name)
                ]
    for node in source.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found += _number_parameters(node.args)
    return found


def _number_parameters(arguments: ast.arguments) -> list[tuple[str, int, bool]]:
    positional = arguments.posonlyargs + arguments.args
    pairs = list(zip(reversed(positional), reversed(arguments.defaults), strict=False))
    pairs += [(a, d) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d]
    return [(one.arg, one.lineno, True) for one, default in pairs if _is_number(default)]


def _is_number(node: ast.expr | None) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float) and not isinstance(node.value, bool)
    if isinstance(node, ast.BinOp):
        return _is_number(node.left) and _is_number(node.right)
    return False


PYTHON_RULES = (
    layers,
    purity,
    homes,
    bans,
    absolute_imports,
    length,
    opens_with_law,
    no_sleeps,
    limits_name_their_unit,
)
TEXT_RULES = (no_machine_paths,)
