"""One function a way of getting tokens: has the vendor's own SDK ask for one, and returns what it sent for comparison.

Nobody is asked: each SDK is given a transport that notes the requests and answers them. All secrets are made up here.
"""

import json
import pathlib
import tempfile
import types
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

import sample
import vendor

LOGIN = "https://login.example.com"


def odd(dice):
    """A secret with everything that forms and headers make trouble with."""
    return sample.secret(dice) + dice.choice(["", "&=+% ;", "é你🙂", "\"'\\", "~-._", "#?/:@", "%41"]) + sample.text(dice)


def answer(dice):
    token = sample.text(dice, 20, 200, sample.PLAIN + "-._~+/")
    return {"access_token": token, "token_type": "Bearer", "expires_in": dice.randint(300, 86400)}


def told(way, settings, now, reply, sent, call):
    """`sent`: method, address, headers that matter, form."""
    method, url, headers, form = sent
    place = urlsplit(url)
    expected = {
        "method": method,
        "address": f"{place.scheme}://{place.netloc}{place.path}",
        "query": sorted(parse_qsl(place.query, keep_blank_values=True)),
        "headers": {name.lower(): value for name, value in headers.items()},
        "form": sorted((name, value.decode() if isinstance(value, bytes) else str(value)) for name, value in form),
        "call": call,
    }
    return {"input": {"way": way, "settings": settings, "now_ms": now, "answer": reply}, "expected": expected}


def pick(headers, *names):
    found = {name.lower(): value for name, value in headers.items()}
    return {name: found[name] for name in names if name in found}


class Azure:
    """A transport of azure-core's kind."""

    def __new__(cls, reply):
        from azure.core.pipeline.transport import HttpResponse, HttpTransport
        from requests.structures import CaseInsensitiveDict

        class Response(HttpResponse):
            def __init__(self, request, body):
                super().__init__(request, None)
                self.status_code, self.reason, self.content_type = 200, "OK", "application/json"
                self.headers = CaseInsensitiveDict({"content-type": "application/json"})
                self.said = json.dumps(body).encode()

            def body(self):
                return self.said

        class Transport(HttpTransport):
            sent = None

            def open(self):
                pass

            def close(self):
                pass

            def __exit__(self, *_):
                pass

            def send(self, request, **_):
                if "openid-configuration" in request.url:
                    base = request.url.split("/v2.0/")[0]
                    names = {"token_endpoint": "token", "authorization_endpoint": "authorize", "device_authorization_endpoint": "d"}
                    found = {name: f"{base}/oauth2/v2.0/{end}" for name, end in names.items()}
                    return Response(request, found | {"issuer": f"{base}/v2.0"})
                self.sent = request
                return Response(request, reply)

        return Transport()


