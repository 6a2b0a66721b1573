"""Says whether the DMARC results and policies of messages are what the PyPI package dmarc makes of the same records, the
same identities of SPF and DKIM, and the same public suffixes."""

import json
import sys

import dmarc
import dmarc.psl
import dmarc.utils
from dmarc.resolver import RecordMultiFoundError, RecordNotFoundError


def main():
    world = json.load(sys.stdin)
    dmarc.psl.load(world["suffixes"])
    dmarc.utils.resolve = lambda domain: record(world["records"], domain)
    faults = []
    for case in world["cases"]:
        said, found = case["said"], judged(case)
        if (said == found) == case["differs"]:
            faults.append(f"{case['what']}: the judge finds {found}, we said {said}")
    if faults:
        sys.exit("\n".join(faults))
    print("ok")


def record(records, domain):
    found = [value for owner, value in records if owner == domain and value.startswith("v=DMARC1")]
    if not found:
        raise RecordNotFoundError(domain)
    if len(found) > 1:
        raise RecordMultiFoundError(domain)
    return found[0]


def judged(case):
    try:
        policy = dmarc.utils.lookup_policy(case["from"])
    except (dmarc.RecordSyntaxError, RecordNotFoundError, RecordMultiFoundError):
        return {"result": "none", "policy": "none"}
    policy.dmarc.publicsuffix = dmarc.psl
    identities = [dmarc.SPF(case["spf"][0], dmarc.SPFResult(case["spf"][1]))]
    identities += [dmarc.DKIM(domain, dmarc.DKIMResult(result)) for domain, result in case["dkim"]]
    return {
        "result": evaluated(policy, identities).result.value,
        # What counts where nothing is aligned.
        "policy": evaluated(policy, []).disposition.value,
    }


def evaluated(policy, identities):
    try:
        policy.verify(auth_results=identities, allow_policy_test_mode=True)
    except dmarc.PolicyError:
        pass
    return policy.result


main()
