"""Hold that a decorated endpoint and a decorated dependency are seen by a framework as the functions that they are."""

from __future__ import annotations

from typing import Annotated, Any

import httpx
from fastapi import Depends, FastAPI

from aiocache_core import cached

calls: list[str] = []


@cached()
async def tenant(name: str = "nobody") -> str:
    calls.append(f"tenant {name}")
    return name.upper()


@cached()
async def endpoint(number: int, who: Annotated[str, Depends(tenant)]) -> dict[str, Any]:
    calls.append(f"endpoint {number}")
    return {"number": number, "tenant": who}


class Shop:
    @cached(noself=True)
    async def price(self, number: int) -> dict[str, int]:
        calls.append(f"price {number}")
        return {"price": number}


async def test_a_decorated_endpoint_and_dependency_over_http() -> None:
    app = FastAPI()
    app.get("/numbers/{number}")(endpoint)
    app.get("/prices/{number}")(Shop().price)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
        for _ in range(2):
            response = await client.get("/numbers/3?name=me")
            assert (response.status_code, response.json()) == (200, {"number": 3, "tenant": "ME"})
            response = await client.get("/prices/4")
            assert (response.status_code, response.json()) == (200, {"price": 4})
        assert calls == ["tenant me", "endpoint 3", "price 4"]
        refused = await client.get("/numbers/three")
        assert refused.status_code == 422
