"""Words around numbers, for the check of texts: what is counted, what ends a phrase, what turns a number into another claim."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NOUNS = {
    "missed": "missed absences",
    "cancelled": "cancelled canceled",
    "calls": "call calls calling called",
    "unresolved": "unresolved",
    "rating": "rating rated stars",
    "ratings": "ratings",
    "health": "health",
    "risk": "risk",
    "pace": "pace",
    "offered": "offered",
    "booked": "booked",
    "short": "short shortage gap",
    "spare": "spare",
    "tutors": "tutors",
    "students": "students",
    "requests": "requests",
    "ratio": "ratio",
    "demand": "demand",
    "supply": "supply",
    "wait": "wait",
    "recency": "ago",
}
# The noun that names a measure -> the measures (domain.number_check.Fact.measure) it may stand for. "Sessions" are also what
# a pace is counted in ("1.5 sessions a week").
MEASURES: dict[str, frozenset[str]] = {
    word: frozenset((measure,)) for measure, words in _NOUNS.items() for word in words.split()
} | dict.fromkeys(("session", "sessions", "lesson", "lessons"), frozenset(("sessions", "pace")))

# May stand between a number and the noun it counts without changing what is counted.
TRANSPARENT = _words(
    "h hour hours days day percent % inbound support completed available waiting pending active points times"
)
# A phrase that names what is counted does not reach over these; right after a number they end it.
STOPS = _words(
    "and but while with in over of for from to at on against as is are was were which that than per a an the during within "
    "since because so then yet if when , : has have had now still already overall this out"
)
NEGATIONS = _words(
    "not never none nothing without neither nor zero cannot isn't wasn't hasn't didn't don't doesn't aren't nobody no"
)
# Shortly before a number they make it a bound, a guess, or a count of something else.
ESTIMATES = _words(
    "more less fewer above below under almost nearly about around roughly approximately least most beyond exceeding exceeds "
    "exceeded exceed some maybe perhaps another additional extra further top minus plus times between until till every each "
    "many much close north south approaching topping surpassing reaching usual typical normal expected predicted forecast "
    "target other previous former max maximum minimum limit threshold up"
)
# Right before a number they make it a bound or a change.
BOUNDS = _words("over past by up down beyond after")
CHANGES = _words(
    "rose rise rises rising risen fell fall falls falling fallen drop drops dropped dropping decline declined declines "
    "increase increased increases decrease decreased decreases grew grow grown jumped jump climbed improved worsened lost "
    "gained went moved slid slipped"
)
TIME_WORDS = _words(
    "today yesterday tonight tomorrow fortnight fortnights weeks month months monthly year years quarterly daily yearly "
    "annually weekend overnight hourly century decade minute minutes second seconds morning afternoon evening"
)
_ENGLISH_NUMBERS = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen twenty thirty forty fourty fifty sixty seventy eighty ninety hundred hundreds thousand thousands million millions "
    "billion dozen dozens couple pair half halves third thirds quarter quarters fourth fifth sixth seventh eighth ninth tenth "
    "once twice thrice double doubled doubling doubles triple tripled tripling triples quadruple quadrupled halved halving "
    "single several few umpteen both trio quartet twofold threefold fourfold fivefold tenfold handful oodles nil nought naught"
)
# The commonest numbers of languages that an answer might slip into.
_OTHER_NUMBERS = _words(
    "dos tres cuatro cinco siete ocho nueve diez doce quince veinte treinta cien mil deux trois quatre cinq huit neuf dix onze "
    "douze treize quatorze quinze vingt trente cent mille eins zwei drei vier funf fuenf sechs sieben acht neun zehn zwolf "
    "zwoelf zwanzig hundert tausend quattro cinque sei sette otto nove dieci venti cento dois quatro oito dez twee drie vijf "
    "zes zeven negen tien"
)
NUMBER_WORDS = _ENGLISH_NUMBERS | _OTHER_NUMBERS
ENGLISH = _words(
    "the a an of in on at to for with and or but is are was were be been has have had this that it its their they there from "
    "by as not no so than then over under while since after before now more less still student tutor tutors students call "
    "calls session sessions health risk days hours who which what when may could would should because"
)
