"""cadwyn: one implementation, and an older version of its interface made from it."""

import pytest
from cadwyn import (
    Cadwyn,
    HeadVersion,
    ResponseInfo,
    Version,
    VersionBundle,
    VersionChange,
    VersionedAPIRouter,
    convert_request_to_next_version_for,
    convert_response_to_previous_version_for,
    endpoint,
    schema,
)
from cadwyn import RequestInfo as IncomingRequest
from fastapi import Request
from fastapi.testclient import TestClient
from pydantic import BaseModel


class UserCreate(BaseModel):
    addresses: list[str]


class UserRead(UserCreate):
    number: int


class OneAddressBecomesMany(VersionChange):
    description = "A user has had one address before."
    instructions_to_migrate_to_previous_version = (
        schema(UserCreate).field("addresses").didnt_exist,
        schema(UserCreate).field("address").existed_as(type=str),
        endpoint("/new", ["GET"]).didnt_exist,
    )

    @convert_request_to_next_version_for(UserCreate)
    def more_addresses(request: IncomingRequest) -> None:
        request.body["addresses"] = [request.body.pop("address")]

    @convert_response_to_previous_version_for(UserRead)
    def first_address(response: ResponseInfo) -> None:
        response.body["address"] = response.body.pop("addresses")[0]


@pytest.fixture(scope="module")
def client() -> TestClient:
    router = VersionedAPIRouter()
    users: list[UserRead] = []

    @router.post("/users", response_model=UserRead)
    async def create(user: UserCreate) -> UserRead:
        users.append(UserRead(number=len(users), addresses=user.addresses))
        return users[-1]

    @router.get("/users/{number}", response_model=UserRead)
    async def user(number: int, request: Request) -> UserRead:
        assert request.headers["x-api-version"]
        return users[number]

    @router.get("/new")
    async def new(request: Request) -> dict[str, str]:
        return dict(request.query_params)

    versions = VersionBundle(HeadVersion(), Version("2026-01-01", OneAddressBecomesMany), Version("2025-01-01"))
    app = Cadwyn(versions=versions)
    app.generate_and_include_versioned_routers(router)
    return TestClient(app)


NEW, OLD = {"x-api-version": "2026-01-01"}, {"x-api-version": "2025-01-01"}


def test_old_version_is_translated_in_both_directions(client: TestClient) -> None:
    assert client.post("/users", json={"address": "first"}, headers=OLD).json() == {"number": 0, "address": "first"}
    assert client.get("/users/0", headers=NEW).json() == {"number": 0, "addresses": ["first"]}
    created = client.post("/users", json={"addresses": ["one", "two"]}, headers=NEW)
    assert created.json() == {"number": 1, "addresses": ["one", "two"]}
    assert client.get("/users/1", headers=OLD).json() == {"number": 1, "address": "one"}


def test_body_of_other_version_is_422(client: TestClient) -> None:
    assert client.post("/users", json={"addresses": ["one"]}, headers=OLD).status_code == 422
    assert client.post("/users", json={"address": "one"}, headers=NEW).status_code == 422


def test_endpoint_is_there_from_its_version_on(client: TestClient) -> None:
    assert client.get("/new?a=1&b=2", headers=NEW).json() == {"a": "1", "b": "2"}
    assert client.get("/new", headers=OLD).status_code == 404
    between = client.get("/new", headers={"x-api-version": "2025-06-01"})
    assert between.status_code == 404
    assert client.get("/new", headers={"x-api-version": "2024-01-01"}).status_code in {404, 422}


def test_each_version_has_its_documents(client: TestClient) -> None:
    assert "2026-01-01" in client.get("/docs").text
    old = client.get("/openapi.json?version=2025-01-01").json()
    assert set(old["components"]["schemas"]["UserRead"]["properties"]) == {"address", "number"}
    assert "/new" not in old["paths"]
