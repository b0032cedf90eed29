"""Electronics, toys and sports."""

from __future__ import annotations

from clipita.catalogue.sample.shapes import (
    Drawing,
    below,
    box,
    drawing,
    either,
    half,
    line,
    maybe,
    outline,
    outside,
    oval,
    pair,
    ring,
)

_KEYS = tuple(
    box("main+", x, y, x + 0.12, y + 0.12, 0.02)
    for row, y in enumerate((-0.3, -0.14, 0.02))
    for x in (-0.9 + 0.04 * row + 0.15 * column for column in range(12 if row == 0 else 11))
)

ELECTRONICS: dict[str, Drawing] = {
    "headphones": drawing(
        line("main", "-.66,.3 -.72,-.3~ -.4,-.84~ 0,-.96~ .4,-.84~ .72,-.3~ .66,.3", 0.12), line("main--", "-.4,-.82 0,-.94~ .4,-.82", 0.05),
        *pair(box("main", 0.5, 0.0, 0.82, 0.74, 0.16), box("ink", 0.4, 0.04, 0.56, 0.7, 0.08), line("accent", ".7,.2 .7,.54", 0.05)),
        maybe(line("ink", ".66,.74 .7,.95~ .4,1.05", 0.03)),
        knobs=(outside(0.4, 0.85, 1.1), below(0, 0.85, 1.1)), gloss=True, tilt=8,
    ),
    "earbuds": drawing(
        either(
            (*pair(line("main-", ".5,-.4 .44,.3", 0.16), oval("main", 0.46, -0.5, 0.22), oval("ink", 0.28, -0.5, 0.09, 0.13)), box("main", -0.4, 0.36, 0.4, 0.92, 0.2), line("main--", "-.4,.58 .4,.58", 0.03)),
            (line("ink", "-.4,.0 -.3,.7~ 0,.9~ .3,.7~ .4,.0", 0.04), *pair(oval("main", 0.42, -0.2, 0.24), oval("ink", 0.2, -0.24, 0.1, 0.14), line("main-", ".44,-.1 .4,.2", 0.1))),
        ),
        gloss=True, tilt=8,
    ),
    "bluetooth-speakers": drawing(
        either((box("main", -0.52, -0.9, 0.52, 0.9, 0.14), oval("ink", 0, 0.28, 0.4), oval("dark", 0, 0.28, 0.26), oval("metal", 0, 0.28, 0.1), oval("ink", 0, -0.5, 0.22), oval("metal", 0, -0.5, 0.08)),
               (box("main", -0.95, -0.4, 0.95, 0.4, 0.36), *pair(oval("ink", 0.52, 0, 0.28), oval("metal", 0.52, 0, 0.12)), box("accent", -0.1, -0.06, 0.1, 0.06, 0.02)),
               (half("main", "0,-.8~ .42,-.76~ .46,.7~ .4,.8~ 0,.82~"), *(line("main--", f"-.42,{y} .42,{y}", 0.03) for y in (-0.4, -0.25, -0.1, 0.05, 0.2, 0.35, 0.5)), oval("ink", 0, -0.72, 0.38, 0.09), line("accent", "-.44,.66 .44,.66", 0.05))),
        stance="stand", gloss=True, tilt=0, knobs=(outside(0.2, 0.9, 1.1),),
    ),
    "smartphones": drawing(
        either(
            (box("main", -0.46, -0.98, 0.46, 0.98, 0.12), box("screen", -0.4, -0.92, 0.4, 0.92, 0.08), oval("ink", 0, -0.82, 0.05), *(box(p, x, y, x + 0.18, y + 0.18, 0.05) for p, x, y in (("accent", -0.3, -0.4), ("leaf", -0.09, -0.4), ("stitch", 0.12, -0.4), ("white", -0.3, -0.16), ("accent-", -0.09, -0.16)))),
            (box("main", -0.46, -0.98, 0.46, 0.98, 0.12), box("main-", -0.38, -0.9, 0.06, -0.42, 0.1), *(oval("ink", x, y, 0.085) for x, y in ((-0.24, -0.76), (-0.24, -0.55), (-0.06, -0.66))), oval("metal", 0, 0.1, 0.06)),
        ),
        box("main-", 0.45, -0.5, 0.49, -0.2, 0.01), tilt=12, gloss=True, knobs=(outside(0.2, 0.9, 1.1),),
    ),
    "tablets": drawing(
        either(
            (box("main", -0.74, -0.98, 0.74, 0.98, 0.1), box("screen", -0.66, -0.88, 0.66, 0.88, 0.03), *(box(p, x, y, x + 0.22, y + 0.22, 0.05) for p, x, y in (("accent", -0.5, -0.6), ("leaf", -0.14, -0.6), ("stitch", 0.22, -0.6), ("white", -0.5, -0.24), ("wax", -0.14, -0.24)))),
            (box("main", -1.0, -0.72, 1.0, 0.72, 0.1), box("screen", -0.88, -0.63, 0.88, 0.63, 0.03), outline("leaf", "-.88,.63 -.3,.0 .1,.4 .4,.1 .88,.63", 0.01), oval("stitch", 0.5, -0.28, 0.14)),
        ),
        tilt=10, gloss=True,
    ),
    "laptops": drawing(
        box("main-", -0.76, -0.66, 0.76, 0.36, 0.06), box("screen", -0.69, -0.59, 0.69, 0.3, 0.02),
        either((outline("accent", "-.69,.3 -.2,-.2 .1,.1 .36,-.1 .69,.3", 0.01), oval("stitch", 0.4, -0.36, 0.1)), (box("white", -0.5, -0.44, 0.1, 0.14, 0.02), box("accent", 0.2, -0.44, 0.5, -0.2, 0.02)), ()),
        outline("main", "-.78,.36 .78,.36 1.02,.62 -1.02,.62"), outline("main--", "-.66,.4 .66,.4 .76,.5 -.76,.5", 0.01), outline("main-", "-.2,.53 .2,.53 .24,.6 -.24,.6", 0.01),
        outline("main-", "-1.02,.62 1.02,.62 .98,.69 -.98,.69", 0.02),
        knobs=(below(0.36, 0.8, 1.4),), stance="stand", gloss=True, tilt=0,
    ),
    "monitors": drawing(
        either((box("main", -0.08, 0.3, 0.08, 0.74, 0.01), outline("main-", "-.34,.72 .34,.72 .4,.82 -.4,.82")), (*pair(line("main-", ".5,.4 .6,.74", 0.06)),)),
        box("main", -1.0, -0.7, 1.0, 0.46, 0.04), box("screen", -0.94, -0.64, 0.94, 0.34, 0.01),
        either((outline("leaf", "-.94,.34 -.5,-.06 -.1,.26 .4,-.2 .94,.34", 0.01), oval("stitch", -0.6, -0.36, 0.12)), (box("accent", -0.8, -0.5, -0.1, 0.1, 0.02), box("white", 0.05, -0.5, 0.8, -0.3, 0.02)), (oval("accent", 0.1, -0.1, 0.3),)),
        knobs=(outside(0.5, 0.8, 1.15),), stance="stand", gloss=True, tilt=0,
    ),
    "keyboards": drawing(
        box("main", -1.0, -0.4, 1.0, 0.4, 0.06), *_KEYS, box("main+", -0.84, 0.18, -0.56, 0.3, 0.02), box("main+", -0.5, 0.18, 0.46, 0.3, 0.02), box("accent", 0.54, 0.18, 0.84, 0.3, 0.02), maybe(box("accent", -0.9, -0.3, -0.78, -0.18, 0.02)),
        tilt=12, gloss=True, knobs=(below(-0.4, 0.9, 1.15),),
    ),
    "computer-mice": drawing(
        maybe(line("ink", "0,-.7 .06,-1.0~ -.1,-1.3", 0.04)), half("main", "0,-.8~ .36,-.7~ .5,-.2~ .52,.3~ .36,.74~ 0,.86~"), line("main--", "0,-.8 0,-.1", 0.03), line("main--", "-.5,-.1 0,-.04~ .5,-.1", 0.03), box("ink", -0.07, -0.56, 0.07, -0.22, 0.06),
        either((), line("accent", "-.46,.3 0,.4~ .46,.3", 0.05), oval("accent", 0, 0.46, 0.08)),
        tilt=22, gloss=True, knobs=(outside(0.1, 0.85, 1.2),),
    ),
    "cameras": drawing(
        outline("main-", "-.28,-.4 -.2,-.66 .24,-.66 .32,-.4"), box("metal", 0.46, -0.52, 0.66, -0.38, 0.03), box("main", -0.88, -0.42, 0.88, 0.56, 0.12), outline("main-", "-.88,-.12 .88,-.12 .88,.4 -.88,.4", 0.01),
        oval("metal", 0.06, 0.12, 0.46), oval("ink", 0.06, 0.12, 0.4), oval("screen", 0.06, 0.12, 0.27), oval("dark", 0.06, 0.12, 0.14), oval("white", -0.04, 0.02, 0.05), oval("white", -0.62, -0.26, 0.07), maybe(line("ink", "-.86,-.36 -1.0,.2~ -.9,.9", 0.06)),
        stance="stand", gloss=True, tilt=0, knobs=(outside(0.5, 0.85, 1.1),),
    ),
    "game-controllers": drawing(
        half("main", "0,-.4~ .4,-.48~ .7,-.4~ .9,.0~ 1.0,.56~ .84,.7~ .62,.48~ .46,.28~ 0,.26~"), *pair(oval("ink", 0.3, 0.12, 0.15), oval("dark", 0.3, 0.12, 0.09)),
        line("ink", "-.64,-.16 -.44,-.16", 0.08), line("ink", "-.54,-.26 -.54,-.06", 0.08), *(oval(p, x, y, 0.05) for p, x, y in (("accent", 0.56, -0.27), ("leaf", 0.56, -0.05), ("stitch", 0.45, -0.16), ("white", 0.67, -0.16))), oval("accent", 0, -0.18, 0.08),
        tilt=8, gloss=True, knobs=(below(0, 0.85, 1.15),),
    ),
}  # fmt: skip

