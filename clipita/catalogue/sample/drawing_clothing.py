"""Clothing, laid flat."""

from __future__ import annotations

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
)

_BODY = half("main", "0,-.64~ .13,-.68~ .2,-.8 .42,-.73~ .57,-.65 .5,-.3~ .5,.2~ .53,.8 0,.82~")
_BACK_OF_NECK = outline("main--", "-.21,-.8 0,-.84~ .21,-.8 .13,-.66~ 0,-.62~ -.13,-.66~")
_CREW_RIB = line("main-", "-.2,-.8 -.13,-.68~ 0,-.64~ .13,-.68~ .2,-.8", 0.05)
_SHORT_SLEEVES = pair(outline("main", ".46,-.71 .6,-.63~ .98,-.24 .74,-.08 .48,-.36"))
_LONG_SLEEVES = pair(outline("main", ".46,-.72 .62,-.62~ .76,-.3~ .92,.62 .7,.68 .56,.1~ .46,-.3"))
_CUFFS = pair(outline("main-", ".905,.52 .93,.66 .7,.72 .68,.58"))
_HEM_RIB = outline("main-", "-.53,.72 .53,.72 .54,.84 0,.86~ -.54,.84")
_BUTTONS = tuple(oval("white", 0, y, 0.025) for y in (-0.42, -0.16, 0.1, 0.36, 0.62))
_COLLAR = pair(outline("main+", "0,-.58 .2,-.84 .3,-.74 .15,-.46"))
_LAPELS = pair(outline("main-", "0,.02 .2,-.82 .32,-.72 .36,-.5 .28,-.44 .34,-.38"))
_SLEEVE_LENGTH = below(-0.35, 0.85, 1.12)
_BODY_WIDTH = outside(0.3, 0.85, 1.15)

