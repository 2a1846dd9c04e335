r"""Formulas for a terminal: the LaTeX of docstrings as one line of Unicode.

>>> unicode_math(r"m \leftarrow \beta_1 m + (1-\beta_1) g")
'm ← β₁ m + (1-β₁) g'
>>> unicode_math(r"w - \frac{\eta m}{\sqrt{v} + \epsilon}")
'w - η m/(√v + ε)'

What is not known is shown as it was written, without its backslash, so that nothing is lost.
"""

from __future__ import annotations

import re

_GREEK_LETTERS = """
alpha α beta β gamma γ delta δ epsilon ε varepsilon ε zeta ζ eta η theta θ iota ι kappa κ lambda λ
mu μ nu ν xi ξ pi π rho ρ sigma σ tau τ upsilon υ phi φ varphi φ chi χ psi ψ omega ω
Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ Pi Π Sigma Σ Phi Φ Psi Ψ Omega Ω
"""
_RELATIONS = """
leftarrow ← gets ← rightarrow → to → Rightarrow ⇒ leftrightarrow ↔ mapsto ↦ le ≤ leq ≤ ge ≥ geq ≥
ll ≪ gg ≫ ne ≠ neq ≠ approx ≈ equiv ≡ sim ~ propto ∝ in ∈ notin ∉ forall ∀ exists ∃ mid |
cdot · times × odot ⊙ circ ∘ otimes ⊗ oplus ⊕ ast * pm ± mp ∓ div ÷ sum Σ prod Π int ∫
wedge ∧ land ∧ vee ∨ lor ∨ neg ¬ lnot ¬ cup ∪ cap ∩ subset ⊂
infty ∞ partial ∂ nabla ∇ ell ℓ top ᵀ prime ′ ldots … dots … cdots ⋯
vert | lvert | rvert | Vert ‖ lVert ‖ rVert ‖ | ‖ lfloor ⌊ rfloor ⌋ lceil ⌈ rceil ⌉
langle ⟨ rangle ⟩ lbrace { rbrace } { { } } _ _ % % # # & &
"""


def _pairs(table: str) -> dict[str, str]:
    words = table.split()
    return dict(zip(words[::2], words[1::2], strict=True))


_GREEK = _pairs(_GREEK_LETTERS)
_SPACES = {",": " ", ";": " ", ":": " ", " ": " ", "!": "", "quad": "   ", "qquad": "   "}
_SYMBOLS = _pairs(_RELATIONS) | _SPACES | {"\\": "\n"}
_SIZES = {"left", "right", "big", "Big", "bigl", "bigr", "Bigl", "Bigr"}
_FRACTIONS = {"frac", "dfrac", "tfrac"}
FUNCTIONS = {"exp", "log", "ln", "sin", "cos", "tan", "sinh", "cosh", "tanh", "max", "min"}
FUNCTIONS |= {"arcsin", "arccos", "arctan", "arg", "det", "gcd"}
"""Names that are set upright and are shown as they are."""
_LAYOUT = {"displaystyle", "textstyle", "limits", "nolimits"}
_ACCENTS = {"hat": "\u0302", "bar": "\u0304", "overline": "\u0304", "tilde": "\u0303"}
_ACCENTS |= {"dot": "\u0307", "vec": "\u20d7", "widehat": "\u0302", "widetilde": "\u0303"}
_FONTS = {"mathrm", "mathbf", "mathcal", "mathit", "mathbb", "operatorname", "text", "boldsymbol"}
_FONTS |= {"textrm", "textbf", "mathtt", "texttt", "mathsf", "underbrace"}

