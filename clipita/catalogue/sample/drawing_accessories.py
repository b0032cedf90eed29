"""Bags, things to wear with clothes, watches, eyewear and jewellery."""

from __future__ import annotations

import math

from clipita.catalogue.sample.shapes import (
    Drawing,
    below,
    box,
    drawing,
    either,
    flare,
    half,
    line,
    maybe,
    outline,
    outside,
    oval,
    pair,
    ring,
)

_STRAP = box("accent", -0.2, -0.98, 0.2, 0.98, 0.08)
_BEADS = tuple(
    (round(0.62 * math.sin(turn / 15 * 2.5), 3), round(-0.85 + 0.75 * (1 - math.cos(turn / 15 * 2.5)), 3))
    for turn in range(16)
)

ACCESSORIES: dict[str, Drawing] = {
    "backpacks": drawing(
        line("main--", "-.16,-.74 -.14,-.98~ 0,-1.02~ .14,-.98~ .16,-.74", 0.08),
        *pair(line("main--", ".5,-.4 .68,.1~ .56,.7", 0.1)),
        half("main", "0,-.82~ .36,-.76~ .54,-.4~ .6,.3~ .56,.86~ .3,.92~ 0,.93~"),
        half("main-", "0,.04 .4,.06~ .46,.2~ .46,.7~ .36,.8~ 0,.81"), line("metal", "-.42,.22 0,.17~ .42,.22", 0.03),
        line("metal", "-.44,-.3 -.3,-.6~ 0,-.66~ .3,-.6~ .44,-.3", 0.03), maybe(box("accent", -0.14, 0.34, 0.14, 0.56)),
        either((), pair(box("accent", 0.22, -0.35, 0.3, 0.14, 0.01))),
        knobs=(outside(0.2, 0.85, 1.15), below(0, 0.85, 1.05)), stance="stand",
    ),
    "tote-bags": drawing(
        line("main--", "-.26,-.2 -.22,-.86~ 0,-.98~ .22,-.86~ .26,-.2", 0.06),
        half("main", "0,-.22 .54,-.22 .62,.84~ .58,.9 0,.92"),
        line("main-", "-.28,.0 -.24,-.76~ 0,-.9~ .24,-.76~ .28,.0", 0.07), line("main-", "-.54,-.16 .54,-.16", 0.03),
        *pair(box("main--", 0.22, -0.08, 0.34, 0.06, 0.01)),
        maybe(oval("accent", 0, 0.4, 0.2)),
        knobs=(below(-0.2, 0.75, 1.1), outside(0.3, 0.9, 1.25)), stance="hang",
    ),
    "handbags": drawing(
        line("main--", "-.36,-.2 -.3,-.7~ 0,-.84~ .3,-.7~ .36,-.2", 0.08),
        half("main", "0,-.24 .5,-.24 .72,.5~ .66,.66~ 0,.68"), half("main-", "0,-.26 .52,-.26 .5,.08~ .2,.2~ 0,.2"),
        *pair(oval("brass", 0.36, -0.2, 0.06)), either(box("brass", -0.09, 0.1, 0.09, 0.28), oval("brass", 0, 0.2, 0.09)),
        maybe(*pair(line("main--", ".6,.0 .62,.62", 0.03))),
        knobs=(outside(0.3, 0.9, 1.2), flare(-0.2, -0.2, 0.15)), stance="stand", gloss=True,
    ),
    "suitcases": drawing(
        *pair(line("metal", ".2,-.6 .2,-1.0", 0.05)), box("ink", -0.26, -1.06, 0.26, -0.96, 0.04),
        *pair(box("ink", 0.3, 0.88, 0.48, 1.02, 0.06)), box("main", -0.58, -0.68, 0.58, 0.92, 0.14),
        *(line("main-", f"{x},-.56 {x},.8", 0.05) for x in (-0.38, -0.19, 0, 0.19, 0.38)),
        maybe(box("main--", -0.16, -0.74, 0.16, -0.62, 0.04)), maybe(box("accent", 0.24, -0.5, 0.44, -0.3)),
        knobs=(below(-0.3, 0.7, 1.05), outside(0.26, 0.85, 1.2)), stance="stand", gloss=True, tilt=2,
    ),
    "duffel-bags": drawing(
        line("main--", "-.4,.3 -.36,-.5~ 0,-.66~ .36,-.5~ .4,.3", 0.07),
        half("main", "0,-.36 .8,-.36~ .96,-.2~ 1.0,.2~ .94,.52~ .8,.58~ 0,.58"),
        *pair(line("main--", ".78,-.34 .86,.1~ .78,.56", 0.03)), line("metal", "-.76,-.26 .76,-.26", 0.035),
        line("main-", "-.42,.56 -.4,-.3~ -.3,-.54~ 0,-.62~ .3,-.54~ .4,-.3~ .42,.56", 0.08), maybe(box("main-", -0.26, 0, 0.26, 0.44)),
        maybe(*pair(ring("metal", 0.92, -0.1, 0.06, width=0.03))),
        stance="stand", knobs=(outside(0.4, 0.85, 1.1),),
    ),
    "wallets": drawing(
        box("main-", -0.72, -0.52, 0.7, 0.46, 0.08), box("white", -0.5, -0.6, 0.4, 0, 0.03), box("accent", -0.44, -0.54, 0.46, 0, 0.03),
        box("main", -0.74, -0.42, 0.74, 0.56, 0.09), line("stitch", "-.66,-.34 .66,-.34 .66,.48 -.66,.48 -.66,-.34", 0.018),
        either(
            (outline("main-", ".74,-.06 .4,-.06~ .34,.07~ .4,.2~ .74,.2"), oval("brass", 0.46, 0.07, 0.055)),
            line("main--", "0,-.4 0,.54", 0.03), box("brass", 0.4, 0.3, 0.62, 0.42, 0.02),
        ),
        tilt=14, knobs=(outside(0.2, 0.7, 1.1),),
    ),
    "caps": drawing(
        outline("main-", ".3,.1 .62,.06~ 1.05,.2~ 1.12,.32~ .8,.34~ .3,.3~ -.1,.34~"),
        outline("main", "-.74,.3 -.76,-.1~ -.5,-.56~ 0,-.66~ .4,-.46~ .6,-.06~ .62,.14 .1,.2~ -.4,.28~"),
        line("main--", "-.04,-.66 .12,-.3~ .14,.18", 0.025), line("main--", "-.1,-.66 -.4,-.3~ -.48,.28", 0.025),
        oval("main-", -0.06, -0.68, 0.07, 0.04), either(oval("accent", 0.32, -0.1, 0.13), outline("accent", ".2,.0 .32,-.26 .46,.0"), ()),
        tilt=8, flip=True,
    ),
    "sun-hats": drawing(
        half("main", "0,.0~ .6,.06~ 1.1,.24~ 1.04,.4~ .5,.52~ 0,.54~"), half("main", "0,-.56~ .36,-.5~ .5,-.14~ .54,.2~ 0,.3~"),
        outline("accent", "-.53,.02 0,.12~ .53,.02 .545,.2 0,.32~ -.545,.2"), maybe(line("accent", ".5,.12 .76,.3~ .7,.46", 0.06)),
        line("main-", "-1.04,.38 -.5,.5~ 0,.52~ .5,.5~ 1.04,.38", 0.025),
        knobs=(outside(0.5, 0.75, 1.15), below(0.2, 0.8, 1.2)), tilt=9,
    ),
    "beanies": drawing(
        maybe(oval("accent", 0, -0.78, 0.24)),
        half("main", "0,-.7~ .34,-.6~ .56,-.2~ .6,.3 0,.4~"), *pair(line("main-", ".2,-.6 .36,.3", 0.025)), line("main-", "0,-.68 0,.36", 0.025),
        half("main-", "0,.2~ .62,.16 .64,.54 0,.6~"), *pair(*(line("main--", f"{x},.22 {x + .01},.54", 0.025) for x in (0.1, 0.22, 0.34, 0.46, 0.57))),
        maybe(box("accent", 0.24, 0.28, 0.44, 0.48, 0.02)),
        knobs=(below(0.1, 0.8, 1.2),), tilt=8, scale=0.9,
    ),
    "scarves": drawing(
        *(line("main-", f"{x},.7 {x + .02},.98", 0.03) for x in (-0.46, -0.38, -0.3, -0.22, -0.14)),
        *(line("main-", f"{x},.5 {x + .02},.78", 0.03) for x in (0.12, 0.2, 0.28, 0.36, 0.44)),
        outline("main", "-.34,-.1 -.5,.78 -.1,.78 .1,-.1"), outline("main", ".0,-.1 .08,.58 .48,.58 .36,-.1"),
        ring("main-", 0, -0.46, 0.4, 0.3, width=0.3), outline("main", "-.52,-.5 -.3,-.3~ 0,-.22~ .3,-.3~ .52,-.5 .6,-.2~ .34,.06~ 0,.12~ -.34,.06~ -.6,-.2~"),
        line("main--", "-.4,-.18 0,-.02~ .4,-.18", 0.025),
        tilt=6, knobs=(below(0, 0.8, 1.25),), flip=True, stance="hang",
    ),
    "ties": drawing(
        half("main", "0,-.72 .1,-.72 .24,.72 0,1.0"), half("main-", "0,-.98 .17,-.98 .1,-.7 0,-.68"), line("main--", ".0,-.68 .06,-.5", 0.02),
        maybe(line("metal", "-.16,.1 .14,.08", 0.05)),
        tilt=16, knobs=(outside(0.04, 0.8, 1.3),), scale=0.5, gloss=True,
    ),
    "belts": drawing(
        ring("main--", 0.1, -0.12, 0.74, 0.44, width=0.2), line("main", "-.62,.12 -.3,.3~ .1,.34~ .6,.26~ .96,.06", 0.22),
        *(oval("ink", x, y, 0.03) for x, y in ((0.4, 0.31), (0.56, 0.26), (0.72, 0.19))),
        either(ring("metal", -0.5, 0.2, 0.17, 0.2, width=0.07), box("brass", -0.7, 0.02, -0.34, 0.4, 0.05)),
        line("metal", "-.5,.2 -.24,.26", 0.06),
        tilt=10, knobs=(below(0, 0.8, 1.2),), flip=True,
    ),
    "gloves": drawing(
        *pair(
            outline("main", ".2,.9 .2,.3~ .06,.1~ .02,-.22~ .1,-.3~ .24,-.06 .26,-.6~ .33,-.72~ .4,-.6 .42,-.16 .46,-.76~ .53,-.86~ .6,-.76"
                    " .6,-.16 .66,-.66~ .73,-.74~ .79,-.64 .76,-.1 .84,-.44~ .91,-.48~ .96,-.38 .86,.3~ .78,.9"),
            outline("main-", ".18,.62 .82,.62 .8,.92 .18,.92"), line("main--", ".4,.2 .6,.16~ .74,.24", 0.02),
        ),
        maybe(*pair(line("accent", ".2,.77 .8,.77", 0.06))),
        tilt=8, knobs=(below(0.4, 0.7, 1.3),),
    ),
    "umbrellas": drawing(
        line("metal", "0,-.6 0,.6", 0.04), line("wood", "0,.55 0,.8 .04,.95~ .16,.98~ .26,.9~ .26,.8", 0.07), line("metal", "0,-.82 0,-.6", 0.05),
        half("main", "0,-.7~ .5,-.56~ .86,-.2~ .98,.14 .82,.04~ .66,.14 .5,.02~ .33,.14 .16,.02~ 0,.12"),
        *pair(line("main--", "0,-.7 .2,-.4~ .33,.12", 0.025), line("main--", "0,-.7 .46,-.42~ .66,.12", 0.025)),
        tilt=18,
    ),
    "watches": drawing(
        either(_STRAP, (box("metal", -0.2, -0.98, 0.2, 0.98, 0.05), *(line("dark", f"-.2,{y} .2,{y}", 0.02) for y in (-0.85, -0.72, -0.59, 0.59, 0.72, 0.85)))),
        box("metal", 0.38, -0.05, 0.5, 0.05, 0.02),
        either(
            (oval("metal", 0, 0, 0.44), oval("main", 0, 0, 0.37)),
            (box("metal", -0.4, -0.44, 0.4, 0.44, 0.12), box("main", -0.34, -0.38, 0.34, 0.38, 0.08)),
        ),
        *(line("white", f"{.31 * math.cos(a):.2f},{.31 * math.sin(a):.2f} {.26 * math.cos(a):.2f},{.26 * math.sin(a):.2f}", 0.025)
          for a in (number * math.tau / 12 for number in range(12))),
        either((line("white", "0,0 .02,-.24", 0.03), line("white", "0,0 .16,.06", 0.035)),
               (line("white", "0,0 -.14,-.14", 0.035), line("white", "0,0 .2,-.14", 0.03))),
        tilt=12, gloss=True, knobs=(outside(0.1, 0.95, 1.1),),
    ),
    "sunglasses": drawing(
        *pair(line("main--", ".86,-.2 .98,-.34~ .8,-.5", 0.05)),
        either(
            pair(outline("main", ".12,-.26 .5,-.32~ .9,-.26 .9,.06~ .7,.34~ .34,.34~ .14,.1~"), outline("ink", ".2,-.2 .5,-.24~ .82,-.2 .8,.04~ .66,.25~ .38,.25~ .22,.06~")),
            pair(oval("main", 0.5, 0, 0.4, 0.36), oval("screen", 0.5, 0, 0.33, 0.29)),
            pair(outline("main", ".1,-.24 .96,-.3 .9,.2~ .8,.26 .22,.24 .14,.14~"), outline("ink", ".2,-.16 .86,-.2 .8,.12~ .74,.17 .28,.16 .23,.1~")),
        ),
        line("main", "-.16,-.12 0,-.2~ .16,-.12", 0.07), *pair(line("white", ".3,.02 .46,-.14", 0.03)),
        tilt=8, gloss=True, knobs=(below(0, 0.85, 1.1),),
    ),
    "necklaces": drawing(
        either(line("main", "-.5,-.9 -.62,-.4~ -.4,.1~ 0,.4~ .4,.1~ .62,-.4~ .5,-.9", 0.035),
               tuple(oval("main", sign * x, y, 0.075) for x, y in _BEADS for sign in (-1, 1))),
        either((outline("accent", "0,.42 .16,.62 0,.9 -.16,.62"), ring("main", 0, 0.42, 0.06, width=0.03)),
               (outline("main", "0,.58 .1,.46~ .2,.54~ .16,.68~ 0,.86 -.16,.68~ -.2,.54~ -.1,.46~"),),
               (oval("accent", 0, 0.6, 0.16), ring("main", 0, 0.6, 0.16, width=0.04))),
        tilt=5, gloss=True, knobs=(below(-0.4, 0.75, 1.1),),
    ),
    "earrings": drawing(
        either(
            pair(line("main", ".4,-.4 .4,-.7~ .5,-.82~ .6,-.7", 0.04), outline("main", ".4,-.4 .62,.1~ .58,.36~ .4,.44~ .22,.36~ .18,.1~"), oval("accent", 0.4, 0.16, 0.12)),
            pair(ring("main", 0.45, 0.05, 0.36, 0.42, width=0.08), oval("accent", 0.45, -0.4, 0.08)),
            pair(line("main", ".4,-.2 .4,-.6~ .5,-.72~ .6,-.6", 0.04), oval("accent", 0.4, -0.2, 0.09), outline("main", ".4,-.1 .6,.5 .2,.5"),
                 *(line("main-", f"{x},.5 {x},.78", 0.03) for x in (0.26, 0.4, 0.54))),
        ),
        tilt=6, gloss=True, knobs=(below(-0.3, 0.7, 1.3),),
    ),
    "rings": drawing(
        ring("main", 0, 0.25, 0.5, 0.52, width=0.13), ring("main+", 0, 0.23, 0.5, 0.52, width=0.03),
        either((outline("accent", "-.26,-.5 -.16,-.66 .16,-.66 .26,-.5 0,-.2"), line("white", "-.26,-.5 .26,-.5", 0.02), *pair(line("main", ".2,-.2 .22,-.46", 0.06))),
               (oval("main", 0, -0.36, 0.27), oval("accent", 0, -0.36, 0.21)),
               tuple(oval("white", x, y, 0.08) for x, y in ((-0.2, -0.22), (0, -0.28), (0.2, -0.22)))),
        tilt=18, gloss=True,
    ),
}  # fmt: skip
