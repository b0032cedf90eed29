"""Kitchen, furniture, lighting and decoration."""

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
    moved,
    outline,
    outside,
    oval,
    pair,
    ring,
)

_LEAF = outline("leaf", "0,-.1 -.1,-.5~ .0,-.95 .12,-.5~")
_LOW_LEAF = outline("leaf-", "0,-.1 .2,-.3~ .62,-.62 .4,-.2~")
_BULB_GLOW = half("lamp", "0,.0 .3,.0 .24,.12~ 0,.16~")

KITCHEN: dict[str, Drawing] = {
    "mugs": drawing(
        either(ring("main-", 0.56, 0, 0.3, 0.36, width=0.13), line("main-", ".4,-.3 .8,-.34 .82,.3 .4,.34", 0.12)),
        box("main", -0.6, -0.62, 0.52, 0.66, 0.08), oval("main--", -0.04, -0.6, 0.56, 0.1), oval("main-", -0.04, -0.58, 0.48, 0.07),
        maybe(oval("accent", -0.06, 0.06, 0.24)),
        knobs=(below(-0.5, 0.8, 1.15), flare(-0.6, -0.12, 0.1)), stance="stand", gloss=True, tilt=0, flip=True, scale=0.9,
    ),
    "teapots": drawing(
        line("main-", "-.5,-.2 -.9,-.36~ -1.0,.0~ -.5,.4", 0.1), outline("main-", ".4,.3 .7,.1~ .84,-.34 1.04,-.4 .98,-.1~ .8,.4~ .4,.6"),
        half("main", "0,-.46~ .36,-.42~ .66,.0~ .6,.42~ .36,.62 0,.63"), half("main-", "0,-.62~ .26,-.54~ .38,-.4 0,-.36"), oval("main", 0, -0.68, 0.1),
        maybe(line("accent", "-.62,.14 0,.18~ .62,.14", 0.06)),
        knobs=(below(-0.3, 0.85, 1.1),), stance="stand", gloss=True, tilt=0, flip=True, scale=0.8,
    ),
    "kettles": drawing(
        either(line("ink", "-.3,-.5 -.5,-.8~ .0,-1.0~ .5,-.8~ .3,-.5", 0.11), line("ink", "-.3,-.66 -.8,-.7~ -.86,.0~ -.6,.36", 0.13)),
        outline("main-", ".36,-.34 .7,-.5 .8,-.44 .56,.0"),
        half("main", "0,-.6~ .28,-.56 .5,.0~ .64,.62 .6,.7 0,.7"), half("ink", "0,-.68 .18,-.66 .3,-.54 0,-.52"), oval("ink", 0, -0.72, 0.08),
        outline("dark", "-.62,.66 .62,.66 .64,.8 -.64,.8"), maybe(box("screen", -0.1, -0.2, 0.1, 0.4, 0.05)),
        knobs=(below(-0.4, 0.8, 1.1), outside(0.3, 0.9, 1.1)), stance="stand", gloss=True, tilt=0, flip=True,
    ),
    "frying-pans": drawing(
        outline("ink", "-.02,-.1 .95,-.12 1.02,0 .95,.12 -.02,.1"), oval("metal", 0.94, 0, 0.04), oval("main", -0.4, 0, 0.62),
        oval("main--", -0.4, 0, 0.53), oval("dark", -0.4, 0, 0.46), maybe(ring("dark", -0.4, 0, 0.3, width=0.02)),
        tilt=70, gloss=True, flip=True,
    ),
    "saucepans": drawing(
        line("ink", ".4,-.16 1.1,-.24", 0.11), box("main", -0.7, -0.3, 0.5, 0.48, 0.08), box("metal", -0.74, -0.34, 0.54, -0.24, 0.04),
        maybe(outline("metal", "-.68,-.34 -.4,-.5~ -.1,-.56~ .2,-.5~ .48,-.34"), oval("ink", -0.1, -0.62, 0.09)),
        maybe(line("ink", "-.74,-.1 -.9,-.1 -.9,.08 -.74,.08", 0.08)),
        knobs=(below(-0.2, 0.7, 1.5),), stance="stand", gloss=True, tilt=0, flip=True,
    ),
    "bowls": drawing(
        half("main", "0,-.3 .84,-.3 .7,.2~ .34,.46~ .32,.54 0,.54"), oval("main--", 0, -0.3, 0.84, 0.14), oval("main-", 0, -0.27, 0.72, 0.1),
        maybe(line("accent", "-.78,-.02 0,.08~ .78,-.02", 0.06)),
        knobs=(below(-0.3, 0.8, 1.35),), stance="stand", gloss=True, tilt=0, scale=0.7,
    ),
    "wine-glasses": drawing(
        line("main+", "0,.1 0,.86", 0.05), oval("main+", 0, 0.9, 0.36, 0.06),
        either(half("main~", "0,-.9 .32,-.9 .42,-.4~ .28,.04~ 0,.16~"), half("main~", "0,-.95 .18,-.95 .24,-.3~ .12,.1~ 0,.16"), half("main~", "0,-.8 .5,-.8 .2,.0~ 0,.12")),
        maybe(half("main-", "0,-.4 .38,-.4 .28,.0~ 0,.12~")),
        knobs=(below(0.16, 0.7, 1.1), outside(0.05, 0.85, 1.2)), stance="stand", gloss=True, tilt=0,
    ),
    "water-bottles": drawing(
        half("main", "0,-.6 .2,-.6 .22,-.5~ .34,-.3~ .34,.9~ .3,.96 0,.96"), either((box("ink", -0.22, -0.86, 0.22, -0.58, 0.05), ring("ink", 0, -0.92, 0.12, width=0.06)),
        (box("metal", -0.2, -0.8, 0.2, -0.58, 0.04),), (box("accent", -0.24, -0.74, 0.24, -0.58, 0.04), box("ink", -0.08, -0.94, 0.08, -0.74, 0.03))),
        maybe(box("accent", -0.34, 0.1, 0.34, 0.3, 0.0)), maybe(line("main-", "-.34,.78 .34,.78", 0.03)),
        knobs=(below(-0.3, 0.75, 1.05), outside(0.1, 0.8, 1.2)), stance="stand", gloss=True, tilt=0,
    ),
    "kitchen-knives": drawing(
        outline("metal", "-.3,-.12 .8,-.1~ 1.15,.1~ .6,.2~ -.3,.2"), line("white", "-.26,.15 .6,.15", 0.03), box("dark", -0.36, -0.14, -0.28, 0.22, 0.02),
        outline("main", "-.34,-.11 -1.0,-.12~ -1.06,.0~ -.98,.14~ -.7,.09~ -.34,.12"), *(oval("metal", x, 0, 0.03) for x in (-0.85, -0.65, -0.48)),
        tilt=60, gloss=True, flip=True, knobs=(below(0, 0.7, 1.3),),
    ),
    "toasters": drawing(
        either(*((box("stitch", -0.44, -0.66, 0.06, -0.2, 0.12), box("gum", -0.1, -0.6, 0.42, -0.2, 0.12)), ())),
        half("main", "0,-.46 .6,-.46~ .76,-.3~ .78,.5 0,.52"), line("ink", "-.5,-.42 .5,-.42", 0.06), *pair(box("ink", 0.5, 0.5, 0.66, 0.6, 0.03)),
        box("main--", 0.76, -0.1, 0.88, 0.02, 0.03), oval("ink", 0.5, 0.24, 0.1), line("white", ".5,.24 .5,.17", 0.025), line("main-", "-.74,.4 .76,.4", 0.03),
        knobs=(outside(0.5, 0.8, 1.2),), stance="stand", gloss=True, tilt=0, flip=True,
    ),
}  # fmt: skip