_SUPERSCRIPTS = dict(zip("0123456789+-=()nitkT'", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱᵗᵏᵀ′", strict=True))
_SUBSCRIPTS = dict(
    zip("0123456789+-=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True)
)
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[{}_^&~]|\s+|[^\\{}_^&~\s]", re.DOTALL)


def unicode_math(latex: str) -> str:
    r"""Return `latex` as text; a line break (``\\``) stays a line break."""
    tokens = _TOKEN.findall(latex)
    text = _Parser(tokens).until_end()
    text = re.sub(r" +(?=[,.)\]])", "", text)
    lines = (re.sub(r" +", " ", line).strip() for line in text.replace("   ", "\t").split("\n"))
    return "\n".join(re.sub(r"\s*\t\s*", "   ", line).strip() for line in lines if line)


class _Parser:
    """Turns tokens into text from left to right; braces and arguments recurse."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._in_cases = False

    def until_end(self, closing: str | None = None) -> str:
        parts: list[str] = []
        while self._at < len(self._tokens):
            if self._tokens[self._at] == closing:
                self._at += 1
                break
            parts.append(self._next())
        return "".join(parts)

    def _next(self) -> str:
        """The text of the next token and whatever belongs to it."""
        token = self._tokens[self._at]
        self._at += 1
        if token == "{":
            return self.until_end("}")
        if token in ("_", "^"):
            return self._script(token)
        if token == "&":
            return "   " if self._in_cases else ""
        if token == "}":
            return ""
        if token == "~" or token.isspace():
            return " "
        if token.startswith("\\") and len(token) > 1:
            return self._command(token[1:])
        return token

    def _argument(self) -> str:
        while self._at < len(self._tokens) and self._tokens[self._at].isspace():
            self._at += 1
        return self._next() if self._at < len(self._tokens) else ""

    def _command(self, name: str) -> str:
        if name in _GREEK:
            return _GREEK[name]
        if name in _FRACTIONS:
            return self._fraction()
        if name == "sqrt":
            return f"√{_grouped(self._argument())}"
        if name in _ACCENTS:
            return "".join(char + _ACCENTS[name] for char in self._argument())
        if name in _FONTS:
            return self._argument()
        if name in ("begin", "end"):
            self._in_cases = self._argument() == "cases" and name == "begin"
            return ""
        if name in _SIZES or name in _LAYOUT:
            if name in _SIZES and self._tokens[self._at : self._at + 1] == ["."]:
                self._at += 1  # "\left." stands for no bracket at all
            return ""
        if name in _SYMBOLS:
            return _SYMBOLS[name]
        return self._function(name)

    def _fraction(self) -> str:
        above, below = self._argument(), self._argument()
        text = f"{_grouped(above, keep=' ·')}/{_grouped(below)}"
        follower = self._tokens[self._at : self._at + 1]
        # a factor behind a fraction must not look like a part of its denominator
        return text + (
            " " if follower and (follower[0].isalnum() or follower[0][0] in "(\\") else ""
        )

    def _function(self, name: str) -> str:
        """A function such as cos; a fraction it is applied to without brackets gets them."""
        after = self._at
        while after < len(self._tokens) and self._tokens[after].isspace():
            after += 1
        if after < len(self._tokens) and self._tokens[after][1:] in _FRACTIONS:
            self._at = after + 1
            return f"{name}({self._fraction().strip()}) "
        return name

    def _script(self, mark: str) -> str:
        content = self._argument()
        table = _SUPERSCRIPTS if mark == "^" else _SUBSCRIPTS
        if content in ("ᵀ", "′"):
            return content
        if content and all(char in table for char in content):
            return "".join(table[char] for char in content)
        return f"{mark}{content}" if len(content) == 1 else f"{mark}({content})"


def _grouped(text: str, keep: str = "") -> str:
    """`text` in parentheses unless it is one term, or its only operators are in `keep`."""
    bare = text.strip()
    spared = "".join(char for char in bare if char not in keep)
    one_term = re.fullmatch(r"[^\s+\-−·*/=,<>]*", spared) is not None
    return bare if one_term or _enclosed(bare.removeprefix("√")) else f"({bare})"


def _enclosed(text: str) -> bool:
    """Whether the first parenthesis closes at the very end."""
    if not (text.startswith("(") and text.endswith(")")):
        return False
    depth = 0
    for index, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth == 0:
            return index == len(text) - 1
    return False