CLOTHING: dict[str, Drawing] = {
    "t-shirts": drawing(
        *_SHORT_SLEEVES, _BACK_OF_NECK, _BODY,
        either(_CREW_RIB, outline("main--", "-.2,-.8 .2,-.8 0,-.48")),
        maybe(box("accent", 0.2, -0.35, 0.36, -0.16)),
        knobs=(below(-0.2, 0.85, 1.12), _BODY_WIDTH),
    ),
    "shirts": drawing(
        *_LONG_SLEEVES, _BACK_OF_NECK, _BODY, *_CUFFS, *_COLLAR, line("main-", "0,-.55 0,.8", 0.05), *_BUTTONS,
        maybe(outline("main-", ".16,-.36 .4,-.36 .4,-.1 .28,-.04 .16,-.1")),
        knobs=(_SLEEVE_LENGTH, _BODY_WIDTH),
    ),
    "polo-shirts": drawing(
        *_SHORT_SLEEVES, _BACK_OF_NECK, _BODY, box("main-", -0.06, -0.64, 0.06, -0.2, 0.01), *_COLLAR,
        oval("white", 0, -0.42, 0.022), oval("white", 0, -0.28, 0.022),
        *pair(line("accent", ".94,-.26 .75,-.13", 0.04)), maybe(oval("accent", 0.26, -0.36, 0.05, 0.04)),
        knobs=(below(-0.2, 0.9, 1.12), _BODY_WIDTH),
    ),
    "hoodies": drawing(
        half("main-", "0,-1.02~ .26,-.96~ .38,-.72~ .3,-.56~ 0,-.5~"), *_LONG_SLEEVES, _BODY,
        half("main", "0,-1.0~ .22,-.95~ .34,-.72~ .24,-.6~ .1,-.48~ 0,-.42"),
        half("main--", "0,-.88~ .14,-.84~ .2,-.7~ .1,-.55~ 0,-.46"), *_CUFFS, _HEM_RIB,
        outline("main-", "-.26,.2 .26,.2 .38,.62 -.38,.62"), *pair(line("white", ".08,-.5 .1,-.14", 0.035)),
        maybe(line("metal", "0,-.42 0,.84", 0.035)),
        knobs=(_SLEEVE_LENGTH, _BODY_WIDTH),
    ),
    "sweaters": drawing(
        *_LONG_SLEEVES, _BACK_OF_NECK, _BODY, *_CUFFS, _HEM_RIB,
        either(_CREW_RIB, half("main-", "0,-.86 .2,-.86 .23,-.68~ 0,-.6~"), line("main-", "-.2,-.8 0,-.35 .2,-.8", .06)),
        maybe(*(line("main-", f"{x},-.5 {x},.7", 0.02) for x in (-0.3, -0.15, 0, 0.15, 0.3))),
        knobs=(_SLEEVE_LENGTH, outside(0.3, 0.95, 1.25)), scale=1.3,
    ),
    "tank-tops": drawing(
        outline("main--", "-.2,-.85 0,-.6~ .2,-.85 .16,-.5~ 0,-.4~ -.16,-.5~"),
        half("main", "0,-.42~ .17,-.54~ .21,-.88 .35,-.88 .39,-.5~ .53,-.3 .49,.2~ .54,.8 0,.82~"),
        line("main-", "-.21,-.88 -.17,-.54~ 0,-.42~ .17,-.54~ .21,-.88", 0.035),
        *pair(line("main-", ".35,-.88 .39,-.5~ .53,-.3", 0.035)),
        knobs=(below(-0.2, 0.85, 1.1), outside(0.2, 0.85, 1.1)),
    ),
    "kurtas": drawing(
        *_LONG_SLEEVES, _BACK_OF_NECK,
        half("main", "0,-.7~ .13,-.74~ .2,-.8 .42,-.73~ .57,-.65 .5,-.2~ .54,.5~ .64,1.5 .1,1.52 .08,1.5 0,1.5"),
        *pair(line("main--", ".52,.75 .62,1.48", 0.03)), box("accent", -0.07, -0.72, 0.07, 0.12, 0.02),
        line("accent", "-.2,-.78 0,-.68~ .2,-.78", 0.07), *(oval("brass", 0, y, 0.025) for y in (-0.5, -0.3, -0.1)),
        *pair(line("accent", ".9,.6 .71,.65", 0.06)), line("accent", "-.61,1.44 .61,1.44", 0.06),
        knobs=(below(0.1, 0.85, 1.15), outside(0.3, 0.9, 1.1)),
    ),
    "blazers": drawing(
        *_LONG_SLEEVES, outline("white", "-.22,-.8 .22,-.8 .05,.1 -.05,.1"), box("main--", -0.05, -0.6, 0.05, 0, 0.02),
        half("main", "0,.0 .22,-.82 .42,-.75~ .58,-.66 .47,-.1~ .45,.15~ .54,.82 .2,.86~ 0,.62"),
        *_LAPELS, oval("ink", 0.03, 0.12, 0.03), oval("ink", 0.03, 0.34, 0.03),
        *pair(line("main--", ".22,.36 .43,.33", 0.04)), line("white", ".2,-.28 .34,-.31", 0.04),
        knobs=(_SLEEVE_LENGTH, outside(0.3, 0.9, 1.1)),
    ),
    "jackets": drawing(
        *_LONG_SLEEVES, _BODY, half("main-", "0,-.6 .1,-.9 .24,-.88 .26,-.7 0,-.52"),
        *_CUFFS, outline("main--", "-.53,.66 .53,.66 .54,.84 -.54,.84"), line("metal", "0,-.62 0,.84", 0.05),
        *pair(line("metal", ".22,.42 .38,.1", 0.035)),
        maybe(*(line("main-", f"-.5,{y} 0,{y + .03}~ .5,{y}", 0.03) for y in (-0.35, -0.1, 0.15, 0.4))),
        knobs=(below(-0.2, 0.8, 1.0), outside(0.3, 1.0, 1.25)),
    ),
    "coats": drawing(
        *_LONG_SLEEVES, outline("main--", "-.22,-.82 .22,-.82 0,-.1"),
        half("main", "0,-.1 .22,-.84 .42,-.75~ .58,-.65 .48,-.1~ .5,.3~ .64,1.55 0,1.57"), *_LAPELS,
        line("main--", ".06,.0 .08,1.55", 0.025),
        *(oval("ink", x, y, 0.04) for y in (0.14, 0.42, 0.7) for x in (-0.14, 0.14)),
        *pair(outline("main-", ".28,.62 .5,.56 .52,.66 .3,.72")),
        maybe(line("main-", "-.48,.16 .48,.16", 0.12), box("brass", -0.1, 0.08, 0.06, 0.24)),
        knobs=(below(0.2, 0.8, 1.1), outside(0.3, 0.9, 1.1)),
    ),
    "dresses": drawing(
        outline("main--", "-.26,-.88 0,-.5~ .26,-.88 .2,-.5~ 0,-.4~ -.2,-.5~"),
        maybe(*pair(outline("main", ".28,-.86 .5,-.78~ .66,-.46 .48,-.36 .34,-.5"))),
        either(
            half("main", "0,-.46~ .16,-.56~ .22,-.92 .34,-.92 .38,-.6~ .44,-.44 .3,.06~ .78,1.12~ .74,1.18 0,1.22~"),
            half("main", "0,-.46~ .16,-.56~ .22,-.92 .34,-.92 .38,-.6~ .44,-.44 .3,.06 .46,.5~ .4,1.18 0,1.2"),
        ),
        either((), line("accent", "-.3,.06 0,.08~ .3,.06", 0.1), line("main--", "-.3,.06 0,.08~ .3,.06", 0.03)),
        *pair(line("main-", ".1,.14 .22,1.1", 0.02)), maybe(line("accent", "-.7,1.06 0,1.1~ .7,1.06", 0.05)),
        knobs=(below(0.1, 0.65, 1.25), flare(0.1, -0.15, 0.25)),
    ),
    "jeans": drawing(
        half("main", "0,-.98 .4,-.98 .46,-.6~ .47,-.2~ .44,1.0 .12,1.0 .05,-.36~ 0,-.4"),
        outline("main-", "-.405,-1.0 .405,-1.0 .415,-.87 -.415,-.87"), line("main--", "0,-.87 0,-.42", 0.025),
        *pair(line("stitch", ".2,-.86 .24,-.72~ .43,-.66", 0.022), box("main--", 0.2, -1.02, 0.26, -0.84, 0.01)),
        line("stitch", ".06,-.86 .06,-.6~ 0,-.5", 0.018), oval("brass", 0, -0.935, 0.035),
        *pair(line("stitch", ".13,.93 .43,.93", 0.02), line("main-", ".28,-.5 .28,.9", 0.02)),
        maybe(*pair(oval("main+", 0.27, 0.1, 0.1, 0.2))),
        knobs=(below(-0.3, 0.9, 1.1), outside(0.1, 0.8, 1.15), flare(-0.2, -0.12, 0.2)),
    ),
    "track-pants": drawing(
        half("main", "0,-.94~ .4,-.96 .5,-.5~ .5,-.1~ .32,.9 .12,.9 .05,-.3~ 0,-.34"),
        outline("main-", "-.41,-1.0 .41,-1.0 .42,-.85 -.42,-.85"), *pair(line("accent", ".43,-.84 .46,-.3~ .28,.88", 0.05)),
        *pair(outline("main-", ".11,.88 .33,.88 .3,1.02 .13,1.02")), *pair(line("white", ".03,-.9 .08,-.58~ .06,-.5", 0.03)),
        knobs=(below(-0.3, 0.9, 1.1), outside(0.1, 0.9, 1.15)),
    ),
    "shorts": drawing(
        half("main", "0,-.5 .42,-.5 .5,-.1~ .64,.5 .14,.54 .05,.06~ 0,.02"),
        outline("main-", "-.425,-.54 .425,-.54 .44,-.38 -.44,-.38"), line("main--", "0,-.38 0,.0", 0.025),
        *pair(line("main--", ".24,-.37 .46,-.12", 0.025)),
        either(pair(line("white", ".03,-.42 .1,-.16", 0.03)), oval("brass", 0, -0.46, 0.04)),
        maybe(*pair(line("accent", ".46,-.36 .6,.48", 0.05))),
        knobs=(below(0.05, 0.6, 1.5), outside(0.1, 0.9, 1.1)),
    ),
    "skirts": drawing(
        either(
            half("main", "0,-.5 .34,-.5 .66,.5~ .64,.56 .3,.62~ 0,.6~"),
            half("main", "0,-.5 .34,-.5 .46,-.1~ .4,.6 0,.62"),
        ),
        outline("main-", "-.345,-.54 .345,-.54 .365,-.4 -.365,-.4"),
        either(pair(line("main--", ".08,-.38 .14,.58", 0.02), line("main--", ".22,-.38 .4,.56", 0.02)), ()),
        maybe(*pair(line("main-", ".0,-.3 .02,.56", 0.02))),
        knobs=(below(-0.3, 0.7, 1.6), flare(-0.3, -0.1, 0.3)),
    ),
    "socks": drawing(
        outline("main", "-.5,-.9 -.1,-.9 -.1,.1~ .0,.3~ .3,.42~ .4,.66~ .2,.82~ -.2,.76~ -.46,.56~ -.52,.2~"),
        outline("main-", "-.51,-.92 -.09,-.92 -.09,-.7 -.51,-.7"), outline("accent", "-.5,.3 -.34,.42~ -.34,.68 -.5,.5~"),
        outline("main", ".04,-.94 .44,-.94 .44,.06~ .54,.26~ .84,.38~ .94,.62~ .74,.78~ .34,.72~ .08,.52~ .02,.16~"),
        outline("main-", ".03,-.96 .45,-.96 .45,-.74 .03,-.74"), outline("accent", ".04,.26 .2,.38~ .2,.64 .04,.46~"),
        *(outline("accent", f"{x + .62},.56 {x + .9},.5~ {x + .94},.68~ {x + .74},.8~ {x + .6},.78") for x in (-0.54, 0)),
        knobs=(below(-0.7, 0.55, 1.1),), flip=True, scale=0.8,
    ),
    "swimsuits": drawing(
        either(
            (
                outline("main--", "-.28,-.6 0,-.2~ .28,-.6 .3,-.1 -.3,-.1"),
                half("main", "0,-.3~ .2,-.44~ .27,-.9 .35,-.9 .41,-.45~ .34,.05~ .43,.36~ .44,.5 .2,.62~ .1,.9 0,.92"),
            ),
            (
                half("main", "0,.0 .42,.0 .44,.14 .12,.5~ .08,.56 0,.57"),
                *pair(outline("main", ".04,-.5 .26,-.78 .44,-.44 .04,-.4")), line("main-", "-.44,-.44 .44,-.44", 0.035),
                *pair(line("main-", ".26,-.76 .12,-1.0", 0.03)), *pair(line("accent", ".42,.04 .5,.24", 0.035)),
            ),
        ),
        maybe(line("accent", "-.34,.05 0,.08~ .34,.05", 0.06)),
        knobs=(outside(0.1, 0.85, 1.15),),
    ),
}  # fmt: skip
