"""Terraform's files: known to the provider, with no more rights than are needed."""

import json
import pathlib
import re
import shutil
import subprocess

import pytest
import terraform_check as check

INFRA = pathlib.Path(__file__).resolve().parents[2] / "infra"
TEXTS = {
    path.name: path.read_text("utf-8")
    for path in sorted((INFRA / "terraform").glob("*.tf"))
}
EXTRACT = json.loads(
    pathlib.Path(__file__).with_name("google_provider.json").read_text("utf-8")
)
RESOURCES = [
    (kind, name, body)
    for text in TEXTS.values()
    for kind, name, body in check.resources(check.read(text))
]


def of_kind(kind):
    return {name: body for found, name, body in RESOURCES if found == kind}


def test_provider_knows_every_resource_and_argument():
    assert check.complaints(TEXTS, EXTRACT["resources"]) == []


def test_version_of_the_provider_is_that_of_the_extract():
    major_minor = EXTRACT["provider"].rpartition(".")[0]
    assert f'version = "~> {major_minor}"' in TEXTS["main.tf"]


def test_extract_holds_what_is_used_and_no_more():
    assert set(EXTRACT["resources"]) == {kind for kind, _, _ in RESOURCES}


BUCKET = """
resource "google_storage_bucket" "b" {{
  name     = "b"
  location = var.region
  {}
}}
variable "region" {{
  type = string
}}
"""


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", None),
        ("labels = { a = 1 }", None),
        ("depends_on = [google_storage_bucket.b]", None),
        ("publik = true", "no argument publik"),
        ("versioning = true", "versioning is a block"),
        ("versioning {}", "enabled is missing"),
        ('force_destroy = "yes"', "is no bool"),
        ("force_destroy {}", "force_destroy is no block"),
        ("project = google_storage_bucket.c.name", "google_storage_bucket.c is not"),
        ("project = google_storage_bucket.b.nam", "has no nam"),
        ('project = "${var.regoin}"', "var.regoin is not declared"),
        ("project = local.x", "local.x is not declared"),
        (
            "versioning {\n enabled = true\n}\n versioning {\n enabled = true\n}",
            "versioning only once",
        ),
        ("lifecycle_rule {\n action {}\n}", "condition is missing"),
    ],
)
def test_what_is_wrong_is_found(line, complaint):
    found = check.complaints({"b.tf": BUCKET.format(line)}, EXTRACT["resources"])
    if complaint is None:
        assert found == []
    else:
        assert any(complaint in told for told in found), found


def test_missing_and_unknown_are_found():
    text = 'resource "google_storage_bucket" "b" {\n name = "b"\n}'
    (told,) = check.complaints({"b.tf": text}, EXTRACT["resources"])
    assert told == "b.tf: google_storage_bucket.b: location is missing"
    text = 'resource "google_storage_buket" "b" {\n name = "b"\n}'
    (told,) = check.complaints({"b.tf": text}, EXTRACT["resources"])
    assert "no such resource" in told


# Each is granted on the smallest thing that it can be granted on.
ROLES = {
    "google_artifact_registry_repository_iam_member": {"roles/artifactregistry.reader"},
    "google_project_iam_member": {"roles/dataflow.worker", "roles/dataflow.developer"},
    "google_service_account_iam_member": {"roles/iam.serviceAccountUser"},
    "google_storage_bucket_iam_member": {
        "roles/storage.objectViewer",
        "roles/storage.objectUser",
    },
}


def test_rights_are_these_and_no_others():
    granted = {}
    for kind, _, body in RESOURCES:
        if "_iam_" in kind:
            granted.setdefault(kind, set()).add(body["role"])
    assert granted == ROLES
    assert not re.search(r"roles/(owner|editor|viewer|\w+\.admin)\b", str(TEXTS))


def test_rights_are_those_of_our_two_accounts():
    for kind, _, body in RESOURCES:
        if "_iam_" in kind:
            members = [body["member"]]
            if members == ["${each.value}"]:
                members = list(body["for_each"].values())
            for member in members:
                assert re.fullmatch(
                    r"\$\{google_service_account\.(worker|scheduler)\.member\}", member
                )
    assert "allUsers" not in str(TEXTS)
    assert "allAuthenticatedUsers" not in str(TEXTS)


@pytest.mark.parametrize("name", of_kind("google_storage_bucket"))
def test_no_bucket_is_public(name):
    bucket = of_kind("google_storage_bucket")[name]
    assert bucket["public_access_prevention"] == "enforced"
    assert bucket["uniform_bucket_level_access"] is True


def test_nothing_but_temporary_files_is_deleted_by_age():
    for name, bucket in of_kind("google_storage_bucket").items():
        for rule in bucket.get("lifecycle_rule", ()):
            (action,), (condition,) = rule["action"], rule["condition"]
            if action["type"] == "Delete" and "age" in condition:
                assert name == "temporary"
        assert bucket.get("force_destroy", False) is (name == "temporary")


def test_scheduled_parameters_are_those_of_the_template():
    (local,) = check.read(TEXTS["schedule.tf"])["locals"]
    metadata = INFRA / "dataflow" / "stylize_metadata.json"
    parameters = json.loads(metadata.read_bytes())["parameters"]
    names = {parameter["name"] for parameter in parameters}
    required = {p["name"] for p in parameters if not p["isOptional"]}
    given = set(local["parameters"]) - {"__is_block__"}
    assert required <= given <= names | {"sdk_container_image"}


def test_request_of_the_scheduler_is_one_that_dataflow_knows():
    dataflow = pytest.importorskip(
        "google.cloud.dataflow_v1beta3", reason="needs the extra gcp"
    )
    from google.protobuf.json_format import ParseDict

    text = TEXTS["schedule.tf"]
    begin = text.index("jsonencode(") + len("jsonencode(")
    body = text[begin : text.index("}))", begin) + 1]
    # As JSON: comments away, names and expressions quoted.
    body = re.sub(r"#.*", "", body)
    body = re.sub(r"= (var|local|google)[\w.]+", '= "x"', body)
    body = re.sub(r"([\w]+) += ", r'"\1": ', body)
    body = re.sub(r'(["\]}])\n(\s*")', r"\1,\n\2", body)
    request = json.loads(body.replace('"parameters": "x"', '"parameters": {"a": "b"}'))
    environment = request["launchParameter"]["environment"]
    assert environment.pop("maxWorkers") == "x"
    message = dataflow.LaunchFlexTemplateRequest.pb(
        dataflow.LaunchFlexTemplateRequest()
    )
    ParseDict(request, message)
    assert message.launch_parameter.job_name.startswith("stylebeam-")


def test_alerts_watch_the_name_of_the_scheduled_job():
    (job,) = of_kind("google_cloud_scheduler_job").values()
    assert 'jobName = "stylebeam-nightly"' in job["http_target"][0]["body"]
    failed = of_kind("google_monitoring_alert_policy")["job_failed"]
    (condition,) = failed["conditions"]
    (threshold,) = condition["condition_threshold"]
    assert 'starts_with(\\"stylebeam-\\")' in threshold["filter"]
    assert "dataflow.googleapis.com/job/is_failed" in threshold["filter"]


@pytest.mark.skipif(not shutil.which("terraform"), reason="there is no terraform here")
def test_terraform_would_format_nothing():
    result = subprocess.run(
        ["terraform", "fmt", "-check", "-diff", INFRA / "terraform"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (0, "")
