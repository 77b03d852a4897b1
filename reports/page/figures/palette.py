"""Colors of series on the page, in the light and in the dark theme, and the marks that tell series apart without them.

Any two colors of a theme differ by at least 11 (CIEDE2000; Sharma et al. 2005) in normal vision and with protanopia,
deuteranopia or tritanopia (Machado et al. 2009, severity 1), and each has a contrast of at least 3 with its background.
A test computes both.
"""

from __future__ import annotations

SERIES = ("#3172e0", "#c38560", "#0c7748", "#3d42a9", "#13a2ad", "#fb2a8a", "#6a7c0a", "#3a414e")
BLUE, ORANGE, GREEN, PURPLE, TEAL, PINK, OLIVE, SLATE = SERIES
MUTED = "#7f7879"  # Every series after the eighth.
LIGHT = (*SERIES, MUTED)
DARK = ("#98a8fe", "#c66f22", "#82e9c3", "#9e6fcd", "#31b0bc", "#e68a93", "#d9cf0b", "#dce3f1", "#717d88")

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid", "dash")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "star", "hexagon")
GLYPHS = dict(zip(SYMBOLS, "●■◆▲▼✚★⬢", strict=True))
STROKES = {"solid": "none", "dash": "6 4", "dot": "2 3", "dashdot": "6 3 2 3", "longdash": "10 4",
           "longdashdot": "10 3 2 3"}  # fmt: skip


def color(index: int) -> str:
    """The color of a series. After the eighth all are muted: a repeated color would name the wrong series."""
    return LIGHT[min(index, len(SERIES))]


def dash(index: int) -> str:
    return DASHES[index] if index < len(DASHES) else "dot"


def symbol(index: int) -> str:
    return SYMBOLS[index] if index < len(SYMBOLS) else SYMBOLS[0]


def position(tint: str) -> int:
    """The number of a color, by which the style sheet names it in both themes: `--s0` to `--s8`."""
    return LIGHT.index(tint)


def text_on(tint: str) -> str:
    """White or near-black, whichever has more contrast on a color of the light theme."""
    red, green, blue = (int(tint[start : start + 2], 16) / 255 for start in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (red, green, blue)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#ffffff" if luminance < 0.18 else "#000000"


def variables() -> str:
    """The colors as variables of the style sheet: light, dark by the system or the reader's choice, and in print."""
    light, dark = (" ".join(f"--s{index}: {tint};" for index, tint in enumerate(colors)) for colors in (LIGHT, DARK))
    chosen = ':root[data-theme="dark"]'
    return (
        f":root {{ {light} }}\n"
        f'@media (prefers-color-scheme: dark) {{ :root:not([data-theme="light"]) {{ {dark} }} }}\n'
        f"{chosen} {{ {dark} }}\n"
        f'@media print {{ :root, {chosen}, :root:not([data-theme="light"]) {{ {light} }} }}\n'
    )
