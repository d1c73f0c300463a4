"""The emulators honour what the code relies on, and the proxy fails as it is told."""

import dataclasses
import http.client
import json
import time
import urllib.error
import urllib.request

import pytest
from fault_proxy import Fault


def ask(url, data=None, method=None, headers=()):
    request = urllib.request.Request(url, data, dict(headers), method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def google_upload(bucket, name, data, query=""):
    return ask(
        f"{bucket.emulator.address}/upload/storage/v1/b/{bucket.name}/o"
        f"?uploadType=media&name={name}{query}",
        data,
        "POST",
        {"Content-Type": "application/octet-stream"}.items(),
    )


def google_download(bucket, name, query=""):
    base = f"{bucket.emulator.address}/download/storage/v1/b/{bucket.name}/o"
    return ask(f"{base}/{name}?alt=media{query}")


class TestGoogle:
    def test_preconditions_are_honoured(self, gs_bucket):
        absent = "&ifGenerationMatch=0"
        status, answer = google_upload(gs_bucket, "a", b"one", absent)
        assert status == 200
        assert google_upload(gs_bucket, "a", b"two", absent)[0] == 412
        generation = json.loads(answer)["generation"]
        wrong = f"&ifGenerationMatch={int(generation) - 1}"
        assert google_upload(gs_bucket, "a", b"two", wrong)[0] == 412
        right = f"&ifGenerationMatch={generation}"
        assert google_upload(gs_bucket, "a", b"two", right)[0] == 200
        assert google_download(gs_bucket, "a") == (200, b"two")

    def test_an_old_generation_is_gone(self, gs_bucket):
        generation = json.loads(google_upload(gs_bucket, "a", b"1")[1])["generation"]
        google_upload(gs_bucket, "a", b"2")
        assert google_download(gs_bucket, "a", f"&generation={generation}")[0] == 404


class TestAmazon:
    @pytest.fixture
    def client(self, s3_bucket):
        import boto3

        return boto3.client("s3")

    def test_preconditions_are_honoured(self, s3_bucket, client):
        from botocore.exceptions import ClientError

        place = {"Bucket": s3_bucket.name, "Key": "a"}
        first = client.put_object(**place, Body=b"one", IfNoneMatch="*")
        with pytest.raises(ClientError, match="PreconditionFailed"):
            client.put_object(**place, Body=b"two", IfNoneMatch="*")
        client.put_object(**place, Body=b"two")
        with pytest.raises(ClientError, match="PreconditionFailed"):
            client.get_object(**place, IfMatch=first["ETag"])
        with pytest.raises(ClientError, match="PreconditionFailed"):
            client.put_object(**place, Body=b"three", IfMatch=first["ETag"])


class TestProxy:
    def test_a_status_is_answered_in_the_stores_words(self, gs_bucket, s3_bucket):
        gs_bucket.proxy.fail(Fault(503, retry_after="3"))
        status, answer = google_download(gs_bucket, "a")
        assert status == 503
        assert json.loads(answer)["error"]["errors"][0]["reason"] == "backendError"
        assert google_download(gs_bucket, "a")[0] == 404
        assert [e.faulty for e in gs_bucket.proxy.exchanges] == [True, False]

        from boto3 import client
        from botocore.config import Config
        from botocore.exceptions import ClientError

        s3_bucket.proxy.fail(Fault(403))
        s3 = client("s3", config=Config(retries={"total_max_attempts": 1}))
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.get_object(Bucket=s3_bucket.name, Key="a")

    def test_an_answer_is_cut_at_a_byte(self, gs_bucket):
        google_upload(gs_bucket, "a", b"0123456789")
        gs_bucket.proxy.fail(Fault(cut_response=4), method="GET")
        with pytest.raises(http.client.IncompleteRead) as caught:
            google_download(gs_bucket, "a")
        assert caught.value.partial == b"0123"

    def test_an_answer_is_lost_when_all_is_done(self, gs_bucket):
        gs_bucket.proxy.fail(Fault(cut_response=-1))
        with pytest.raises(ConnectionError):
            google_upload(gs_bucket, "a", b"data")
        assert google_download(gs_bucket, "a") == (200, b"data")

    def test_a_request_is_cut_and_never_arrives(self, gs_bucket):
        gs_bucket.proxy.fail(Fault(cut_request=1000))
        with pytest.raises((OSError, http.client.HTTPException)):
            google_upload(gs_bucket, "a", b"x" * 1_000_000)
        assert google_download(gs_bucket, "a")[0] == 404

    def test_a_seed_gives_the_same_faults(self, gs_bucket):
        def statuses(seed):
            gs_bucket.proxy.reset()
            gs_bucket.proxy.seeded(seed, 0.5, [Fault(403), Fault(503)])
            return [google_download(gs_bucket, "a")[0] for _ in range(12)]

        assert statuses(1) == statuses(1) != statuses(2)
        assert set(statuses(1)) == {403, 404, 503}

    def test_another_tests_requests_neither_fail_nor_count(self, gs_bucket):
        other = dataclasses.replace(gs_bucket, url="gs://bucket-0")
        gs_bucket.proxy.fail(Fault(503))
        assert google_download(other, "a")[0] == 404
        assert gs_bucket.proxy.count() == 0
        assert google_download(gs_bucket, "a")[0] == 503

    def test_what_began_before_a_reset_is_not_counted_after_it(self, gs_bucket):
        gs_bucket.proxy.fail(Fault(before=gs_bucket.proxy.reset))
        assert google_download(gs_bucket, "a")[0] == 404
        assert gs_bucket.proxy.exchanges == []

    def test_it_costs_little(self, gs_bucket):
        google_upload(gs_bucket, "a", b"data")
        began = time.monotonic()
        for _ in range(20):
            google_download(gs_bucket, "a")
        assert time.monotonic() - began < 5
