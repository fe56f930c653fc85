"""The object storage by its own SDK: every operation, uploads in parts, links that are signed ahead, and the events of functions,
compared with the cloud's field by field."""

import hashlib
import http.client
import io
import json
import os
import re
import tempfile
import time
import urllib.parse

from common import CREDENTIAL, call, created, refused, until

from qcloud_cos import CosConfig, CosS3Client, CosServiceError

HOST, PORT = os.environ["FNLITE_COS"].rsplit(":", 1)
APPID = "1250000000"
BUCKET = f"photos-{APPID}"
DOMAIN = f"{BUCKET}.cos.ap-guangzhou.myqcloud.com"
MIB = 1024 * 1024


def client(**more):
    where = {"Region": "ap-guangzhou", "Scheme": "http", "IP": HOST, "Port": PORT}
    # It tries again what is refused for good no more than what may succeed; one try shows which.
    return CosS3Client(CosConfig(**{**where, "SecretId": CREDENTIAL.secret_id, "SecretKey": CREDENTIAL.secret_key, **more}), retry=0)


COS = client()


def fails(status, code, do):
    try:
        answer = do()
    except CosServiceError as fault:
        found = (fault.get_status_code(), fault.get_error_code())
        assert found == (status, code), f"{found} {fault.get_error_msg()}, not {(status, code)}"
        assert fault.get_request_id() and fault.get_trace_id(), fault
        return
    raise AssertionError(f"not refused with {code}: {answer}")


def got(key, **more):
    answer = COS.get_object(Bucket=BUCKET, Key=key, **more)
    return answer["Body"].get_raw_stream().read(), answer


def listed(**more):
    answer = COS.list_objects(Bucket=BUCKET, **more)
    return [item["Key"] for item in answer.get("Contents", [])], [item["Prefix"] for item in answer.get("CommonPrefixes", [])], answer


def buckets():
    # All of them are asked of another host than one is.
    all_of_them = client(ServiceDomain=f"{HOST}:{PORT}").list_buckets
    assert all_of_them()["Buckets"] is None
    COS.create_bucket(Bucket=BUCKET)
    assert COS.bucket_exists(Bucket=BUCKET) and not COS.bucket_exists(Bucket=f"nobody-{APPID}")
    COS.head_bucket(Bucket=BUCKET)
    fails(409, "BucketAlreadyOwnedByYou", lambda: COS.create_bucket(Bucket=BUCKET))
    fails(403, "AccessDenied", lambda: COS.create_bucket(Bucket="photos-1300000001"))
    fails(501, "NotImplemented", lambda: COS.create_bucket(Bucket=f"open-{APPID}", ACL="public-read"))
    fails(501, "NotImplemented", lambda: COS.get_bucket_versioning(Bucket=BUCKET))
    found = all_of_them()["Buckets"]["Bucket"]
    assert [(bucket["Name"], bucket["Location"]) for bucket in found] == [(BUCKET, "ap-guangzhou")], found


