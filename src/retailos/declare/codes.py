"""The codes that public standards know: currencies, countries, time zones and days.

Zones and countries are those of the IANA's database as `tzdata` brings it, so that every platform knows the same.
"""

from datetime import date
from functools import cache
from importlib import resources

#: ISO 4217, list one, as of 2026.
_CURRENCIES = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF
CHW CLF CLP CNY COP COU CRC CUC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD
HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA
MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB
RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD USN UYI
UYU UYW UZS VED VES VND VUV WST XAD XAF XAG XAU XBA XBB XBC XBD XCD XCG XDR XOF XPD XPF XPT XSU XTS XUA XXX YER ZAR ZMW
ZWG
"""
#: List three, as far as it was withdrawn since the euro came: orders are history, and were paid in these.
_WITHDRAWN_CURRENCIES = """
ADP AFA AON ATS AZM BEF BGL BYB BYR CSD CYP DEM ECS EEK ESP FIM FRF GHC GRD GWP HRK IEP ITL LTL LUF LVL MGF MRO MTL MZM
NLG PTE ROL RUR SDD SIT SKK SLL SRG STD TJR TMM TPE TRL VEB VEF XEU XFO XFU YUM ZMK ZRN ZWD ZWL ZWN ZWR
"""
CURRENCIES = frozenset((_CURRENCIES + _WITHDRAWN_CURRENCIES).split())
#: Kosovo, which ISO 3166-1 leaves to its users, and what it has withdrawn since 2000: addresses are history, too.
_MORE_COUNTRIES = frozenset(("XK", "AN", "CS", "TP", "YU"))


def is_currency(code: str) -> bool:
    """Tell whether ISO 4217 lists a code; withdrawn ones are listed, too."""
    return code in CURRENCIES


def is_country(code: str) -> bool:
    """Tell whether a code is assigned to a country in ISO 3166-1 (alpha-2), or was lately."""
    return code in _countries()


def is_zone(name: str) -> bool:
    """Tell whether the IANA knows a time zone of this name; older names of zones are names, too."""
    return name in _zones()


def is_day(text: str) -> bool:
    """Tell whether there is a day that is written so, yyyy-mm-dd."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


@cache
def _countries() -> frozenset[str]:
    table = resources.files("tzdata").joinpath("zoneinfo", "iso3166.tab").read_text(encoding="utf-8")
    listed = (line.split("\t")[0] for line in table.splitlines() if line and not line.startswith("#"))
    return _MORE_COUNTRIES.union(listed)


@cache
def _zones() -> frozenset[str]:
    names = resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    # What a machine has before it is told where it stands.
    return frozenset(names) - {"Factory"}
