"""Writes google_provider.json: what we use of Terraform's Google provider.

Terraform checks names of attributes with the provider itself, a program that it would
have to download. PyPI has the provider's schema as generated Python code, in
`cdktf-cdktf-provider-google` (MPL-2.0). This reads that code, without running it, and
keeps of the resources that infra/terraform uses: which arguments and blocks there are,
which are required, of what type, and what other resources may read of them.

    pip download --no-deps cdktf-cdktf-provider-google==16.12.1 -d build
    python tests/infra/extract_google_provider.py build/cdktf_cdktf_provider_*.whl
"""

import ast
import json
import pathlib
import re
import sys
import zipfile

RESOURCES = (
    "artifact_registry_repository",
    "artifact_registry_repository_iam_member",
    "cloud_scheduler_job",
    "logging_metric",
    "monitoring_alert_policy",
    "monitoring_notification_channel",
    "project_iam_member",
    "project_service",
    "service_account",
    "service_account_iam_member",
    "storage_bucket",
    "storage_bucket_iam_member",
)

# What every resource has, from Terraform and not from the provider.
_META = {"connection", "provisioners"}
_OUTPUT = pathlib.Path(__file__).with_name("google_provider.json")

# How a description names its argument in Terraform: …/storage_bucket#location.
_NAME = re.compile(r"docs/resources/\w+#(\w+) ")


def parameters(class_definition):
    """Yield name, annotation, whether required, and description of each argument."""
    (init,) = (
        node
        for node in class_definition.body
        if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    )
    text = ast.get_docstring(init) or ""
    told = dict(re.findall(r":param (\w+): (.*)", text))
    arguments = zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True)
    for argument, default in arguments:
        description = told.get(argument.arg, "")
        found = _NAME.search(description)
        name = found[1] if found else argument.arg
        yield name, ast.unparse(argument.annotation), default is None, description


def described(classes, name):
    """Return what a block may hold, or a resource where `name` ends in Config."""
    fields = {}
    for field, annotation, required, text in parameters(classes[name]):
        if ("_cdktf" in annotation and not text) or field in _META:
            continue
        block = next(
            (
                known
                for known in re.findall(r"['\"]?(\w+)['\"]?", annotation)
                if known in classes
            ),
            None,
        )
        entry = {"required": required}
        if block:
            many = "Sequence" in annotation or "IResolvable" in annotation
            entry |= {"many": many, "block": described(classes, block)}
        else:
            entry["type"] = kind(annotation)
        fields[field] = entry
    return fields


def exports(resource):
    """Return what an expression may read of a resource."""
    return {
        node.name
        for node in resource.body
        if isinstance(node, ast.FunctionDef)
        and any(ast.unparse(d) == "builtins.property" for d in node.decorator_list)
        and not node.name.endswith("_input")
    }


def kind(annotation):
    """Return Terraform's type of a Python annotation."""
    if "Mapping" in annotation:
        return "map"
    if "Sequence" in annotation:
        return "list"
    if "bool" in annotation:
        return "bool"
    return "number" if "Number" in annotation else "string"


def main(wheel):
    """Write the extract of a wheel."""
    extract = {}
    with zipfile.ZipFile(wheel) as archive:
        for resource in RESOURCES:
            path = f"cdktf_cdktf_provider_google/{resource}/__init__.py"
            tree = ast.parse(archive.read(path))
            classes = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef)}
            (config,) = (
                name
                for name, node in classes.items()
                if name.endswith("Config")
                and any("TerraformMetaArguments" in ast.unparse(b) for b in node.bases)
            )
            extract[f"google_{resource}"] = {
                "arguments": described(classes, config),
                "exports": sorted(exports(classes[config.removesuffix("Config")])),
            }
        (metadata,) = (n for n in archive.namelist() if n.endswith("/METADATA"))
        version = re.search(r"^Version: (.+)$", archive.read(metadata).decode(), re.M)
        text = archive.read("cdktf_cdktf_provider_google/storage_bucket/__init__.py")
        provider = re.search(rb"hashicorp/google/([\d.]+)/", text)
    document = {
        "from": f"cdktf-cdktf-provider-google {version[1]}",
        "provider": provider[1].decode(),
        "resources": extract,
    }
    _OUTPUT.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
