"""Says whether an OpenAPI document is valid, and whether its examples fit its schemas."""

import json
import sys

from jsonschema import Draft202012Validator
from openapi_spec_validator import validate


def main():
    document = json.load(sys.stdin)
    validate(document)
    examples = 0
    methods = {path: item["post"] for path, item in document["paths"].items() if "post" in item}
    for path, operation in methods.items():
        for media_type, content in operation["requestBody"]["content"].items():
            # References in the schema are of the whole document.
            schema = content["schema"] | {"components": document["components"]}
            for error in Draft202012Validator(schema).iter_errors(content["example"]):
                sys.exit(f"the example of {path} as {media_type} does not fit: {error.message}")
            examples += 1
    if examples != 2 * len(methods):
        sys.exit(f"only {examples} examples")
    print("ok")


main()