FURNITURE: dict[str, Drawing] = {
    "chairs": drawing(
        line("wood-", "-.36,.1 -.4,.95", 0.07), line("wood-", ".3,.0 .36,.8", 0.07),
        either(
            outline("main", "-.46,-.95 -.1,-1.0~ .3,-.95 .36,.0 -.4,.1"),
            (line("main", "-.44,-.95 -.38,.1", 0.08), line("main", ".34,-.95 .32,.0", 0.08), *(line("main", f"-.42,{y} .34,{y}", 0.09) for y in (-0.88, -0.6, -0.32))),
        ),
        outline("main-", "-.48,.06 .34,-.02 .56,.2 -.36,.34"), line("wood", "-.34,.32 -.36,1.1", 0.07), line("wood", ".52,.2 .56,.95", 0.07),
        knobs=(below(0.3, 0.8, 1.1), outside(0.2, 0.9, 1.1)), stance="stand", tilt=0, flip=True,
    ),
    "stools": drawing(
        *pair(line("wood", ".3,-.4 .46,.9", 0.08)), line("wood-", "-.37,.3 .37,.3", 0.06), either(line("wood-", "-.42,.6 .42,.6", 0.06), line("wood-", "0,-.4 0,.84", 0.07)),
        half("main", "0,-.6~ .46,-.58~ .54,-.48~ .46,-.36~ 0,-.34~"),
        knobs=(below(-0.2, 0.6, 1.15), outside(0.3, 0.9, 1.3)), stance="stand", tilt=0,
    ),
    "sofas": drawing(
        *pair(box("wood", 0.74, 0.4, 0.84, 0.62, 0.02)), half("main-", "0,-.5 .7,-.5~ .84,-.36~ .86,.2 0,.2"),
        half("main", "0,.0 .72,.0~ .76,.1~ .76,.24 0,.24"), half("main-", "0,.22 .8,.22 .8,.46 0,.46"), line("main--", "0,-.48 0,.24", 0.03),
        *pair(outline("main", ".72,-.1~ .84,-.2~ .98,-.1~ 1.0,.46 .74,.46")), maybe(outline("accent", "-.66,-.26 -.34,-.34 -.28,.0 -.62,.06")),
        knobs=(outside(0.5, 0.8, 1.35),), stance="stand", tilt=0,
    ),
    "armchairs": drawing(
        *pair(line("wood", ".42,.5 .48,.84", 0.08)), half("main-", "0,-.86~ .38,-.82~ .52,-.6~ .5,.3 0,.3"), half("main", "0,.06 .42,.06 .44,.28 0,.28"),
        half("main-", "0,.26 .5,.26 .5,.56 0,.56"), *pair(outline("main", ".42,-.16~ .56,-.26~ .7,-.14~ .68,.56 .42,.56")), maybe(*(oval("main--", x, -0.5, 0.03) for x in (-0.2, 0, 0.2))),
        knobs=(outside(0.3, 0.9, 1.1), below(0.5, 0.5, 1.3)), stance="stand", tilt=0,
    ),
    "tables": drawing(
        *pair(line("main--", ".62,-.3 .64,.4", 0.07)), *pair(line("main-", ".84,-.3 .9,.62", 0.09)),
        either(outline("main", "-.76,-.5 .76,-.5 1.0,-.3 -1.0,-.3"), oval("main", 0, -0.4, 1.0, 0.16)), box("main-", -1.0, -0.34, 1.0, -0.22, 0.03),
        maybe(box("main--", -0.4, -0.22, 0.4, -0.06, 0.01), oval("brass", 0, -0.14, 0.03)),
        knobs=(below(-0.2, 0.6, 1.2), outside(0.4, 0.75, 1.0)), stance="stand", tilt=0,
    ),
    "bookcases": drawing(
        box("main", -0.56, -1.0, 0.56, 1.0, 0.02), *(box("main--", -0.48, y, 0.48, y + 0.38, 0.01) for y in (-0.92, -0.45, 0.02, 0.49)),
        *(box(paint, x, y - h, x + 0.09, y, 0.01) for paint, x, y, h in (("accent", -0.44, -0.54, 0.3), ("white", -0.33, -0.54, 0.26), ("leaf", 0.02, -0.07, 0.28),
          ("gum", 0.13, -0.07, 0.32), ("white", 0.24, -0.07, 0.24), ("accent", 0.34, 0.4, 0.3), ("screen", 0.22, 0.4, 0.26), ("wax", -0.4, 0.87, 0.26), ("accent", -0.29, 0.87, 0.3))),
        maybe(oval("brass", 0.2, -0.66, 0.1)), maybe(oval("leaf", -0.2, 0.28, 0.13)),
        knobs=(outside(0.1, 0.8, 1.3),), stance="stand", tilt=0, flip=True,
    ),
    "beds": drawing(
        half("wood", "0,-.74~ .8,-.7~ .86,-.6 .86,.3 0,.3"), *pair(box("wood-", 0.76, 0.3, 0.88, 0.76, 0.02)), half("white", "0,-.2 .8,-.2~ .84,.0 .84,.2 0,.2"),
        *pair(half("white", "0,.0 .01,.0 .02,.1 0,.1"), outline("wax", ".08,-.4 .64,-.42~ .7,-.24~ .64,-.1~ .08,-.1")),
        half("main", "0,-.06~ .82,-.02~ .94,.2~ .95,.56 0,.6"), line("main-", "-.9,.06 0,.02~ .9,.06", 0.06), half("wood-", "0,.54 .96,.54 .96,.68 0,.68"),
        knobs=(outside(0.3, 0.8, 1.1),), stance="stand", tilt=0,
    ),
}  # fmt: skip

