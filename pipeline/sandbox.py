"""A Jinja2 environment in which nothing an editor types can hang, crash, fill the memory or look around.

Pure: no I/O, no clock, no chance. What must stay true: every operation that could make something big, or
take long, is either missing here or checked before it is carried out.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from itertools import islice
from typing import Any

from jinja2 import StrictUndefined, TemplateRuntimeError, TemplateSyntaxError, Undefined, filters, nodes
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

LONGEST = 20_000  # characters of a template, and of any text it makes
MOST_PARTS = 500  # expressions in one template
MOST_DEPTH = 40  # blocks or brackets inside one another
MOST_ROUNDS = 200  # of a loop
MOST_BITS = 256  # of a number that is multiplied


class Refused(TemplateRuntimeError):
    """The template asks for something that a text may not do."""


def did_you_mean(word: str, known: Iterable[str], *, prefix: str = "") -> str:
    """`; did you mean …?` for a word that is nearly one of the known ones, else the list of them."""
    names = sorted(known)
    near = difflib.get_close_matches(word.casefold(), names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean `{prefix}{near[0]}`?"
    return "; known are " + ", ".join(f"`{prefix}{name}`" for name in names)


_ALLOWED_PARTS: tuple[type[nodes.Node], ...] = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Assign),
    *(nodes.Name, nodes.Const, nodes.Tuple, nodes.List, nodes.Dict, nodes.Pair, nodes.Keyword),
    *(nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Call, nodes.Getattr, nodes.Getitem, nodes.Slice),
    *(nodes.Concat, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod),
)


def fence(tree: nodes.Template, filters_allowed: frozenset[str]) -> None:
    """Refuse, before it runs, what a post never needs: macros, includes, powers, loops in loops, sheer size.

    Raises TemplateSyntaxError.
    """
    parts = 0
    waiting: list[tuple[nodes.Node, int, bool]] = [(tree, 0, False)]
    while waiting:
        node, depth, looping = waiting.pop()
        line = node.lineno
        parts += isinstance(node, nodes.Expr)
        if not isinstance(node, _ALLOWED_PARTS):
            raise TemplateSyntaxError(f"`{type(node).__name__.lower()}` may not be used in a text", line)
        if parts > MOST_PARTS:
            raise TemplateSyntaxError(f"the template has more than {MOST_PARTS} parts; make it simpler", line)
        if depth > MOST_DEPTH:
            raise TemplateSyntaxError(
                f"the template is nested more than {MOST_DEPTH} deep; make it simpler", line
            )
        _fence_node(node, filters_allowed, looping=looping)
        looping = looping or isinstance(node, nodes.For)
        waiting.extend((child, depth + 1, looping) for child in node.iter_child_nodes())


def _fence_node(node: nodes.Node, filters_allowed: frozenset[str], *, looping: bool) -> None:
    """Refuse one part for the way it is used."""
    match node:
        case nodes.For() if looping or node.recursive:
            raise TemplateSyntaxError("a loop inside a loop may not be used in a text", node.lineno)
        case nodes.Assign(target=target) if not isinstance(target, nodes.Name):
            raise TemplateSyntaxError("`set` takes one plain name", node.lineno)
        case nodes.Call(node=called) if not isinstance(called, nodes.Getattr):
            name = f"`{called.name}`" if isinstance(called, nodes.Name) else "this"
            raise TemplateSyntaxError(f"{name} is not something that can be called", node.lineno)
        case nodes.Filter(name=name) if name not in filters_allowed:
            raise TemplateSyntaxError(
                f"there is no filter `{name}`{did_you_mean(name, filters_allowed)}", node.lineno
            )


_TEXT_METHODS = (
    *("capitalize", "casefold", "count", "endswith", "find", "isdigit", "isupper", "lower", "lstrip"),
    *("partition", "removeprefix", "removesuffix", "rpartition", "rsplit", "rstrip", "split", "splitlines"),
    *("startswith", "strip", "swapcase", "title", "upper"),
)
_DAY_PARTS = ("day", "isoformat", "isoweekday", "month", "strftime", "weekday", "year")
_READABLE: dict[type, frozenset[str]] = {
    str: frozenset(_TEXT_METHODS),
    datetime: frozenset((*_DAY_PARTS, "date", "hour", "minute", "second", "time")),
    date: frozenset(_DAY_PARTS),
    dict: frozenset(("get", "items", "keys", "values")),
    LoopContext: frozenset(
        ("first", "index", "index0", "last", "length", "nextitem", "previtem", "revindex", "revindex0")
    ),
}


class _Unknown(StrictUndefined):
    """A value that is not there: using it in any way is an error that names the word."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return str(self._undefined_hint)
        return f"`{self._undefined_name}` is not known here"


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment. `readable` names what may be read of each further type that templates are given."""

    intercepted_binops = frozenset(("*", "/", "//", "%", "**"))

    def __init__(self, readable: Mapping[type, frozenset[str]]) -> None:
        # Escaping is for HTML; a post is plain text, and what shows it as HTML escapes it there.
        super().__init__(undefined=_Unknown, autoescape=False, finalize=_printable)
        self._readable = {**_READABLE, **readable}
        self.globals.clear()
        self.filters.clear()
        self.filters.update({name: _bounded(function) for name, function in _FILTERS.items()})
        self._marks = {_KEPT: _kept, _LOOPED: _looped}
        self.allowed_filters = frozenset(_FILTERS)
        self.filters.update(self._marks)

    def bound(self, tree: nodes.Template) -> None:
        """Have every variable and every loop of a parsed template pass a check of its size."""
        for assignment in tree.find_all(nodes.Assign):
            assignment.node = self._checked(assignment.node, _KEPT)
        for loop in tree.find_all(nodes.For):
            loop.iter = self._checked(loop.iter, _LOOPED)

    def _checked(self, node: nodes.Node, check: str) -> nodes.Filter:
        return nodes.Filter(node, check, [], [], None, None, lineno=node.lineno, environment=self)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """No `str.format`, not even a guarded one: a width in it can be as large as one likes."""
        del value
        return None

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Only what is listed may be read, and only data or harmless methods are listed."""
        del value
        return any(attr in names for kind, names in self._readable.items() if isinstance(obj, kind))

    def is_safe_callable(self, obj: Any) -> bool:
        """Whatever could be reached was listed as harmless."""
        return callable(obj)

    def unsafe_undefined(self, obj: Any, attribute: str) -> Undefined:
        """What a forbidden attribute gives: an error as soon as it is used."""
        return self.undefined(
            f"`{attribute}` may not be used in a text", obj=obj, name=attribute, exc=Refused
        )

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic on numbers of a sane size; `"ha" * 1000000000` and `"%1000000000d" % 1` are refused."""
        del context
        for side in (left, right):
            if isinstance(side, Undefined):
                str(side)  # raises, naming the word
            if not isinstance(side, int | float):
                raise Refused(f"`{operator}` takes numbers only")
            if isinstance(side, int) and side.bit_length() > MOST_BITS:
                raise Refused(f"a number before or after `{operator}` is too large")
        return self.binop_table[operator](left, right)


def _printable(value: Any) -> Any:
    """What is left out prints nothing; a list in a post is a mistake."""
    if value is None:
        return ""
    if isinstance(value, str | int | float | date | Undefined):
        return value
    raise Refused('a list cannot be posted as it is; write it as {{ … | join(", ") }}')


def _fits(value: Any) -> Any:
    if isinstance(value, str | list | tuple | dict) and len(value) > LONGEST:
        raise Refused(f"a value is longer than {LONGEST} characters")
    return value


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose result stays within bounds, so that a chain of filters cannot grow without end."""

    @functools.wraps(function)
    def bounded(*args: Any, **kwargs: Any) -> Any:
        return _fits(function(*args, **kwargs))

    return bounded