TOYS: dict[str, Drawing] = {
    "teddy-bears": drawing(
        *pair(oval("main", 0.4, -0.86, 0.2), oval("main+", 0.4, -0.86, 0.11), oval("main", 0.56, 0.16, 0.17, 0.34), oval("main", 0.38, 0.78, 0.27, 0.24), oval("main+", 0.4, 0.82, 0.14)),
        oval("main", 0, 0.3, 0.5, 0.54), oval("main+", 0, 0.34, 0.28, 0.32), oval("main", 0, -0.5, 0.5, 0.44), oval("main+", 0, -0.34, 0.22, 0.18), *pair(oval("ink", 0.18, -0.58, 0.06)), oval("ink", 0, -0.42, 0.08, 0.055), line("ink", "-.08,-.28 0,-.24~ .08,-.28", 0.025),
        either((), (outline("accent", "0,-.04 .24,-.16 .24,.1"), outline("accent", "0,-.04 -.24,-.16 -.24,.1"), oval("accent-", 0, -0.03, 0.06)), line("accent", "-.36,-.12 0,.0~ .36,-.12", 0.1)),
        knobs=(below(0, 0.8, 1.1),), stance="stand", tilt=3,
    ),
    "toy-cars": drawing(
        either(
            (outline("main", "-.98,.2 -.94,-.04~ -.6,-.12 -.4,-.44~ .2,-.46~ .5,-.12 .9,-.02~ 1.0,.26 .9,.34 -.94,.34"), outline("white", "-.46,-.12 -.32,-.36 -.04,-.37 -.04,-.12"), outline("white", ".04,-.12 .04,-.37 .18,-.36 .36,-.12")),
            (outline("main", "-.98,.3 -.98,-.5 .3,-.5 .3,.34"), outline("accent", ".34,.34 .34,-.3 .66,-.3 .8,.0 1.0,.06 1.0,.34"), outline("white", ".42,-.04 .42,-.22 .6,-.22 .7,-.04")),
            (box("main", -1.0, -0.5, 1.0, 0.34, 0.12), *(box("white", x, -0.36, x + 0.3, -0.06, 0.03) for x in (-0.86, -0.48, -0.1, 0.28)), box("white", 0.66, -0.36, 0.92, 0.1, 0.03), line("accent", "-.98,.1 .6,.1", 0.06)),
        ),
        *(wheel for x in (-0.56, 0.56) for wheel in (oval("ink", x, 0.36, 0.23), oval("metal", x, 0.36, 0.11))), oval("lamp", 0.95, 0.12, 0.05),
        knobs=(below(-0.1, 0.9, 1.1),), stance="stand", gloss=True, tilt=0, flip=True,
    ),
    "building-blocks": drawing(
        *(box("main-", x, -0.08, x + 0.2, 0.06, 0.02) for x in (-0.62, -0.32, -0.02, 0.28)), *(box("accent-", x, -0.6, x + 0.2, -0.46, 0.02) for x in (-0.3, 0.0)),
        box("accent", -0.4, -0.5, 0.3, -0.02, 0.03), *(box("main-", x, 0.02, x + 0.2, 0.12, 0.02) for x in (-0.76, -0.46, -0.16, 0.14, 0.44)), box("main", -0.86, 0.06, 0.74, 0.56, 0.03),
        either((box("leaf-", 0.42, -0.14, 0.62, 0.02, 0.02), box("leaf", 0.34, -0.06, 0.7, 0.14, 0.02)), (outline("main", "-.4,-.6 .3,-.6 -.05,-1.0"),), (box("main", -0.24, -0.98, 0.2, -0.5, 0.03), *(box("main-", x, -1.04, x + 0.14, -0.96, 0.01) for x in (-0.18, 0.0)))),
        knobs=(outside(0.3, 0.85, 1.1),), stance="stand", gloss=True, tilt=0, flip=True,
    ),
    "rubber-ducks": drawing(
        outline("stitch", ".6,-.5 .98,-.5~ .9,-.28~ .6,-.26"), outline("main", "-.92,-.1 -.7,.0~ -.3,-.06~ .3,-.1~ .74,.1~ .8,.46~ .5,.76~ -.2,.8~ -.7,.6~ -.94,.2~"), oval("main", 0.3, -0.4, 0.42, 0.4), outline("main-", "-.5,.2 -.1,.1~ .26,.2~ .1,.46~ -.24,.5~"), oval("ink", 0.44, -0.5, 0.07), oval("white", 0.46, -0.53, 0.025),
        maybe(line("accent", "-.02,-.1 .3,.02~ .64,-.08", 0.1)), stance="stand", gloss=True, tilt=4, flip=True,
    ),
    "kites": drawing(
        line("ink", "0,.5 .2,.8~ -.06,1.0~ .16,1.3", 0.025), *(outline("accent", f"{x},{y} {x - .13},{y - .09} {x - .13},{y + .09} {x},{y} {x + .13},{y - .09} {x + .13},{y + .09}", 0) for x, y in ((0.12, 0.74), (0.0, 1.0), (0.14, 1.24))),
        half("main", "0,-.95 .62,-.2 0,.55"), outline("main-", "0,-.95 .62,-.2 0,-.2"), outline("accent", "-.62,-.2 0,-.2 0,.55"), line("ink", "0,-.95 0,.55", 0.025), line("ink", "-.62,-.2 .62,-.2", 0.025),
        stance="hang", tilt=26, flip=True, knobs=(outside(0.1, 0.85, 1.2),),
    ),
    "puzzles": drawing(
        outline("main", "-.8,-.8 -.3,-.8 -.26,-.68~ -.34,-.5~ -.1,-.36~ .14,-.5~ .06,-.68~ .1,-.8 .62,-.8 .62,-.3 .74,-.26~ .92,-.34~ 1.02,-.1~ .92,.14~ .74,.06~ .62,.1 .62,.62 .1,.62 .06,.74~ .14,.92~ -.1,1.02~ -.34,.92~ -.26,.74~ -.3,.62 -.8,.62 -.8,.1 -.68,.06~ -.5,.14~ -.36,-.1~ -.5,-.34~ -.68,-.26~ -.8,-.3"),
        maybe(oval("accent", -0.09, -0.02, 0.2)), maybe(line("accent", "-.7,.5 .52,.5", 0.06)), tilt=30, flip=True,
    ),
}  # fmt: skip

