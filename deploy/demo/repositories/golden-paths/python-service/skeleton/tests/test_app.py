from ${{ values.package }}.app import application


async def test_it_greets(aiohttp_client):
    client = await aiohttp_client(application())
    answer = await client.get("/")
    assert (answer.status, await answer.json()) == (200, {"service": "${{ values.name }}"})


async def test_it_is_healthy_and_counts_its_answers(aiohttp_client):
    client = await aiohttp_client(application())
    assert (await client.get("/healthz")).status == 200
    assert (await client.get("/nowhere")).status == 404
    told = await (await client.get("/metrics")).text()
    assert 'http_requests_total{method="GET",path="/healthz",status="200"}' in told