def azure(way, dice, settings, make, *names, reply=None):
    """Has a credential of azure-identity get a token."""
    now, reply = sample.now(dice), answer(dice) if reply is None else reply
    transport = Azure(reply)
    with mock.patch("time.time", lambda: now // 1000):
        token = make(transport).get_token(settings["scope"])
    request = transport.sent
    sent = (request.method, request.url, pick(request.headers, *names), (request.body or {}).items())
    return told(way, settings, now, reply, sent, {"authorization": f"Bearer {token.token}"})


def tenant(dice):
    return {
        "tenant": sample.text(dice, 3, 36, sample.PLAIN + "-."),
        "client": sample.text(dice, 1, 36, sample.PLAIN + "-"),
        "scope": f"https://{sample.text(dice).lower()}.example.com/{dice.choice(['', 'a/', 'é '])}.default",
    }


def azure_secret(dice):
    from azure.identity import ClientSecretCredential

    settings = tenant(dice) | {"secret": odd(dice)}
    return azure(
        "azure-secret",
        dice,
        settings,
        lambda transport: ClientSecretCredential(
            settings["tenant"],
            settings["client"],
            settings["secret"],
            authority=LOGIN,
            disable_instance_discovery=True,
            transport=transport,
        ),
        "content-type",
    )


CERTIFICATES = []


def certificate(dice):
    """A key and its certificate. They take long to make, so there are but two."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    forms = [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL]
    for form in forms[len(CERTIFICATES) :]:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fake")])
        made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
        made = made.not_valid_before(datetime.datetime(2020, 1, 1)).not_valid_after(datetime.datetime(2050, 1, 1))
        key_pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        CERTIFICATES.append((key_pem, made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)))
    pair = dice.choice(CERTIFICATES)
    return b"".join(pair if dice.random() < 0.5 else pair[::-1]).decode()


def azure_certificate(dice):
    from azure.identity import CertificateCredential

    settings = tenant(dice) | {"secret": certificate(dice)}
    return azure(
        "azure-certificate",
        dice,
        settings,
        lambda transport: CertificateCredential(
            settings["tenant"],
            settings["client"],
            certificate_data=settings["secret"].encode(),
            authority=LOGIN,
            disable_instance_discovery=True,
            transport=transport,
        ),
        "content-type",
    )


def azure_workload(dice):
    from azure.identity import WorkloadIdentityCredential

    settings = tenant(dice) | {"secret": ".".join(sample.text(dice, 10, 300, sample.PLAIN + "-_") for _ in range(3))}
    with tempfile.NamedTemporaryFile("w") as file:
        pathlib.Path(file.name).write_text(settings["secret"], encoding="utf-8")
        return azure(
            "azure-workload",
            dice,
            settings,
            lambda transport: WorkloadIdentityCredential(
                tenant_id=settings["tenant"],
                client_id=settings["client"],
                token_file_path=file.name,
                authority=LOGIN,
                disable_instance_discovery=True,
                transport=transport,
            ),
            "content-type",
        )


def azure_machine(dice):
    """A machine's metadata service, or the one of an app."""
    from azure.identity import ManagedIdentityCredential

    settings = {"scope": f"https://{sample.text(dice).lower()}.example.com/.default"}
    settings["client"] = sample.text(dice, 1, 36, sample.PLAIN + "-") if dice.random() < 0.5 else None
    environment = {}
    if dice.random() < 0.5:
        settings["url"] = f"http://127.0.0.1:{dice.randint(1000, 60000)}/msi/token"
        settings["header"] = sample.text(dice, 10, 60, sample.PLAIN + "-+/=")
        environment = {"IDENTITY_ENDPOINT": settings["url"], "IDENTITY_HEADER": settings["header"]}
    reply = answer(dice) | {"expires_on": "4000000000"}
    with mock.patch.dict("os.environ", environment):
        given = {"client_id": settings["client"]} if settings["client"] else {}
        make = lambda transport: ManagedIdentityCredential(transport=transport, **given)  # noqa: E731
        case = azure("azure-machine", dice, settings, make, "metadata", "x-identity-header", reply=reply)
    if environment:
        # Sent by both kinds, wanted by one.
        case["expected"]["headers"].pop("metadata", None)
    return case


class Google:
    """A transport of google-auth's kind."""

    def __new__(cls, reply):
        from google.auth import transport

        class Response(transport.Response):
            status = 200
            headers = {"content-type": "application/json", "metadata-flavor": "Google"}

            def __init__(self, body):
                self.said = json.dumps(body).encode()

            @property
            def data(self):
                return self.said

        class Request(transport.Request):
            sent = None

            def __call__(self, url, method="GET", body=None, headers=None, timeout=None, **_):
                if "recursive" in url:
                    return Response({"email": "default", "scopes": []})
                form = parse_qsl(body.decode(), keep_blank_values=True) if body else []
                self.sent = (method, url, pick(headers, "content-type", "metadata-flavor", "authorization"), form)
                return Response(reply)

        return Request()


def google(way, dice, settings, make, now):
    from google.auth import _helpers

    reply = answer(dice)
    request, headers = Google(reply), {}
    with mock.patch.object(_helpers, "utcnow", lambda: vendor.utc(now).replace(tzinfo=None)):
        credentials = make()
        credentials.refresh(request)
        credentials.apply(headers)
    return told(way, settings, now, reply, request.sent, pick(headers, "authorization", "x-goog-user-project"))


def scopes(dice):
    return [f"https://www.googleapis.com/auth/{sample.text(dice)}" for _ in range(dice.randint(1, 3))]


def google_account(dice):
    from google.oauth2 import service_account

    file, wanted = vendor.account(dice), scopes(dice)
    subject = f"{sample.text(dice)}@example.com" if dice.random() < 0.5 else None
    settings = {"file": json.dumps(file), "scope": " ".join(wanted), "subject": subject}
    make = lambda: service_account.Credentials.from_service_account_info(file, scopes=wanted, subject=subject)  # noqa: E731
    return google("google-account", dice, settings, make, sample.now(dice))


def google_person(dice):
    from google.oauth2 import credentials

    file, wanted = {"type": "authorized_user", "client_id": f"{sample.text(dice)}.apps.example.com"}, scopes(dice)
    file |= {"client_secret": odd(dice), "refresh_token": "1//" + odd(dice)}
    if dice.random() < 0.5:
        file["quota_project_id"] = sample.text(dice).lower()
    settings = {"file": json.dumps(file), "scope": " ".join(wanted)}
    make = lambda: credentials.Credentials.from_authorized_user_info(file, scopes=wanted)  # noqa: E731
    return google("google-person", dice, settings, make, sample.now(dice))


def google_workload(dice):
    from google.auth import identity_pool

    wanted, token = scopes(dice), odd(dice)
    held = {"t": token} if dice.random() < 0.5 else None
    file = {
        "type": "external_account",
        "audience": f"//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/{sample.text(dice)}/providers/p",
        "subject_token_type": dice.choice(["urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token"]),
        "token_url": "https://sts.googleapis.com/v1/token",
    }
    if dice.random() < 0.5:
        file |= {"client_id": sample.text(dice), "client_secret": odd(dice)}
    if dice.random() < 0.5:
        file["quota_project_id"] = sample.text(dice).lower()
    place = {"format": {"type": "json", "subject_token_field_name": "t"}} if held else {}
    text = json.dumps(held) if held else token.strip()
    settings = {"file": json.dumps(file | {"credential_source": {"file": "TOKEN"} | place}), "token": text, "scope": " ".join(wanted)}
    with tempfile.NamedTemporaryFile("w", suffix=".token", encoding="utf-8") as kept:
        kept.write(text)
        kept.flush()
        whole = file | {"credential_source": {"file": kept.name} | place}
        make = lambda: identity_pool.Credentials.from_info(whole, scopes=wanted)  # noqa: E731
        return google("google-workload", dice, settings, make, sample.now(dice))


def google_machine(dice):
    from google.auth import compute_engine

    wanted = scopes(dice)
    settings = {"scope": ",".join(wanted)}
    return google("google-machine", dice, settings, lambda: compute_engine.Credentials(scopes=wanted), sample.now(dice))


class Amazon:
    """What botocore makes clients with, and the last request that one of them would have sent."""

    def __init__(self, region, reply):
        self.region, self.reply, self.sent = region, reply, None

    def __call__(self, service, **more):
        client = SESSION[0].create_client(service, region_name=self.region, **more)
        client.meta.events.register("before-send.sts", self.answer)
        return client

    def answer(self, request, **_):
        from botocore.awsrequest import AWSResponse

        reply = types.SimpleNamespace(stream=lambda *_, **__: iter([self.reply.encode()]))
        headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()}
        names = "content-type", "authorization", "x-amz-date", "x-amz-security-token"
        body = request.body.decode() if isinstance(request.body, bytes) else request.body
        self.sent = (request.method, request.url, pick(headers, *names), parse_qsl(body, keep_blank_values=True))
        return AWSResponse(request.url, 200, {"content-type": "text/xml"}, reply)