_SCALARS = (str, int, float, date, type(None))
_KEPT, _LOOPED = " kept", " looped"  # no template can spell a name with a space


def _kept(value: Any) -> Any:
    """What `set` may keep: a plain value or a flat list of them, for a nested one could grow by doubling."""
    if isinstance(value, Undefined):
        str(value)
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        raise Refused("a number kept by `set` is too large")
    if isinstance(value, _SCALARS):
        return _fits(value)
    parts = list(value.values()) if isinstance(value, dict) else value
    if isinstance(parts, list | tuple) and all(isinstance(part, _SCALARS) for part in parts):
        return _fits(value)
    raise Refused("`set` keeps a text, a number, a date or a flat list of them")


def _looped(value: Iterable[Any]) -> list[Any]:
    """What a loop may go through."""
    rounds = list(islice(value, MOST_ROUNDS + 1))
    if len(rounds) > MOST_ROUNDS:
        raise Refused(f"a loop goes round more than {MOST_ROUNDS} times")
    return rounds


def _join(value: Iterable[Any], between: str = "") -> str:
    """Join texts. Unlike Jinja2's own it measures first and takes nothing nested."""
    parts = list(islice(value, LONGEST + 1))
    if not all(isinstance(part, str | int | float | date) for part in parts):
        raise Refused("`join` takes texts, numbers and dates")
    texts = [str(part) for part in parts]
    if sum(map(len, texts)) + len(between) * len(texts) > LONGEST:
        raise Refused(f"`join` makes a text longer than {LONGEST} characters")
    return between.join(texts)


def _replace(value: str, old: str, new: str) -> str:
    """Replace. Unlike Jinja2's own it measures first."""
    text, old, new = str(value), str(old), str(new)
    if len(text) + text.count(old) * len(new) > LONGEST:
        raise Refused(f"`replace` makes a text longer than {LONGEST} characters")
    return text.replace(old, new)


# Left out on purpose: `random` (a post must come out the same twice), and `center`, `format`, `indent`,
# `round`, `batch` and their like, which make anything as large as their argument says.
_OWN_NAMES = (
    *("abs", "capitalize", "count", "d", "default", "first", "int", "last", "length", "list", "lower", "max"),
    *("min", "reverse", "sort", "string", "title", "trim", "truncate", "unique", "upper", "urlencode"),
    "wordcount",
)
_FILTERS: dict[str, Callable[..., Any]] = {
    **{name: filters.FILTERS[name] for name in _OWN_NAMES},
    "join": _join,
    "replace": _replace,
}
