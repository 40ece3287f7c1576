"""The SDK of the Model Context Protocol against serin: over HTTP, where agents may read, and through `serin mcp`.

SERIN_URL says where serin is, with a token as password where it wants one; SERIN_PROGRAM which program.
"""

import asyncio
import json
import os
from urllib.parse import urlsplit

from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

there = urlsplit(os.environ["SERIN_URL"])
server = there._replace(netloc=there.netloc.rpartition("@")[2]).geturl()
token = there.password or ""
CHANGES = {"start_canary", "start_analysis", "cancel", "calibrate", "cancel_calibration"}


def through_program(*options):
    environment = {"SERIN_SERVER": server, "SERIN_TOKEN": token}
    return StdioServerParameters(command=os.environ["SERIN_PROGRAM"], args=["mcp", *options], env=environment)


async def call(client, tool, **arguments):
    """Whether it went well, and what was told."""
    result = await client.call_tool(tool, arguments)
    return not result.is_error, result.content[0].text


async def done(client, tool, **arguments):
    went_well, told = await call(client, tool, **arguments)
    assert went_well, f"{tool}: {told}"
    return json.loads(told)


def canary(level):
    side = {"scope": "v1", "start": "2024-06-01T01:00:00Z", "end": "2024-06-01T02:00:00Z", "step": 60}
    query = {"type": "prometheus", "customInlineTemplate": "PromQL:vector(time() % 7 + ${level})"}
    metric = {"name": "errors", "query": query, "groups": ["all"], "scopeName": "default"}
    sides = {
        "controlScope": {**side, "extendedScopeParams": {"level": "1"}},
        "experimentScope": {**side, "extendedScopeParams": {"level": level}},
    }
    return {
        "canaryConfig": {"name": "mcp", "metrics": [metric], "classifier": {"groupWeights": {"all": 100}}},
        "scopes": {"default": sides},
        "thresholds": {"pass": 95, "marginal": 75},
    }


async def changes():
    """What an agent does that may: it starts a canary, and is told why it failed."""
    async with Client(through_program("--tools", "all")) as client:
        offered = {tool.name for tool in (await client.list_tools()).tools}
        assert CHANGES < offered, offered
        accounts = {"metricsAccountName": "history", "storageAccountName": "reports"}
        started = await done(client, "start_canary", application="mcp", wait="30s", body=canary("9"), **accounts)
        assert started["classification"] == "Fail", started
        wrong = await call(client, "start_canary", application="mcp", body={"canaryConfig": {}}, **accounts)
        assert not wrong[0] and "400" in wrong[1], wrong
        if token:
            other = await call(client, "start_canary", application="argo", body=canary("1"), **accounts)
            assert not other[0] and "403" in other[1], other
        return started["canaryExecutionId"]


async def reads(client, run):
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert "explain_canary" in tools and not CHANGES & set(tools), tools.keys()
    assert all(tool.annotations.read_only_hint for tool in tools.values())
    listed = await done(client, "list_canaries", application="mcp", storageAccountName="reports")
    assert [found["outcome"] for found in listed if found["pipelineId"] == run] == ["fail"], listed
    why = await done(client, "explain_canary", id=run, storageAccountName="reports")
    assert why["outcome"] == "fail" and why["metrics"][0]["classification"] == "High", why
    assert "errors rose from" in why["metrics"][0]["sentence"], why
    replayed = await done(client, "try_config", body={"runs": [run], "whatIf": {"thresholds": {"pass": 0, "marginal": 0}}})
    assert replayed["tally"]["runs"] == 1, replayed
    found = await done(client, "lint_config", body={"canaryConfig": {"name": "n", "metrics": []}})
    assert found["errors"] > 0, found
    for tool, arguments, expected in [
        ("explain_canary", {"id": "missing"}, "404"),
        ("explain_canary", {}, "'id' must be given"),
        ("explain_canary", {"id": run, "surprise": 1}, "'surprise' is not taken here"),
        ("start_canary", {"body": {}}, "there is no tool 'start_canary' here"),
    ]:
        went_well, told = await call(client, tool, **arguments)
        assert not went_well and expected in told, told


async def main():
    run = await changes()
    async with Client(through_program()) as client:
        await reads(client, run)
    # As the protocol is now, and as it was when it began with a handshake.
    for mode in ["auto", "legacy"]:
        async with Client(streamable_http_client(f"{os.environ['SERIN_URL']}/mcp"), mode=mode) as client:
            assert client.server_info.name == "serin", client.server_info
            await reads(client, run)
    if token:
        try:
            async with Client(streamable_http_client(f"{server}/mcp")) as client:
                await client.list_tools()
        except* Exception:
            pass
        else:
            raise AssertionError("who shows nothing was let in")
    print("agents read what they may over HTTP and through serin mcp, and start a canary where that is offered")


asyncio.run(main())
