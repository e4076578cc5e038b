"""One function a scheme: makes a random request, has the vendor's own SDK sign it, and returns both for comparison.

All secrets are made up here.
"""

import base64
import collections
import contextlib
import datetime
import importlib.util
import json
import pathlib
import types
from unittest import mock
from urllib.parse import quote, unquote

import sample


def utc(now):
    return datetime.datetime.fromtimestamp(now // 1000, datetime.timezone.utc)


def case(scheme, settings, now, expected, method="POST", url="https://example.com/", headers=None, body="", nonce="00" * 16):
    told = {"scheme": scheme, "settings": settings, "now_ms": now, "nonce": nonce}
    return {"input": told | {"method": method, "url": url, "headers": headers or {}, "body": body}, "expected": expected}


def load(package, *path):
    """One module of a package without the others, which want much that is not needed here."""
    folder = pathlib.Path(importlib.util.find_spec(package).submodule_search_locations[0])
    spec = importlib.util.spec_from_file_location(path[-1], folder.joinpath(*path).with_suffix(".py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sigv4(dice):
    from botocore import auth, awsrequest, credentials

    key, now, place = sample.key(dice), sample.now(dice), sample.place(dice)
    region, service = dice.choice(["us-east-1", "eu-central-1"]), dice.choice(["bedrock", "bedrock-mantle"])
    method, path, pairs, body = dice.choice(sample.METHODS), sample.path(dice), sample.pairs(dice), sample.body(dice)
    if dice.random() < 0.2:
        path += dice.choice(["/./b", "//c", "/../d/", "/e/.."])
    headers = {"content-type": dice.choice(sample.TYPES)} if body else {}
    if dice.random() < 0.3:
        headers["x-amzn-bedrock-trace"] = "  ENABLED   or \t not "
    base = f"https://{place}"
    request = awsrequest.AWSRequest(method=method, url=base + path, params=pairs, data=body.encode(), headers=dict(headers))
    signer = auth.SigV4Auth(credentials.Credentials(key["id"], key["secret"], key["session"]), service, region)
    with mock.patch.object(auth, "get_current_datetime", lambda: utc(now)):
        signer.add_auth(request)
    expected = {name.lower(): value for name, value in request.headers.items() if name.lower() not in headers}
    url = sample.url(base, path, sample.query(dice, pairs))
    settings = {"key": key, "region": region, "service": service}
    return case("sigv4", settings, now, {"headers": expected}, method, url, headers, body)


def tc3(dice):
    from tencentcloud.common import abstract_client, common_client, credential
    from tencentcloud.common.http.request import RequestInternal
    from tencentcloud.common.profile.client_profile import ClientProfile
    from tencentcloud.common.profile.http_profile import HttpProfile

    key, now, place = sample.key(dice), sample.now(dice), sample.host(sample.place(dice))
    profile = ClientProfile(httpProfile=HttpProfile(endpoint=place))
    identity = credential.Credential(key["id"], key["secret"], key["session"])
    client = common_client.CommonClient(place.split(".")[0], "2023-09-01", identity, "ap-guangzhou", profile)
    kind = dice.choice(["json", "bytes", "get"])
    request = RequestInternal(place, "GET" if kind == "get" else "POST", "/", {}, sample.body(dice).encode())
    params = {sample.word(dice): sample.word(dice) for _ in range(dice.randint(0, 4))}
    with mock.patch.object(abstract_client.time, "time", lambda: now / 1000):
        client._build_req_with_tc3_signature("chatCompletions", params, request, {"IsOctetStream": kind == "bytes"})
    made = ("authorization", "host", "x-tc-timestamp", "x-tc-token")
    signed = {name.lower(): value for name, value in request.header.items()}
    headers = {name: value for name, value in signed.items() if name not in made}
    expected = {name: value for name, value in signed.items() if name in made and name != "host"}
    data = request.data.decode() if isinstance(request.data, bytes) else request.data
    url = sample.url(f"https://{place}", "/", data if kind == "get" else "")
    settings = {"key": key, "service": place.split(".")[0]}
    return case("tc3", settings, now, {"headers": expected}, request.method, url, headers, "" if kind == "get" else data)


def bce(dice):
    from baidubce.auth import bce_credentials, bce_v1_signer

    key, now, place = sample.key(dice), sample.now(dice), sample.place(dice)
    method, path, pairs, body = dice.choice(sample.METHODS), sample.path(dice), sample.pairs(dice, twice=False), sample.body(dice)
    headers = {"content-type": dice.choice(sample.TYPES)} if body else {}
    if dice.random() < 0.3:
        headers["x-bce-meta-note"] = dice.choice(["a / b", "", "c:d"])
    made = {"x-bce-date": utc(now).strftime("%Y-%m-%dT%H:%M:%SZ")}
    if key["session"]:
        made["x-bce-security-token"] = key["session"]
    signed = headers | made | {"host": sample.host(place)}
    lifetime = dice.choice([300, 1800])
    identity = bce_credentials.BceCredentials(key["id"], key["secret"])
    authorization = bce_v1_signer.sign(
        identity,
        method.encode(),
        quote(unquote(path), safe="/-_.~").encode(),
        {name.encode(): value.encode() for name, value in signed.items()},
        dict(pairs),
        now // 1000,
        lifetime,
        sorted(name.encode() for name, value in signed.items() if value),
    )
    url = sample.url(f"https://{place}", path, sample.query(dice, pairs))
    expected = made | {"authorization": authorization.decode()}
    return case("bce", {"key": key, "lifetime": lifetime}, now, {"headers": expected}, method, url, headers, body)


def hmac_sha256(dice):
    from volcenginesdkcore import signv4

    key, now, place = sample.key(dice), sample.now(dice), sample.place(dice)
    method, path, pairs, body = dice.choice(sample.METHODS), sample.path(dice), sample.pairs(dice, twice=False), sample.body(dice)
    headers = {"Content-Type": dice.choice(sample.TYPES)}
    if dice.random() < 0.3:
        headers["X-Top-Request-Id"] = sample.text(dice)
    signed = headers | {"Host": place}
    clock = types.SimpleNamespace(datetime=types.SimpleNamespace(utcnow=lambda: utc(now)))
    with mock.patch.object(signv4, "datetime", clock):
        signv4.SignerV4.sign(
            path, method, signed, body, None, dict(pairs), key["id"], key["secret"], "cn-beijing", "ark", key["session"]
        )
    expected = {name.lower(): value for name, value in signed.items() if name not in headers and name != "Host"}
    url = sample.url(f"https://{place}", path, sample.query(dice, pairs))
    settings = {"key": key, "region": "cn-beijing", "service": "ark"}
    return case("hmac-sha256", settings, now, {"headers": expected}, method, url, headers, body)


def sdk_hmac(dice):
    from huaweicloudsdkcore.auth.credentials import BasicCredentials
    from huaweicloudsdkcore.sdk_request import SdkRequest
    from huaweicloudsdkcore.signer.signer import Signer

    key, now, place = sample.key(dice), sample.now(dice), sample.host(sample.place(dice))
    method, path, pairs, body = dice.choice(sample.METHODS), sample.path(dice), sample.pairs(dice), sample.body(dice)
    headers = {"Content-Type": dice.choice(sample.TYPES)} if body else {}
    if dice.random() < 0.5:
        headers["X-Project-Id"] = sample.text(dice)
    made = {"X-Sdk-Date": utc(now).strftime("%Y%m%dT%H%M%SZ")}
    if key["session"]:
        made["X-Security-Token"] = key["session"]
    request = SdkRequest(method, "https", place, path, None, list(pairs), headers | made, body)
    signed = Signer(BasicCredentials(key["id"], key["secret"], "project")).sign(request).header_params
    expected = {name.lower(): value for name, value in signed.items() if name not in headers and name != "Host"}
    url = sample.url(f"https://{place}", path, sample.query(dice, pairs))
    return case("sdk-hmac", {"key": key}, now, {"headers": expected}, method, url, headers, body)


def hs256_jwt(dice):
    _jwt_token = load("zhipuai", "core", "_jwt_token")
    key, now = f"{sample.text(dice, 32, 32)}.{sample.secret(dice)}", sample.now(dice)
    with mock.patch.object(_jwt_token.time, "time", lambda: now / 1000):
        token = _jwt_token.generate_token.__wrapped__(key)
    return case("hs256-jwt", {"key": key}, now, {"headers": {"authorization": f"Bearer {token}"}}, body=sample.body(dice))


def url_hmac(dice):
    spark_auth = load("sparkai", "spark_proxy", "spark_auth")
    key, secret, now = sample.text(dice, 32, 32), sample.secret(dice), sample.now(dice)
    place, path = sample.host(sample.place(dice)), dice.choice(["/v1.1/chat", "/v3.5/chat", "/chat/max-32k"])
    spark_auth.datetime = types.SimpleNamespace(datetime=types.SimpleNamespace(now=lambda: utc(now)))
    url = spark_auth.create_url(place, path, key, secret, f"wss://{place}{path}")
    return case("url-hmac", {"key": key, "secret": secret}, now, {"url": url}, "GET", f"wss://{place}{path}")


KEYS = []


def account(dice):
    """A service account's file. Keys take long to make, so there are but two."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    forms = [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL]
    for form in forms[len(KEYS) :]:
        made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        KEYS.append(made.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode())
    return {
        "type": "service_account",
        "project_id": "fake",
        "private_key_id": sample.text(dice, 40, 40, "0123456789abcdef"),
        "private_key": dice.choice(KEYS),
        "client_email": f"{sample.text(dice).lower()}@fake.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }


def service_account(dice):
    from google.auth import _helpers, jwt
    from google.oauth2 import service_account

    file, now = account(dice), sample.now(dice)
    scopes = [f"https://www.googleapis.com/auth/{sample.text(dice)}" for _ in range(dice.randint(1, 3))]
    subject = f"{sample.text(dice)}@example.com" if dice.random() < 0.5 else None
    settings = {"file": json.dumps(file), "scope": " ".join(scopes), "subject": subject}
    with mock.patch.object(_helpers, "utcnow", lambda: utc(now).replace(tzinfo=None)):
        if dice.random() < 0.3:
            settings["audience"] = "https://aiplatform.googleapis.com/"
            account_jwt = jwt.Credentials.from_service_account_info(file, audience=settings["audience"])
            token = account_jwt._make_jwt()[0]
        else:
            made = service_account.Credentials.from_service_account_info(file, scopes=scopes, subject=subject)
            token = made._make_authorization_grant_assertion()
    return case("service-account", settings, now, {"token": token.decode()})


def message_signature(dice):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519
    from http_message_signatures import HTTPMessageSigner, algorithms, digests
    from http_message_signatures._components import _parse_component_ids
    from requests.structures import CaseInsensitiveDict

    now, place = sample.now(dice), sample.place(dice)
    place = place.upper() if dice.random() < 0.2 else place
    method, path, pairs, body = dice.choice(sample.METHODS), sample.path(dice), sample.pairs(dice), sample.body(dice)
    headers = {"content-type": dice.choice(sample.TYPES)} if body else {}
    url = sample.url(f"https://{place}", path, sample.query(dice, pairs))
    bytes_of = bytes(dice.randrange(256) for _ in range(32))
    if dice.random() < 0.5:
        algorithm, key, written = algorithms.HMAC_SHA256, bytes_of, base64.b64encode(bytes_of).decode()
    else:
        key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes_of)
        form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        pem = dice.random() < 0.5
        der = key.private_bytes(serialization.Encoding.PEM if pem else serialization.Encoding.DER, *form)
        algorithm, written = algorithms.ED25519, der.decode() if pem else base64.b64encode(der).decode()
    nonce = bytes(dice.randrange(256) for _ in range(16))
    params = collections.OrderedDict(
        created=now // 1000,
        expires=now // 1000 + 300,
        nonce=base64.urlsafe_b64encode(nonce).decode().rstrip("="),
        keyid=sample.text(dice),
        alg=algorithm.algorithm_id,
        tag="gw-v1",
    )
    message = types.SimpleNamespace(method=method, url=url, headers=CaseInsensitiveDict(headers))
    digests.ContentDigest.prepare(message.headers, body.encode(), use_existing_digest=False)
    names = ["@method", "@authority", "@path", "@query", *(["content-type"] if headers else []), "content-digest"]
    signer = HTTPMessageSigner(signature_algorithm=algorithm)
    base, node, _ = signer._build_signature_base(
        message, covered_component_ids=_parse_component_ids(names), signature_params=params
    )
    signature = base64.b64encode(algorithm(private_key=key).sign(base.encode())).decode()
    expected = {
        "content-digest": message.headers["content-digest"],
        "signature-input": f"sig1={node}",
        "signature": f"sig1=:{signature}:",
    }
    settings = {"algorithm": algorithm.algorithm_id, "key": written, "key_id": params["keyid"]}
    return case("message-signature", settings, now, {"headers": expected}, method, url, headers, body, nonce.hex())


SCHEMES = [sigv4, tc3, bce, hmac_sha256, sdk_hmac, hs256_jwt, url_hmac, service_account, message_signature]