DECOR: dict[str, Drawing] = {
    "table-lamps": drawing(
        line("metal", "0,-.1 0,.5", 0.06), _BULB_GLOW, either(half("wood", "0,.1 .1,.12 .26,.5~ .2,.8 0,.84"), (oval("metal", 0, 0.8, 0.34, 0.07), line("metal", "0,.0 0,.8", 0.08)), (oval("accent", 0, 0.5, 0.3), box("accent-", -0.2, 0.74, 0.2, 0.86, 0.03))),
        either(half("main", "0,-.85 .32,-.85 .6,.02 0,.04"), half("main", "0,-.8 .46,-.8 .52,.0 0,.02"), half("main", "0,-.85~ .4,-.6~ .56,.0 0,.02")),
        knobs=(outside(0.2, 0.85, 1.15), below(0.1, 0.8, 1.2)), stance="stand", tilt=0, scale=0.8,
    ),
    "floor-lamps": drawing(
        either((line("metal", "0,-.8 0,1.2", 0.05), oval("metal", 0, 1.22, 0.32, 0.06)), (line("wood", "0,-.5 -.36,1.22", 0.06), line("wood", "0,-.5 .36,1.22", 0.06), line("wood-", "0,-.5 .04,1.16", 0.06))),
        half("lamp", "0,-.56 .3,-.56 .2,-.48~ 0,-.46~"), either(half("main", "0,-1.2 .26,-1.2 .42,-.56 0,-.54"), half("main", "0,-1.16 .38,-1.16 .4,-.6 0,-.58")),
        knobs=(outside(0.1, 0.9, 1.3),), stance="stand", tilt=0, scale=0.6,
    ),
    "pendant-lamps": drawing(
        line("ink", "0,-1.1 0,-.3", 0.035), box("metal", -0.14, -1.14, 0.14, -1.06, 0.02), oval("lamp", 0, 0.38, 0.16),
        either(half("main", "0,-.4 .1,-.4 .16,-.2~ .6,.1~ .68,.42 0,.44"), half("main", "0,-.3~ .5,-.1~ .56,.34 0,.36"), half("main", "0,-.4 .14,-.4 .64,.34 .6,.4 0,.4")),
        half("lamp", "0,.38 .5,.38 .3,.5~ 0,.54~"),
        knobs=(below(-0.3, 0.8, 1.1),), stance="hang", gloss=True, tilt=0,
    ),
    "vases": drawing(
        maybe(*(line("leaf", f"{x * .3},-.5 {x},{y}", 0.03) for x, y in ((-0.3, -1.2), (0.06, -1.35), (0.36, -1.1))), *(oval("accent", x, y, 0.13) for x, y in ((-0.3, -1.2), (0.06, -1.35), (0.36, -1.1)))),
        either(half("main", "0,-.66 .22,-.66 .14,-.4~ .46,.1~ .4,.5~ .24,.74 0,.75"), half("main", "0,-.7 .3,-.7 .2,-.46~ .26,.0~ .34,.7 0,.72"), half("main", "0,-.6 .12,-.6 .12,-.2~ .5,.3~ .3,.7 0,.71")),
        oval("main--", 0, -0.64, 0.13, 0.035), maybe(line("accent", "-.38,.2 0,.24~ .38,.2", 0.06)),
        knobs=(outside(0.1, 0.85, 1.25),), stance="stand", gloss=True, tilt=0, scale=0.7,
    ),
    "wall-clocks": drawing(
        either((oval("main", 0, 0, 0.9), oval("white", 0, 0, 0.76)), (box("main", -0.82, -0.82, 0.82, 0.82, 0.14), oval("white", 0, 0, 0.7)), (*(line("main", f"{.7 * math.cos(a):.2f},{.7 * math.sin(a):.2f} {1.05 * math.cos(a):.2f},{1.05 * math.sin(a):.2f}", 0.08) for a in (n * math.tau / 12 for n in range(12))), oval("main", 0, 0, 0.76), oval("white", 0, 0, 0.64))),
        *(line("ink", f"{.6 * math.cos(a):.2f},{.6 * math.sin(a):.2f} {.52 * math.cos(a):.2f},{.52 * math.sin(a):.2f}", 0.035) for a in (n * math.tau / 12 for n in range(12))),
        either((line("ink", "0,0 .22,-.2", 0.06), line("ink", "0,0 -.2,-.44", 0.045)), (line("ink", "0,0 -.26,.06", 0.06), line("ink", "0,0 .3,-.38", 0.045)), (line("ink", "0,0 .2,.2", 0.06), line("ink", "0,0 0,-.5", 0.045))), oval("main", 0, 0, 0.06),
        stance="hang", gloss=True, tilt=3,
    ),
    "cushions": drawing(
        either(half("main", "0,-.66~ .5,-.68~ .8,-.78~ .76,-.4~ .7,.0~ .76,.42~ .8,.78~ .5,.7~ 0,.66~"), half("main", "0,-.46~ .6,-.48~ .98,-.56~ .9,.0~ .98,.56~ .6,.48~ 0,.46~")),
        maybe(*pair(oval("accent", 0.78, -0.72, 0.08), oval("accent", 0.78, 0.72, 0.08))), maybe(oval("main--", 0, 0, 0.045)),
        tilt=14, knobs=(below(0, 0.95, 1.05),), scale=0.9,
    ),
    "candles": drawing(
        half("stitch", "0,-1.04 .06,-.88~ .05,-.78~ 0,-.74~"), line("ink", "0,-.8 0,-.6", 0.03),
        either((half("main", "0,-.56 .3,-.6 .32,.8 0,.84"), oval("main-", 0, -0.58, 0.3, 0.06)), (half("main", "0,-.5 .5,-.5 .5,.6~ .44,.66 0,.66"), half("wax", "0,-.52 .46,-.52 .44,-.36~ 0,-.34"), box("wax", -0.3, 0, 0.3, 0.34, 0.03)), (line("brass", "0,.4 0,.7", 0.2), half("main", "0,-.6 .11,-.6 .12,.4 0,.4"), oval("brass", 0, 0.74, 0.44, 0.1))),
        knobs=(below(-0.3, 0.7, 1.1),), stance="stand", tilt=0, scale=0.7,
    ),
    "plant-pots": drawing(
        either((*pair(_LOW_LEAF, moved(_LOW_LEAF, 0.02, -0.16)), _LEAF), (*pair(moved(_LEAF, 0.16, 0.06), moved(_LEAF, 0.3, 0.22)), _LEAF), (*pair(oval("leaf", 0.22, -0.4, 0.24), oval("leaf+", 0.1, -0.62, 0.2), oval("leaf-", 0.36, -0.22, 0.2)),)),
        either(half("main", "0,-.12 .52,-.12 .4,.86 0,.88"), half("main", "0,-.1 .4,-.1~ .56,.3~ .4,.84 0,.86")), outline("main-", "-.56,-.16 .56,-.16 .54,.04 -.54,.04"), maybe(line("accent", "-.46,.34 .46,.34", 0.08)),
        knobs=(outside(0.1, 0.9, 1.2),), stance="stand", tilt=0, scale=0.7,
    ),
    "picture-frames": drawing(
        box("main", -0.72, -0.92, 0.72, 0.92, 0.02), box("white", -0.58, -0.78, 0.58, 0.78, 0.01), box("wax", -0.4, -0.58, 0.4, 0.58, 0.01),
        either((outline("leaf", "-.4,.58 -.4,.2 -.1,-.1 .14,.16 .28,.04 .4,.2 .4,.58", 0.01), oval("stitch", 0.2, -0.32, 0.1)), (oval("accent", 0, -0.1, 0.22), half("screen", "0,.16~ .32,.3~ .38,.58 0,.58")), (box("accent", -0.3, -0.48, 0.1, 0.1, 0), oval("stitch", 0.1, 0.22, 0.22))),
        stance="hang", tilt=2, knobs=(outside(0.2, 0.85, 1.35),),
    ),
    "mirrors": drawing(
        either((oval("main", 0, 0, 0.8, 0.8), oval("metal+", 0, 0, 0.68, 0.68)), (oval("main", 0, 0, 0.6, 0.95), oval("metal+", 0, 0, 0.5, 0.84)), (half("main", "0,-1.0~ .5,-.8~ .62,-.3 .62,.95 0,.95"), half("metal+", "0,-.88~ .4,-.7~ .5,-.28 .5,.83 0,.83"))),
        line("white", "-.26,.2 .1,-.36", 0.05), line("white", "-.06,.26 .22,-.16", 0.035),
        stance="hang", gloss=True, tilt=2,
    ),
}  # fmt: skip
