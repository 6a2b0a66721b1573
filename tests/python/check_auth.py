"""Says whether what was found out about messages is what pyspf and dkimpy find: SPF, each DKIM signature, and ARC."""

import base64
import json
import sys

import dkim
import spf


class Names:
    """The records of the test, and the names that cannot be looked up."""

    def __init__(self, world):
        self.records = world["records"]
        self.failing = world["failing"]

    def find(self, name, kind):
        name = name.lower().rstrip(".")
        if [name, kind] in self.failing:
            raise spf.TempError("the name servers fail")
        here = [(of_kind, value) for owner, of_kind, value in self.records if owner == name]
        for of_kind, value in here:
            if of_kind == "CNAME":
                return self.find(value, kind)
        return [value for of_kind, value in here if of_kind == kind]

    def for_spf(self, name, kind, tcpfallback=True, timeout=30):
        def value(text):
            if kind in ("TXT", "SPF"):
                return (text.encode(),)
            if kind == "MX":
                preference, exchange = text.split()
                return (int(preference), exchange)
            return text

        return [((name, kind), value(text)) for text in self.find(name, kind)]

    def for_dkim(self, name, timeout=5):
        try:
            found = self.find(name.decode() if isinstance(name, bytes) else name, "TXT")
        except spf.TempError:
            raise dkim.DnsTimeoutError("the name servers fail")
        return found[0].encode() if found else None


def main():
    world = json.load(sys.stdin)
    names = Names(world)
    spf.DNSLookup = names.for_spf
    faults = []
    for case in world["cases"]:
        said, found = case["said"], judged(case, names)
        for method, result in found.items():
            if method not in case["differences"] and said[method] != result:
                faults.append(f"{case['what']}: {method} is {result}, not {said[method]}")
            if method in case["differences"] and said[method] == result:
                faults.append(f"{case['what']}: {method} does not differ, it is {result}")
    if faults:
        sys.exit("\n".join(faults))
    print("ok")


def judged(case, names):
    content = base64.b64decode(case["content"])
    count = case["signatures"]
    return {
        "spf": spf.check2(i=case["ip"], s=case["mail_from"], h=case["helo"])[0],
        "dkim": [verifies(content, index, names) for index in range(count)],
        "arc": dkim.arc_verify(content, dnsfunc=names.for_dkim)[0].decode(),
    }


def verifies(content, index, names):
    try:
        return dkim.DKIM(content).verify(idx=index, dnsfunc=names.for_dkim)
    except (dkim.DKIMException, ValueError):
        # It passes on what its libraries find wrong.
        return False


main()