SPORTS: dict[str, Drawing] = {
    "footballs": drawing(
        oval("main", 0, 0, 0.9), outline("accent", "0,-.32 .3,-.1 .19,.26 -.19,.26 -.3,-.1", 0.01), *pair(outline("accent", ".1,-.88 .5,-.74~ .56,-.62 .3,-.54", 0.01), outline("accent", ".88,-.14 .88,.2~ .78,.42 .6,.2 .66,-.1", 0.01), outline("accent", ".16,.6 .44,.52 .58,.7 .3,.84~ .2,.86", 0.01)),
        line("accent", "0,-.32 0,-.6", 0.025), *pair(line("accent", ".3,-.1 .64,-.06", 0.025), line("accent", ".19,.26 .3,.56", 0.025), line("accent", "0,-.6 .3,-.56", 0.025), line("accent", ".56,-.6 .74,-.2", 0.025), line("accent", ".5,.54 .66,.3", 0.025)),
        stance="stand", gloss=True, tilt=60,
    ),
    "basketballs": drawing(
        oval("main", 0, 0, 0.9), line("ink", "-.9,0 0,.1~ .9,0", 0.04), line("ink", "0,-.9 .08,0~ 0,.9", 0.04), line("ink", "-.62,-.64 -.3,0~ -.62,.64", 0.04), line("ink", ".62,-.64 .4,0~ .62,.64", 0.04), stance="stand", tilt=60, gloss=True,
    ),
    "skateboards": drawing(
        *(wheel for x in (-0.58, 0.58) for wheel in (line("metal", f"{x},.06 {x},.2", 0.12), oval("accent", x, 0.24, 0.15), oval("white", x, 0.24, 0.06))), outline("main", "-1.1,-.2 -1.0,-.18~ -.76,.0~ .76,.0~ 1.0,-.18~ 1.1,-.2 1.06,-.08~ .8,.14~ -.8,.14~ -1.06,-.08~"), line("ink", "-1.06,-.2 -.76,-.01~ .76,-.01~ 1.06,-.2", 0.035),
        stance="stand", gloss=True, tilt=4, flip=True,
    ),
    "dumbbells": drawing(
        line("metal", "-.7,0 .7,0", 0.16), *pair(box("main", 0.4, -0.42, 0.62, 0.42, 0.08), box("main-", 0.62, -0.34, 0.82, 0.34, 0.08), box("main--", 0.82, -0.12, 0.94, 0.12, 0.03)), maybe(*(line("dark", f"{x},-.08 {x},.08", 0.02) for x in (-0.2, -0.1, 0, 0.1, 0.2))),
        stance="flat", tilt=24, gloss=True, knobs=(outside(0.4, 0.8, 1.5),),
    ),
    "tennis-rackets": drawing(
        *(line("white", f"{x},{-.45 - h} {x},{-.45 + h}", 0.014) for x, h in ((-0.3, 0.38), (-0.15, 0.5), (0, 0.52), (0.15, 0.5), (0.3, 0.38))), *(line("white", f"{-w},{y} {w},{y}", 0.014) for y, w in ((-0.8, 0.3), (-0.62, 0.4), (-0.45, 0.42), (-0.28, 0.4), (-0.1, 0.3))),
        ring("main", 0, -0.45, 0.42, 0.54, width=0.09), line("main", "-.24,.0 -.04,.4", 0.07), line("main", ".24,.0 .04,.4", 0.07), line("main", "0,.36 0,.5", 0.1), line("accent", "0,.5 0,1.05", 0.12), maybe(oval("stitch", 0.5, 0.8, 0.14)),
        tilt=40, flip=True, gloss=True,
    ),
    "bicycles": drawing(
        *(part for x in (-0.62, 0.62) for part in (ring("ink", x, 0.3, 0.42, width=0.055), ring("metal", x, 0.3, 0.36, width=0.02), oval("metal", x, 0.3, 0.05), line("metal", f"{x},-.06 {x},.66", 0.012), line("metal", f"{x - .36},.3 {x + .36},.3", 0.012), line("metal", f"{x - .25},.05 {x + .25},.55", 0.012), line("metal", f"{x + .25},.05 {x - .25},.55", 0.012))),
        line("main", "-.62,.3 -.3,-.3 .4,-.34 -.06,.32 -.62,.3", 0.075), line("main", "-.3,-.3 -.06,.32", 0.075), line("main", ".36,-.5 .62,.3", 0.075), line("main", "-.34,-.44 -.28,-.24", 0.06), oval("metal", -0.06, 0.32, 0.1),
        outline("ink", "-.5,-.52 -.16,-.52 -.24,-.44 -.44,-.42"), either(line("ink", ".36,-.5 .34,-.62 .56,-.64~ .62,-.5~ .5,-.42", 0.05), line("ink", ".36,-.5 .32,-.66 .16,-.68", 0.06)),
        stance="stand", tilt=0, flip=True,
    ),
}  # fmt: skip