def objects():
    bytes_1 = b"some bytes"
    answer = COS.put_object(Bucket=BUCKET, Key="in/cat 01.jpg", Body=bytes_1, EnableMD5=True, ContentType="image/jpeg", CacheControl="no-cache", Metadata={"x-cos-meta-site": "plant 2"})
    etag = f'"{hashlib.md5(bytes_1).hexdigest()}"'
    assert answer["ETag"] == etag and answer["x-cos-hash-crc64ecma"].isdigit() and answer["x-cos-request-id"], answer
    assert answer["Server"] == "tencent-cos", answer
    body, answer = got("in/cat 01.jpg")
    assert body == bytes_1
    assert (answer["ETag"], answer["Content-Type"], answer["x-cos-meta-site"], answer["Cache-Control"], answer["Content-Length"]) == (etag, "image/jpeg", "plant 2", "no-cache", "10"), answer
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", answer["Last-Modified"]), answer
    body, answer = got("in/cat 01.jpg", Range="bytes=2-4")
    assert (body, answer["Content-Range"]) == (bytes_1[2:5], "bytes 2-4/10"), answer
    body, answer = got("in/cat 01.jpg", ResponseContentType="text/plain", ResponseContentDisposition='attachment; filename="x"')
    assert (answer["Content-Type"], answer["Content-Disposition"]) == ("text/plain", 'attachment; filename="x"'), answer
    fails(412, "PreconditionFailed", lambda: got("in/cat 01.jpg", IfMatch='"x"'))
    fails(416, "InvalidRange", lambda: got("in/cat 01.jpg", Range="bytes=10-"))
    head = COS.head_object(Bucket=BUCKET, Key="in/cat 01.jpg")
    assert (head["ETag"], head["Content-Length"], head["x-cos-meta-site"]) == (etag, "10", "plant 2"), head
    assert COS.object_exists(Bucket=BUCKET, Key="in/cat 01.jpg") and not COS.object_exists(Bucket=BUCKET, Key="x")
    fails(404, "NoSuchKey", lambda: got("x"))
    fails(404, "NoSuchResource", lambda: COS.head_object(Bucket=BUCKET, Key="x"))
    fails(404, "NoSuchBucket", lambda: COS.get_object(Bucket=f"nobody-{APPID}", Key="x"))
    fails(400, "BadDigest", lambda: COS.put_object(Bucket=BUCKET, Key="x", Body=b"a", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA=="))
    fails(400, "InvalidDigest", lambda: COS.put_object(Bucket=BUCKET, Key="x", Body=b"a", ContentMD5="x"))
    fails(501, "NotImplemented", lambda: COS.put_object(Bucket=BUCKET, Key="x", Body=b"a", ServerSideEncryption="AES256"))
    fails(400, "InvalidURI", lambda: COS.put_object(Bucket=BUCKET, Key="x" * 851, Body=b"a"))
    assert not COS.object_exists(Bucket=BUCKET, Key="x")
    # A key of every kind of letter, which the wire has to escape.
    strange = "Ünï/猫 &<>\"'+%2F?#;=.bin"
    COS.put_object(Bucket=BUCKET, Key=strange, Body=b"")
    assert got(strange)[0] == b"" and strange in listed()[0], listed()
    COS.delete_object(Bucket=BUCKET, Key=strange)
    with tempfile.TemporaryFile() as file:
        file.write(b"file" * 1000)
        file.seek(0)
        COS.put_object(Bucket=BUCKET, Key="file", Body=file)
    assert got("file")[0] == b"file" * 1000


def copies():
    source = {"Bucket": BUCKET, "Key": "in/cat 01.jpg", "Region": "ap-guangzhou"}
    answer = COS.copy_object(Bucket=BUCKET, Key="copy/cat 01.jpg", CopySource=source)
    assert answer["ETag"] == COS.head_object(Bucket=BUCKET, Key="in/cat 01.jpg")["ETag"] and answer["LastModified"], answer
    assert COS.head_object(Bucket=BUCKET, Key="copy/cat 01.jpg")["x-cos-meta-site"] == "plant 2"
    COS.copy_object(Bucket=BUCKET, Key="copy/cat 01.jpg", CopySource=source, CopyStatus="Replaced", ContentType="image/png", Metadata={"x-cos-meta-a": "b"})
    head = COS.head_object(Bucket=BUCKET, Key="copy/cat 01.jpg")
    assert (head["Content-Type"], head["x-cos-meta-a"]) == ("image/png", "b") and "x-cos-meta-site" not in head, head
    fails(404, "NoSuchKey", lambda: COS.copy_object(Bucket=BUCKET, Key="c", CopySource={**source, "Key": "x"}))
    # Its `copy` makes a client of its own, which knows nothing of the address that this one was given.
    COS.copy_object(Bucket=BUCKET, Key="copied", CopySource=source)
    assert got("copied")[0] == b"some bytes"
    COS.delete_object(Bucket=BUCKET, Key="in/cat 01.jpg")
    assert got("copied")[0] == b"some bytes", "what it was copied from is not needed any more"


def lists():
    for key in ["l/1", "l/2", "l/a/1", "l/a/2", "l/b/1"]:
        COS.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    keys, prefixes, answer = listed(Prefix="l/", Delimiter="/")
    assert (keys, prefixes, answer["IsTruncated"]) == (["l/1", "l/2"], ["l/a/", "l/b/"], "false"), answer
    item = answer["Contents"][0]
    assert (item["Size"], item["ETag"], item["StorageClass"], item["Owner"]["ID"]) == ("3", f'"{hashlib.md5(b"l/1").hexdigest()}"', "STANDARD", APPID), item
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", item["LastModified"]), item
    seen, marker = [], ""
    while True:
        keys, prefixes, answer = listed(Prefix="l/", MaxKeys=2, Marker=marker)
        seen += keys
        if answer["IsTruncated"] == "false":
            break
        marker = answer["NextMarker"]
    assert seen == ["l/1", "l/2", "l/a/1", "l/a/2", "l/b/1"], seen
    answer = COS.delete_objects(Bucket=BUCKET, Delete={"Object": [{"Key": "l/1"}, {"Key": "l/2"}, {"Key": "l/nobody"}], "Quiet": "false"})
    assert sorted(item["Key"] for item in answer["Deleted"]) == ["l/1", "l/2", "l/nobody"], answer
    answer = COS.delete_objects(Bucket=BUCKET, Delete={"Object": [{"Key": "l/a/1"}], "Quiet": "true"})
    assert not answer.get("Deleted") and not answer.get("Error"), answer
    assert listed(Prefix="l/")[0] == ["l/a/2", "l/b/1"]


def parts():
    pieces = [b"1" * MIB, b"2" * MIB, b"the end"]
    upload = COS.create_multipart_upload(Bucket=BUCKET, Key="parts", ContentType="video/mp4", Metadata={"x-cos-meta-a": "b"})["UploadId"]
    etags = [COS.upload_part(Bucket=BUCKET, Key="parts", Body=piece, PartNumber=number, UploadId=upload)["ETag"] for number, piece in enumerate(pieces, 1)]
    again = COS.upload_part(Bucket=BUCKET, Key="parts", Body=pieces[0], PartNumber=1, UploadId=upload)["ETag"]
    assert again == etags[0]
    found = COS.list_parts(Bucket=BUCKET, Key="parts", UploadId=upload)
    assert [(part["PartNumber"], part["ETag"], part["Size"]) for part in found["Part"]] == [(str(number), etag, str(len(piece))) for number, (etag, piece) in enumerate(zip(etags, pieces), 1)], found
    page = COS.list_parts(Bucket=BUCKET, Key="parts", UploadId=upload, MaxParts=1, PartNumberMarker=1)
    assert (page["IsTruncated"], page["NextPartNumberMarker"], page["Part"][0]["PartNumber"]) == ("true", "2", "2"), page
    uploads = COS.list_multipart_uploads(Bucket=BUCKET, Prefix="par")["Upload"]
    assert [(item["Key"], item["UploadId"]) for item in uploads] == [("parts", upload)], uploads
    fails(409, "BucketNotEmpty", lambda: COS.delete_bucket(Bucket=BUCKET))
    named = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    complete = lambda named: COS.complete_multipart_upload(Bucket=BUCKET, Key="parts", UploadId=upload, MultipartUpload={"Part": named})
    fails(400, "InvalidPartOrder", lambda: complete(named[::-1]))
    fails(400, "InvalidPart", lambda: complete([{"PartNumber": 1, "ETag": '"x"'}]))
    fails(400, "EntityTooSmall", lambda: complete(named + [{"PartNumber": 4, "ETag": COS.upload_part(Bucket=BUCKET, Key="parts", Body=b"x", PartNumber=4, UploadId=upload)["ETag"]}]))
    answer = complete(named)
    expected = hashlib.md5(b"".join(hashlib.md5(piece).digest() for piece in pieces)).hexdigest()
    assert answer["ETag"] == f'"{expected}-3"' and answer["Location"] == f"http://{DOMAIN}/parts", answer
    body, answer = got("parts")
    assert body == b"".join(pieces) and (answer["Content-Type"], answer["x-cos-meta-a"]) == ("video/mp4", "b"), answer
    fails(404, "NoSuchUpload", lambda: complete(named))
    assert got("parts", Range=f"bytes={MIB - 1}-{MIB}")[0] == b"12"

    upload = COS.create_multipart_upload(Bucket=BUCKET, Key="copied parts")["UploadId"]
    source = {"Bucket": BUCKET, "Key": "parts", "Region": "ap-guangzhou"}
    etag = COS.upload_part_copy(Bucket=BUCKET, Key="copied parts", PartNumber=1, UploadId=upload, CopySource=source, CopySourceRange=f"bytes={MIB}-{MIB + 4}")["ETag"]
    assert etag == f'"{hashlib.md5(b"22222").hexdigest()}"'
    COS.abort_multipart_upload(Bucket=BUCKET, Key="copied parts", UploadId=upload)
    fails(404, "NoSuchUpload", lambda: COS.abort_multipart_upload(Bucket=BUCKET, Key="copied parts", UploadId=upload))
    assert "Upload" not in COS.list_multipart_uploads(Bucket=BUCKET)

    with tempfile.TemporaryDirectory() as folder:
        path, back = f"{folder}/large", f"{folder}/back"
        with open(path, "wb") as file:
            for number in range(5):
                file.write(bytes([number]) * MIB + b"some more")
        answer = COS.upload_file(Bucket=BUCKET, Key="large", LocalFilePath=path, PartSize=1, MAXThread=3, EnableMD5=True)
        assert answer["ETag"].endswith('-6"'), answer
        # It compares the checksum that it was told with that of what it got.
        COS.download_file(Bucket=BUCKET, Key="large", DestFilePath=back, PartSize=1, MAXThread=3, EnableCRC=True)
        assert open(path, "rb").read() == open(back, "rb").read()


def keys():
    for key, code in [({"SecretId": "AKIDnobody"}, "InvalidAccessKeyId"), ({"SecretKey": "x"}, "SignatureDoesNotMatch"), ({"Anonymous": True}, "AccessDenied")]:
        fails(403, code, lambda: client(**key).get_object(Bucket=BUCKET, Key="large"))
    for how in [{"SignHost": False}, {"SignParams": False}]:
        assert client(**how).list_objects(Bucket=BUCKET, Prefix="l/")["Contents"]
    # A reader reads, a caller writes too, buckets are the administrator's.
    for scope, may in [("READ", ["get"]), ("INVOKE", ["get", "put"])]:
        other = client(SecretId=os.environ[f"{scope}_ID"], SecretKey=os.environ[f"{scope}_KEY"])
        tries = {"get": lambda: other.get_object(Bucket=BUCKET, Key="large"), "put": lambda: other.put_object(Bucket=BUCKET, Key="theirs", Body=b""), "make": lambda: other.create_bucket(Bucket=f"theirs-{APPID}")}
        for name, do in tries.items():
            do() if name in may else fails(403, "AccessDenied", do)
    COS.delete_object(Bucket=BUCKET, Key="theirs")


def asked(method, url, host, body=None):
    """What a link leads to, where its host is this server, as a name service would say."""
    target = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(HOST, int(PORT), timeout=30)
    connection.request(method, f"{target.path}?{target.query}", body=body, headers={"Host": host})
    answer = connection.getresponse()
    return answer.status, answer.read()


def links():
    # With an address in place of a name, the SDK signs that, and no bucket: so a name is needed for links.
    named = CosS3Client(CosConfig(Region="ap-guangzhou", SecretId=CREDENTIAL.secret_id, SecretKey=CREDENTIAL.secret_key, Scheme="http", Endpoint=f"edge.lan:{PORT}"))
    host = f"{BUCKET}.edge.lan:{PORT}"
    url = named.get_presigned_url(Bucket=BUCKET, Key="by link", Method="PUT", Expired=60)
    assert asked("PUT", url, host, b"linked")[0] == 200
    url = named.get_presigned_url(Bucket=BUCKET, Key="by link", Method="GET", Expired=60)
    assert asked("GET", url, host) == (200, b"linked")
    assert asked("DELETE", url, host)[0] == 403, "it is good for what it was signed for"
    assert asked("GET", url.replace("link?", "limp?"), host)[0] == 403
    cloud = CosS3Client(CosConfig(Region="ap-guangzhou", SecretId=CREDENTIAL.secret_id, SecretKey=CREDENTIAL.secret_key, Scheme="http"))
    url = cloud.get_presigned_download_url(Bucket=BUCKET, Key="by link", Params={"response-content-type": "text/x"})
    assert asked("GET", url, DOMAIN) == (200, b"linked")
    COS.delete_object(Bucket=BUCKET, Key="by link")


ECHO = """
import json
def main_handler(event, context):
    print(json.dumps(event))
    return 1
"""


def expected(name, key, size, meta, function, authorization):
    """The cloud's event, with what only the run can know taken from the run."""
    return {
        "Records": [
            {
                "cos": {
                    "cosSchemaVersion": "1.0",
                    "cosObject": {"url": f"http://{DOMAIN}/{urllib.parse.quote(key)}", "meta": meta, "vid": "", "key": f"/{APPID}/photos/{key}", "size": size},
                    "cosBucket": {"region": "gz", "cosRegion": "ap-guangzhou", "s3Region": "ap-guangzhou", "name": "photos", "appid": APPID},
                    "cosNotificationId": "unkown",
                },
                "event": {
                    "eventName": name,
                    "eventVersion": "1.0",
                    "eventTime": 0,
                    "eventSource": "qcs::cos",
                    "requestParameters": {"requestSourceIP": "127.0.0.1", "requestHeaders": {"Authorization": authorization}},
                    "eventQueue": f"qcs:0:scf:ap-guangzhou:appid/{APPID}:default.{function}.$LATEST",
                    "reservedInfo": "",
                    "reqid": 0,
                },
            }
        ]
    }


def events_of(function, count):
    """The events that a function was given, oldest first, once there are so many."""

    def look():
        # What was printed is what was given.
        rows = call("GetFunctionLogs", FunctionName=function, Limit=20, Order="asc", OrderBy="start_time")["Data"]
        lines = [line for row in rows for line in row["Log"].splitlines() if line.startswith('{"Records"')]
        return lines if len(lines) >= count else None

    lines = until(look, f"{count} events of {function}")
    assert len(lines) == count, lines
    return [json.loads(line) for line in lines]


def is_event(event, name, key, size, meta, function):
    record = event["Records"][0]
    authorization = record["event"]["requestParameters"]["requestHeaders"]["Authorization"]
    assert authorization.startswith(f"q-sign-algorithm=sha1&q-ak={CREDENTIAL.secret_id}&q-sign-time="), authorization
    assert abs(record["event"].pop("eventTime") - time.time()) < 600
    record["event"]["eventTime"] = 0
    request_id = record["cos"]["cosObject"]["meta"].get("x-cos-request-id")
    assert request_id, record
    assert event == expected(name, key, size, {**meta, "x-cos-request-id": request_id}, function, authorization), event


def events():
    created("cos_uploads", ECHO)
    created("cos_deletes", ECHO)
    trigger = lambda function, event, **filters: call("CreateTrigger", FunctionName=function, TriggerName=DOMAIN, Type="cos", TriggerDesc=json.dumps({"event": event, "filter": filters}), Enable="OPEN")
    trigger("cos_uploads", "cos:ObjectCreated:*", Prefix="e/", Suffix=".jpg")
    # The bucket's own name means the same bucket, so rules conflict whichever it is named by.
    refused("InvalidParameterValue.CosNotifyRuleConflict", "CreateTrigger", FunctionName="cos_deletes", TriggerName=BUCKET, Type="cos", TriggerDesc='{"event":"cos:ObjectCreated:Put","filter":{"Prefix":"e/x"}}')
    call("CreateTrigger", FunctionName="cos_deletes", TriggerName=BUCKET, Type="cos", TriggerDesc='{"event":"cos:ObjectRemove:Delete"}', Enable="OPEN")

    body = b"x" * 20481
    put = COS.put_object(Bucket=BUCKET, Key="e/cat 01.jpg", Body=body, ContentType="image/jpeg", Metadata={"x-cos-meta-site": "plant-2"})
    meta = {"Content-Type": "image/jpeg", "ETag": put["ETag"], "x-cos-meta-site": "plant-2", "x-cos-storage-class": "Standard"}
    for key in ["e/cat.png", "f/cat.jpg"]:
        COS.put_object(Bucket=BUCKET, Key=key, Body=body)
    first = events_of("cos_uploads", 1)[0]
    assert first["Records"][0]["cos"]["cosObject"]["meta"]["x-cos-request-id"] == put["x-cos-request-id"]
    is_event(first, "cos:ObjectCreated:Put", "e/cat 01.jpg", 20481, meta, "cos_uploads")

    COS.copy_object(Bucket=BUCKET, Key="e/copy.jpg", CopySource={"Bucket": BUCKET, "Key": "e/cat 01.jpg", "Region": "ap-guangzhou"})
    is_event(events_of("cos_uploads", 2)[1], "cos:ObjectCreated:Copy", "e/copy.jpg", 20481, meta, "cos_uploads")

    upload = COS.create_multipart_upload(Bucket=BUCKET, Key="e/big.jpg", ContentType="image/jpeg", Metadata={"x-cos-meta-site": "plant-2"})["UploadId"]
    pieces = [{"PartNumber": number, "ETag": COS.upload_part(Bucket=BUCKET, Key="e/big.jpg", Body=io.BytesIO(b"y" * MIB), PartNumber=number, UploadId=upload)["ETag"]} for number in (1, 2)]
    whole = COS.complete_multipart_upload(Bucket=BUCKET, Key="e/big.jpg", UploadId=upload, MultipartUpload={"Part": pieces})
    is_event(events_of("cos_uploads", 3)[2], "cos:ObjectCreated:CompleteMultipartUpload", "e/big.jpg", 2 * MIB, {**meta, "ETag": whole["ETag"]}, "cos_uploads")

    COS.delete_object(Bucket=BUCKET, Key="e/cat 01.jpg")
    COS.delete_object(Bucket=BUCKET, Key="e/nobody.jpg")
    is_event(events_of("cos_deletes", 1)[0], "cos:ObjectRemove:Delete", "e/cat 01.jpg", 0, {}, "cos_deletes")
    COS.delete_objects(Bucket=BUCKET, Delete={"Object": [{"Key": "e/copy.jpg"}, {"Key": "e/big.jpg"}]})
    found = {event["Records"][0]["cos"]["cosObject"]["key"] for event in events_of("cos_deletes", 3)[1:]}
    assert found == {f"/{APPID}/photos/e/copy.jpg", f"/{APPID}/photos/e/big.jpg"}, found

    call("UpdateTriggerStatus", FunctionName="cos_uploads", TriggerName=DOMAIN, Type="cos", TriggerDesc='{"event":"cos:ObjectCreated:*"}', Enable="CLOSE")
    COS.put_object(Bucket=BUCKET, Key="e/off.jpg", Body=b"")
    # What comes after it has come, and it has not.
    COS.delete_object(Bucket=BUCKET, Key="e/off.jpg")
    events_of("cos_deletes", 4)
    events_of("cos_uploads", 3)
    # Who is to hear of it is gone: the upload is taken all the same.
    call("DeleteFunction", FunctionName="cos_deletes")
    COS.delete_object(Bucket=BUCKET, Key="file")
    call("DeleteFunction", FunctionName="cos_uploads")


def empties():
    while True:
        keys, _, answer = listed()
        if not keys:
            break
        COS.delete_objects(Bucket=BUCKET, Delete={"Object": [{"Key": key} for key in keys]})
    COS.delete_bucket(Bucket=BUCKET)
    fails(404, "NoSuchBucket", lambda: COS.delete_bucket(Bucket=BUCKET))
    assert not COS.bucket_exists(Bucket=BUCKET)


buckets()
objects()
copies()
lists()
parts()
keys()
links()
events()
empties()