SESSION = []


def amazon(way, dice, settings, action, make):
    from botocore import auth
    from botocore.session import Session

    SESSION[:] = SESSION or [Session()]
    now, token = sample.now(dice), sample.secret(dice) * dice.randint(1, 10)
    keys = f"<AccessKeyId>ASIAFAKE</AccessKeyId><SecretAccessKey>{sample.secret(dice)}</SecretAccessKey>"
    keys += f"<SessionToken>{token}</SessionToken><Expiration>2090-01-01T00:00:00Z</Expiration>"
    reply = f"<{action}Response><{action}Result><Credentials>{keys}</Credentials></{action}Result></{action}Response>"
    settings["region"] = dice.choice(["us-east-1", "eu-central-1", "ap-northeast-1"])
    client = Amazon(settings["region"], reply)
    with mock.patch.object(auth, "get_current_datetime", lambda: vendor.utc(now)):
        found = make(client).fetch_credentials()
    return told(way, settings, now, reply, client.sent, {"x-amz-security-token": found["token"]})


def role(dice):
    name = sample.text(dice, 1, 20, sample.PLAIN + "+=,.@-_")
    return {
        "role": f"arn:aws:iam::{dice.randint(10**11, 10**12 - 1)}:role/{name}",
        "session": sample.text(dice, 2, 30, sample.PLAIN + "+=,.@-_"),
    }


def aws_web_identity(dice):
    from botocore.credentials import AssumeRoleWithWebIdentityCredentialFetcher as Fetcher

    settings = role(dice) | {"token": ".".join(sample.text(dice, 10, 300, sample.PLAIN + "-_") for _ in range(3))}
    make = lambda client: Fetcher(  # noqa: E731
        client, lambda: settings["token"], settings["role"], extra_args={"RoleSessionName": settings["session"]}
    )
    return amazon("aws-web-identity", dice, settings, "AssumeRoleWithWebIdentity", make)


def aws_role(dice):
    from botocore.credentials import AssumeRoleCredentialFetcher, Credentials

    key, settings = sample.key(dice), role(dice)
    more = {"RoleSessionName": settings["session"]}
    if dice.random() < 0.5:
        more["ExternalId"] = settings["external"] = sample.text(dice, 2, 40, sample.PLAIN + "+=,.@:/-")
    if dice.random() < 0.5:
        more["DurationSeconds"] = dice.randint(900, 43200)
        settings["seconds"] = str(more["DurationSeconds"])
    source = Credentials(key["id"], key["secret"], key["session"])
    make = lambda client: AssumeRoleCredentialFetcher(client, source, settings["role"], extra_args=more)  # noqa: E731
    return amazon("aws-role", dice, settings | {"key": key}, "AssumeRole", make)


WAYS = [
    azure_secret,
    azure_certificate,
    azure_workload,
    azure_machine,
    google_account,
    google_person,
    google_workload,
    google_machine,
    aws_web_identity,
    aws_role,
]
