"""Units: a table, and one rule for temperatures.

Promises: factors are those by definition (inch, pound, gallon of 1959 and 1983), exact as fractions; a unit that is not here, or
one of another kind, is an error that names what there is. Names in any case, where that says nothing (MB and Mb differ).
Does not cover: currencies, which change.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from homefire.agent.tool import Context, Outcome
from homefire.agent.tools.calculate import shown
from homefire.agent.tools.plain import PlainTool, declared, failed, told

_TABLE: Mapping[str, str] = {
    "length": """1 m metre metres meter meters; 1000 km kilometre kilometres kilometer kilometers; 0.01 cm centimetre centimetres
        centimeter centimeters; 0.001 mm millimetre millimetres millimeter millimeters; 0.000001 um micrometre micrometres micron
        microns; 0.000000001 nm nanometre nanometres; 0.0254 in inch inches; 0.3048 ft foot feet; 0.9144 yd yard yards; 1609.344
        mi mile miles; 1852 nmi nautical_mile nautical_miles; 9460730472580800 ly light-year light-years; 149597870700 au""",
    "mass": """1 g gram grams gramme grammes; 1000 kg kilogram kilograms kilo kilos; 0.001 mg milligram milligrams; 0.000001 ug
        microgram micrograms; 1000000 t tonne tonnes ton tons; 453.59237 lb lbs pound pounds; 28.349523125 oz ounce ounces;
        6350.29318 st stone stones; 907184.74 short_ton short_tons""",
    "volume": """1 l litre litres liter liters; 0.001 ml millilitre millilitres milliliter milliliters cc; 0.01 cl centilitre
        centilitres; 0.1 dl decilitre decilitres; 100 hl hectolitre hectolitres; 1000 m3 m³ cubic_metre cubic_metres
        cubic_meter cubic_meters; 3.785411784 gal gallon gallons; 0.946352946 qt quart quarts; 0.473176473 pt pint pints;
        0.2365882365 cup cups; 0.0295735295625 fl_oz fluid_ounce fluid_ounces; 0.01478676478125 tbsp tablespoon tablespoons;
        0.00492892159375 tsp teaspoon teaspoons; 4.54609 imperial_gallon imperial_gallons; 0.56826125 imperial_pint
        imperial_pints; 158.987294928 bbl barrel barrels""",
    "time": """1 s sec second seconds; 0.001 ms millisecond milliseconds; 0.000001 us microsecond microseconds; 60 min minute
        minutes; 3600 h hr hour hours; 86400 d day days; 604800 week weeks; 31557600 year years; 2629800 month months""",
    "speed": """1 m/s mps; 5/18 km/h kmh kph; 0.44704 mph; 463/900 knot
        knots kn; 0.3048 ft/s""",
    "area": """1 m2 m² square_metre square_metres square_meter square_meters; 1000000 km2 km² square_kilometre
        square_kilometres; 0.0001 cm2 cm² square_centimetre square_centimetres; 10000 ha hectare hectares; 100 are ares;
        4046.8564224 acre acres; 0.09290304 ft2 ft² sqft square_foot square_feet; 2589988.110336 mi2 square_mile square_miles""",
    "data": """1 B byte bytes; 1000 kB KB kilobyte kilobytes; 1000000 MB megabyte megabytes; 1000000000 GB gigabyte gigabytes;
        1000000000000 TB terabyte terabytes; 1000000000000000 PB petabyte petabytes; 1024 KiB kibibyte kibibytes; 1048576 MiB
        mebibyte mebibytes; 1073741824 GiB gibibyte gibibytes; 1099511627776 TiB tebibyte tebibytes; 0.125 bit bits; 125 kbit
        kb kilobit kilobits; 125000 Mbit Mb megabit megabits; 125000000 Gbit Gb gigabit gigabits""",
    "energy": """1 J joule joules; 1000 kJ kilojoule kilojoules; 4.184 cal calorie calories; 4184 kcal kilocalorie kilocalories;
        3600 Wh watt-hour watt-hours; 3600000 kWh kilowatt-hour kilowatt-hours; 1055.05585262 BTU btu""",
    "power": """1 W watt watts; 1000 kW kilowatt kilowatts; 1000000 MW megawatt megawatts; 745.69987158227022 hp
        horsepower; 735.49875 PS""",
    "pressure": """1 Pa pascal pascals; 100 hPa mbar millibar millibars; 1000 kPa; 100000 bar bars; 101325 atm atmosphere
        atmospheres; 6894.757293168 psi; 133.322387415 mmHg""",
    "angle": "1 deg degree degrees °; 57.295779513082320876798154814105 rad radian radians; 0.9 gon grad; 360 turn turns",
}
_TEMPERATURES = {
    **dict.fromkeys(("celsius", "c", "°c", "degc", "degrees celsius", "degree celsius", "centigrade"), "c"),
    **dict.fromkeys(("fahrenheit", "f", "°f", "degf", "degrees fahrenheit", "degree fahrenheit"), "f"),
    **dict.fromkeys(("kelvin", "k", "kelvins"), "k"),
}


def _read_table() -> dict[str, tuple[str, Fraction]]:
    found: dict[str, tuple[str, Fraction]] = {}
    for kind, rows in _TABLE.items():
        for row in rows.split(";"):
            factor, *names = row.split()
            for name in names:
                found[name.replace("_", " ")] = kind, Fraction(factor)
    return found


UNITS = _read_table()
_LOWER = {name.lower(): name for name in reversed(UNITS)}


class UnknownUnit(ValueError):
    """What is wrong, in words."""


def convert(value: Fraction, source: str, target: str) -> Fraction:
    """Raises UnknownUnit."""
    first, second = (_TEMPERATURES.get(each.strip().lower()) for each in (source, target))
    if first and second:
        kelvin = {"c": value + Fraction("273.15"), "f": (value + Fraction("459.67")) * 5 / 9, "k": value}[first]
        if kelvin < 0:
            raise UnknownUnit("Nothing is that cold.")
        return {"c": kelvin - Fraction("273.15"), "f": kelvin * 9 / 5 - Fraction("459.67"), "k": kelvin}[second]
    (kind, factor), (other, by) = _find(source), _find(target)
    if kind != other:
        raise UnknownUnit(f"'{source}' is a unit of {kind}, '{target}' one of {other}.")
    return value * factor / by


def convert_units() -> PlainTool:
    """The tool."""

    async def work(arguments: Mapping[str, Any], context: Context) -> Outcome:
        try:
            got = convert(Fraction(str(arguments["value"])), arguments["from"], arguments["to"])
        except UnknownUnit as problem:
            return failed("unknown_unit", str(problem))
        # Ten digits: more say nothing of a measure, and a factor's last digits would show.
        return Outcome("ok", told({"value": shown(Fraction(f"{float(got):.10g}")), "unit": arguments["to"]}))

    return PlainTool(declared("convert_units", "read"), work)


def _find(name: str) -> tuple[str, Fraction]:
    plain = " ".join(name.split())
    found = UNITS.get(plain) or UNITS.get(_LOWER.get(plain.lower(), ""))
    if found is None:
        raise UnknownUnit(f"There is no unit '{plain[:40]}' here. Kinds: {', '.join([*_TABLE, 'temperature'])}.")
    return found
