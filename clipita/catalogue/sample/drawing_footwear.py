"""Footwear: mostly one shoe from the side, its toe to the right."""

from __future__ import annotations

from clipita.catalogue.sample.shapes import (
    Drawing,
    Part,
    below,
    drawing,
    either,
    flare,
    half,
    line,
    maybe,
    moved,
    outline,
    outside,
    oval,
    pair,
)

_LEATHER_SOLE = outline("ink", "-.92,.28 .6,.3 1.02,.3~ .98,.4~ -.3,.4 -.34,.54 -.9,.54", 0.02)
_OXFORD = outline("main", "-.9,.3 -.94,-.02~ -.86,-.34 -.6,-.26~ -.3,-.42 -.1,-.4 .14,-.1~ .56,.04~ .95,.16~ 1.0,.32")
_MOCCASIN = outline("main", "-.9,.3 -.94,.0~ -.86,-.26 -.6,-.14~ -.25,-.1 .0,-.22 .3,-.1~ .7,.04~ .97,.2~ .98,.32")


def _two(*parts: Part) -> tuple[Part, ...]:
    """A left and a right one, side by side and seen from above."""
    return pair(*(moved(part, 0.42, 0.0) for part in parts))


FOOTWEAR: dict[str, Drawing] = {
    "running-shoes": drawing(
        outline("main--", "-.84,-.42 -.55,-.5~ -.2,-.56 -.3,-.3 -.6,-.2"),
        outline("main", "-.9,.3 -.95,-.05~ -.86,-.46 -.56,-.3~ -.3,-.36 -.14,-.58 .0,-.5 .2,-.16~ .55,.0~ .88,.1~ .98,.34"),
        outline("main-", "-.92,.3 -.95,-.02~ -.9,-.2 -.62,-.02~ -.5,.3"), outline("main-", ".6,.3 .66,.08~ .88,.1~ .98,.32"),
        outline("rubber", "-1.0,.22 -.5,.3~ .4,.28~ 1.02,.24 1.06,.4~ .9,.54~ .2,.52~ -.3,.56~ -1.0,.56 -1.06,.4~"),
        line("accent", "-1.0,.5 -.3,.48~ .3,.44~ 1.0,.42", 0.06),
        either(
            line("accent", "-.5,.2 -.1,.14~ .3,-.1", 0.1),
            tuple(line("accent", f"{x},.2 {x + .22},-.18", 0.06) for x in (-0.35, -0.17, 0.01)),
            (line("accent", "-.5,-.1 .2,.2", 0.07), line("accent", "-.2,.2 .2,-.06", 0.07)),
        ),
        *(line("white", f"{x},{y} {x + .14},{y - .1}", 0.045) for x, y in ((-0.16, -0.34), (-0.06, -0.22), (0.05, -0.1))),
        knobs=(below(0.26, 0.7, 1.4),), stance="stand", tilt=3, flip=True, scale=0.7,
    ),
    "dress-shoes": drawing(
        outline("main--", "-.84,-.3 -.5,-.36~ -.28,-.42 -.4,-.2 -.7,-.1"), _OXFORD, _LEATHER_SOLE,
        line("main--", ".5,.02 .46,.16~ .5,.3", 0.025), outline("main-", "-.34,-.42 -.1,-.4 .14,-.1~ .08,.08 -.1,.06~ -.4,-.1"),
        *(line("ink", f"{x},{y} {x + .14},{y - .05}", 0.028) for x, y in ((-0.26, -0.28), (-0.18, -0.18), (-0.1, -0.08))),
        line("main--", "-.9,.1 -.6,.04~ -.46,.3", 0.02),
        stance="stand", gloss=True, tilt=3, flip=True,
    ),
    "loafers": drawing(
        outline("main--", "-.84,-.24 -.5,-.22~ .0,-.22 -.2,.0 -.7,.0"), _MOCCASIN, _LEATHER_SOLE,
        line("main--", "-.02,-.18 .2,.08~ .6,.12~ .92,.14", 0.03),
        either(
            (outline("main-", "-.14,-.18 .04,-.26 .3,.2 .08,.3"), line("main--", ".02,-.02 .16,-.06", 0.04)),
            (line("brass", "-.04,-.06 .2,-.0", 0.06), oval("brass", -0.04, -0.06, 0.05), oval("brass", 0.2, 0, 0.05)),
            (line("main--", ".0,-.05 .16,.12", 0.06), line("main--", ".08,-.06 .1,.16", 0.06)),
        ),
        stance="stand", tilt=3, flip=True,
    ),
    "high-heels": drawing(
        outline("main--", "-.84,-.5 -.5,-.3~ .1,.1~ .42,.2 .3,.34 -.3,.1~"),
        outline("main", "-.9,-.34~ -.86,-.62 -.7,-.4~ -.3,.02~ .08,.26~ .34,.22~ .62,.32~ 1.0,.56 .9,.6 .3,.6~ -.05,.44~ -.45,.04~"
                " -.66,-.04 -.74,.58 -.84,.58 -.86,-.02~"),
        maybe(line("main-", "-.84,-.5 -.6,-.58~ -.36,-.48", 0.05)),
        maybe(oval("brass", 0.5, 0.32, 0.07)),
        knobs=(below(0.0, 0.6, 1.15),), stance="stand", gloss=True, tilt=2, flip=True,
    ),
    "ballet-flats": drawing(
        outline("main--", "-.88,-.06 -.3,.0~ .3,.06 .1,.24 -.6,.2"),
        outline("main", "-.94,.36 -.97,.1~ -.9,-.1 -.6,.12~ -.1,.22~ .24,.1 .5,.08~ .85,.2~ 1.02,.38 .9,.44 -.86,.44"),
        outline("ink", "-.92,.4 .98,.4 .9,.47 -.86,.47"), line("main-", "-.9,-.09 -.6,.12~ -.1,.22~ .24,.1", 0.03),
        either(
            (oval("accent", 0.24, 0.02, 0.1, 0.06), oval("accent", 0.46, 0.02, 0.1, 0.06), oval("accent-", 0.35, 0.04, 0.045)),
            line("main-", "-.3,.2 .0,.06~ .2,.12", 0.06),
            oval("brass", 0.42, 0.12, 0.06, 0.04),
        ),
        stance="stand", gloss=True, tilt=3, flip=True,
    ),
    "ankle-boots": drawing(
        outline("main", "-.72,.4 -.78,.1~ -.7,-.6 -.1,-.66 -.06,-.15~ .2,.0~ .6,.1~ .86,.26~ .88,.42"),
        either(
            outline("main--", "-.5,-.62 -.24,-.64 -.22,-.1~ -.34,.04 -.48,-.1~"),
            tuple(line("white", f"{x},{y} {x + .22},{y - .03}", 0.035) for x, y in
                  ((-0.28, -0.5), (-0.27, -0.36), (-0.25, -0.22), (-0.18, -0.09), (-0.06, 0.02))),
            line("metal", "-.4,-.6 -.42,.3", 0.03),
        ),
        outline("ink", "-.76,.38 .9,.4 .9,.48 -.2,.48 -.26,.62 -.74,.62", 0.02), line("main-", "-.76,.3 -.2,.26~ .84,.3", 0.03),
        maybe(line("main--", "-.78,.0 -.06,-.06", 0.06), oval("brass", -0.2, -0.05, 0.05)),
        knobs=(below(0.44, 0.8, 1.7),), stance="stand", tilt=2, flip=True,
    ),
    "rain-boots": drawing(
        outline("main", "-.56,.72 -.62,.3~ -.6,-.9 .06,-.94 .04,.1~ .2,.3~ .6,.4~ .8,.6~ .8,.76"),
        outline("accent", "-.61,-.92 .07,-.96 .07,-.78 -.61,-.74"), outline("main-", "-.58,.7 .82,.7 .82,.84 .05,.84 .0,.9 -.58,.9"),
        line("main-", "-.5,.56 .1,.5~ .74,.6", 0.04), maybe(oval("accent", -0.28, -0.3, 0.14)),
        knobs=(below(-0.4, 0.75, 1.05),), stance="stand", gloss=True, tilt=2, flip=True,
    ),
    "sandals": drawing(
        outline("gum", "-.92,.3 -.5,.36~ .2,.4~ .7,.34~ .98,.28 .98,.44~ .7,.52 -.9,.52", 0.03),
        outline("ink", "-.92,.5 .96,.46 .9,.56 -.9,.58"),
        line("main", "-.8,.32 -.86,-.1~ -.6,-.34~ -.2,-.3~ -.1,-.1", 0.12), line("main", "-.82,-.12 -.4,.0~ .1,.36", 0.12),
        either(
            (line("main", ".1,.38 .3,.08~ .56,.36", 0.13), line("main", ".4,.36 .6,.12~ .86,.3", 0.13)),
            outline("main", ".0,.42 .1,.1~ .36,-.02~ .66,.1~ .82,.36 .4,.44~"),
        ),
        oval("brass", -0.22, -0.28, 0.055),
        knobs=(below(0.42, 0.6, 2.2),), stance="stand", tilt=3, flip=True,
    ),
    "flip-flops": drawing(
        *_two(
            outline("main", "0,-.95~ .3,-.8~ .34,-.4~ .25,.1~ .28,.6~ .12,.92~ -.12,.9~ -.26,.6~ -.22,.1~ -.34,-.4~ -.28,-.8~"),
            line("accent", "0,-.55 .14,-.3~ .3,.05", 0.09), line("accent", "0,-.55 -.16,-.3~ -.27,.05", 0.09),
            oval("accent-", 0, -0.56, 0.05),
        ),
        tilt=25, knobs=(outside(0.1, 0.9, 1.1),), scale=0.9,
    ),
    "slippers": drawing(
        *_two(
            outline("gum", "0,-.95~ .3,-.8~ .36,-.3~ .3,.2~ .3,.6~ .12,.92~ -.12,.92~ -.3,.6~ -.3,.2~ -.36,-.3~ -.3,-.8~"),
            half("white", "0,-.1~ .26,.0~ .24,.6~ .1,.82~ 0,.84~"),
            outline("main", "0,-1.0~ .34,-.82~ .4,-.4~ .37,.16 .2,.08~ 0,.04~ -.2,.08~ -.37,.16 -.4,-.4~ -.34,-.82~"),
            line("white", "-.37,.14 -.2,.07~ 0,.03~ .2,.07~ .37,.14", 0.14),
        ),
        maybe(*_two(oval("accent", 0, -0.5, 0.13))),
        tilt=20, knobs=(flare(-0.5, -0.05, 0.1),),
    ),
}  # fmt: skip
