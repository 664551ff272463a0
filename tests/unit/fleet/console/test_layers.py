"""Layers in the console: what a change does is seen before it is made, and nobody overwrites anybody."""

from __future__ import annotations

import html
import json
import logging
import re
from typing import Any

import pytest
from sqlalchemy import insert, update

from fleet.configuration.bodies import read_body
from fleet.console.layer_documents import LayerAsked
from fleet.store.tables import WANTED
from tests.fakes.fleet import facts, hello
from tests.unit.fleet.console.consoles import Answer, Client, Rig

SECRET = "a long password of the broker"
FLEET = {"broker": {"host": "broker.example", "password": SECRET}}
TOML = '[broker]\nhost = "near.example"\n'


@pytest.fixture
def operator(console: Rig) -> Client:
    for n in range(12):
        console.tell(hello(f"box-{n}"), facts(f"box-{n}", labels={"site": "taipei" if n < 8 else "tainan"}))
    return console.signed_in("otto")


@pytest.fixture
def program(console: Rig, operator: Client) -> Client:
    assert operator.csrf
    return console.token("otto", "read", "config")


def put(program: Client, name: str, config: dict[str, Any], revision: int, **more: Any) -> Answer:
    return program.send("PUT", f"/api/v1/layers/{name}", {"config": config, "revision": revision, **more})


def test_a_change_is_for_the_revision_that_was_seen_and_a_conflict_says_how_it_is(program: Client) -> None:
    made = put(program, "fleet", FLEET, 0)
    assert (made.status, made.json()["revision"], made.header("etag")) == (200, 1, '"1"')
    late = put(program, "fleet", {"broker": {"host": "other.example"}}, 0)
    assert (late.status, late.json()["error"], late.json()["current"]["revision"]) == (409, "conflict", 1)
    assert late.json()["current"]["config"] == {"broker": {"host": "broker.example", "password": "***"}}
    shown = program.get("/api/v1/layers/fleet")
    changed = program.ask(
        "PUT",
        "/api/v1/layers/fleet",
        b'{"config": {"broker": {"host": "new.example", "password": "***"}}}',
        {"content-type": "application/json", "if-match": shown.header("etag") or ""},
    )
    assert (changed.status, changed.json()["revision"]) == (200, 2)
    assert put(program, "fleet", changed.json()["config"], 2).json()["revision"] == 2, "it says that already"
    assert SECRET not in late.text + shown.text + changed.text + program.get("/api/v1/audit").text


def test_a_change_without_a_revision_or_with_two_is_refused(program: Client) -> None:
    where, kind = "/api/v1/layers/fleet", {"content-type": "application/json"}
    assert program.ask("PUT", where, b'{"config": {}}', kind).status == 428
    both = program.ask("PUT", where, b'{"config": {}, "revision": 1}', {**kind, "if-match": '"2"'})
    assert (both.status, "differ" in both.json()["message"]) == (400, True)
    assert program.ask("PUT", where, b'{"config": {}}', {**kind, "if-match": "*"}).status == 400
    assert program.ask("DELETE", where).status == 428
    assert program.get("/api/v1/layers").json() == []


def test_what_is_secret_stays_as_it_is_where_it_is_handed_in_as_it_was_shown(console: Rig, program: Client) -> None:
    put(program, "fleet", FLEET, 0)
    put(program, "fleet", {"broker": {"host": "b", "password": "***", "port": 8883}}, 1)
    (stored,) = console.console.layers.all()
    assert stored.layer.keys == {"broker": {"host": "b", "password": SECRET, "port": 8883}}
    assert put(program, "device/box-1", {"broker": {"password": "***"}}, 0).status == 400


def test_a_layer_is_removed_at_the_revision_that_was_seen(program: Client) -> None:
    put(program, "group/taipei", {"broker": {"host": "t"}}, 0, query="site=taipei", rank=3)
    assert program.ask("DELETE", "/api/v1/layers/group/taipei?revision=7").status == 409
    assert program.ask("DELETE", "/api/v1/layers/group/taipei", headers={"if_match": '"1"'}).status == 204
    assert program.get("/api/v1/layers/group/taipei").status == 404
    assert program.ask("DELETE", "/api/v1/layers/group/taipei?revision=1").status == 404


def test_a_preview_groups_boxes_by_identical_change_and_writes_nothing(program: Client) -> None:
    put(program, "fleet", FLEET, 0)
    put(program, "group/taipei", {"broker": {"host": "t"}}, 0, query="site=taipei")
    asked = {"config": {"broker": {"host": "near", "port": 8883}}}
    shown = program.send("POST", "/api/v1/layers/fleet/preview", asked).json()
    assert (shown["revision"], shown["sentence"]) == (1, "this changes 12 of 12 boxes")
    sizes = {len(group["devices"]): {one["path"] for one in group["difference"]} for group in shown["affected"]}
    assert sizes == {
        8: {"broker.port", "broker.password"},
        4: {"broker.host", "broker.port", "broker.password"},
    }
    assert "+broker.port = 8883" in shown["diff"]
    assert program.get("/api/v1/layers/fleet").json()["revision"] == 1
    assert program.send("POST", "/api/v1/layers/fleet/preview", {**asked, "revision": 4}).status == 409


@pytest.mark.parametrize(
    ("name", "body", "status", "said"),
    [
        ("flet", {"config": {}}, 400, "`fleet`, `group/NAME`"),
        ("group/a", {"config": {}}, 400, "say which boxes it is for"),
        ("group/a", {"config": {}, "query": "online=yes"}, 400, "online"),
        ("group/a", {"config": {}, "query": "("}, 400, ""),
        ("group/a", {"config": {}, "query": "", "rank": 10**9}, 400, "rank"),
        ("fleet", {"config": {}, "rank": 1}, 400, "no rank"),
        ("fleet", {"config": {"brokr": {}}}, 400, "brokr"),
        ("fleet", {"config": []}, 422, "config"),
        ("fleet", {"config": {}, "more": 1}, 422, "more"),
    ],
)
def test_what_a_layer_cannot_say_is_refused(
    program: Client, name: str, body: dict[str, Any], status: int, said: str
) -> None:
    for method, where in (("PUT", ""), ("POST", "/preview")):
        answer = program.send(method, f"/api/v1/layers/{name}{where}", {"revision": 0, **body})
        assert (answer.status, said in answer.json()["message"]) == (status, True), answer.text
    assert program.get("/api/v1/layers").json() == []


def test_only_who_may_configure_changes_layers_and_others_are_logged(
    console: Rig, program: Client, caplog: pytest.LogCaptureFixture
) -> None:
    put(program, "fleet", FLEET, 0)
    for client in (console.token("otto", "read", "rollout"), console.token("vera", "read", "config")):
        assert put(client, "fleet", {}, 1).status == 403
        assert client.send("POST", "/api/v1/layers/fleet/preview", {"config": {}}).status == 403
        assert client.ask("DELETE", "/api/v1/layers/fleet?revision=1").status == 403
    viewer = console.signed_in("vera")
    assert "/layers/edit" not in viewer.get("/layers/fleet").text + viewer.get("/layers").text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert viewer.get("/layers/edit?layer=fleet").status == 403
        for path in ("preview", "apply", "back", "remove"):
            assert viewer.post(f"/layers/{path}", {"layer": "fleet", "revision": "1", "body": ""}).status == 403
    assert caplog.text.count("vera lacks the right 'config'") == 5
    assert program.get("/api/v1/layers/fleet").json()["revision"] == 1


def fields(text: str) -> dict[str, str]:
    """What the form of a page holds."""
    found = dict(re.findall(r'<input[^>]* name="(\w+)" value="([^"]*)"', text.partition("<main")[2]))
    (body,) = re.findall(r'<textarea name="body"[^>]*>\n(.*?)</textarea>', text, re.DOTALL)
    return {**found, "body": html.unescape(body)}


def test_a_person_edits_previews_and_applies(console: Rig, operator: Client, program: Client) -> None:
    put(program, "fleet", FLEET, 0)
    form = fields(operator.get("/layers/edit?layer=fleet").text)
    assert (form["revision"], form["body"]) == ("1", '[broker]\nhost = "broker.example"\npassword = "***"')
    form["body"] = form["body"].replace("broker.example", "near.example")
    shown = operator.post("/layers/preview", form)
    assert (shown.status, "This changes 12 of 12 boxes." in shown.text) == (200, True)
    assert "12 like this" in shown.text
    assert "and 7 more" in shown.text
    assert program.get("/api/v1/layers/fleet").json()["revision"] == 1
    assert fields(operator.post("/layers/back", fields(shown.text)).text)["body"] == form["body"]
    assert operator.post("/layers/apply", fields(shown.text)).status == 303
    page = operator.get("/layers/fleet").text
    assert "revision 2" in page
    assert '<span class="added">+broker.host = &#34;near.example&#34;</span>' in page
    (stored,) = console.console.layers.all()
    assert stored.layer.keys == {"broker": {"host": "near.example", "password": SECRET}}
    assert SECRET not in page + shown.text
    assert (stored.changed_by, program.get("/api/v1/audit?limit=1").json()["entries"][0]["via"]) == ("otto", "console")


def test_a_conflict_shows_what_is_there_beside_what_was_written(operator: Client, program: Client) -> None:
    put(program, "group/taipei", {"broker": {"host": "first"}}, 0, query="site=taipei", rank=1)
    form = fields(operator.get("/layers/edit?layer=group/taipei").text)
    assert (form["query"], form["rank"]) == ("site=taipei", "1")
    shown = fields(operator.post("/layers/preview", form | {"body": TOML}).text)
    put(program, "group/taipei", {"broker": {"host": "theirs"}}, 1)
    for late in (operator.post("/layers/apply", shown), operator.post("/layers/preview", form | {"body": TOML})):
        assert late.status == 409
        assert "the layer is revision 2 by now, by otto; you saw revision 1" in late.text
        assert "host = &#34;theirs&#34;" in late.text
        assert fields(late.text)["body"] == TOML
    assert program.get("/api/v1/layers/group/taipei").json()["config"] == {"broker": {"host": "theirs"}}
    again = operator.post("/layers/preview", fields(late.text)).text
    assert '<span class="removed">-broker.host = &#34;theirs&#34;</span>' in again
    assert operator.post("/layers/apply", fields(again)).status == 303
    gone = operator.post("/layers/remove", {"layer": "group/taipei", "revision": "2"})
    assert (gone.status, "it is revision 3 by now" in gone.text) == (409, True)


def test_a_form_that_cannot_be_used_keeps_what_was_written(operator: Client, program: Client) -> None:
    for layer, body, more, said in (
        ("fleet", "[broker", {}, "expected TOML"),
        ("fleet", "{", {}, "expected TOML"),
        ("nothing", "", {}, "should be `fleet`"),
        ("group/a", TOML, {"query": "site=", "rank": "1"}, ""),
        ("group/a", TOML, {"query": "", "rank": "high"}, "the rank should be a whole number"),
        ("group/a", TOML, {"query": "", "rank": "--1"}, "the rank should be a whole number"),
        ("fleet", "brokr = 1\n", {}, "brokr"),
    ):
        form = {"layer": layer, "revision": "0", "body": body, **more}
        for path in ("preview", "apply"):
            answer = operator.post(f"/layers/{path}", form)
            assert (answer.status, said in answer.text, fields(answer.text)["body"] == body) == (400, True, True), form
    assert operator.post("/layers/apply", {"layer": "fleet", "revision": "x", "body": ""}).status == 400
    assert operator.post("/layers/apply", {"layer": "fleet", "body": ""}).status == 400
    assert program.get("/api/v1/layers").json() == []


def test_what_unsets_a_key_is_edited_as_json_for_toml_has_no_null(operator: Client, program: Client) -> None:
    put(program, "device/box-1", {"broker": {"username": None}}, 0)
    form = fields(operator.get("/layers/edit?layer=device/box-1").text)
    assert form["body"] == '{\n  "broker": {\n    "username": null\n  }\n}'
    assert "It says that already" in operator.post("/layers/preview", form).text


def test_removing_a_layer_shows_what_that_changes(operator: Client, program: Client) -> None:
    put(program, "group/taipei", {"broker": {"host": "t"}}, 0, query="site=taipei")
    shown = operator.get("/layers/remove?layer=group/taipei")
    assert "This changes 8 of 12 boxes." in shown.text
    assert operator.post("/layers/remove", {"layer": "group/taipei", "revision": "1"}).status == 303
    page = operator.get("/layers/group/taipei")
    assert (page.status, "It was removed" in page.text) == (200, True)
    assert operator.get("/layers/group/never").status == 404
    assert operator.get("/layers/remove?layer=group/taipei").status == 404


def test_what_is_written_in_layers_is_text_in_every_page(operator: Client, program: Client) -> None:
    evil = "</textarea><script>alert(1)</script>"
    put(program, "group/evil", {"labels": {"zone": evil}}, 0, query=f'site="{evil}" | site=taipei')
    form = fields(operator.get("/layers/edit?layer=group/evil").text)
    hostile = {**form, "body": f'labels = {{zone = "{evil} 2"}}', "revision": "1", "query": f'site="{evil}"'}
    conflict = operator.post("/layers/preview", hostile | {"revision": "5"})
    right = hostile | {"query": html.unescape(form["query"])}
    posted = [operator.post("/layers/preview", one) for one in (right, hostile | {"layer": evil})]
    paths = ["layers", "layers/group/evil", "layers/edit?layer=group/evil", "layers/remove?layer=group/evil"]
    paths += ["devices/box-1", "audit", "layers/edit?layer=%3Cscript%3Ealert(1)"]
    pages = [conflict, *posted, *(operator.get(f"/{path}") for path in paths)]
    assert conflict.status == 409
    for page in pages:
        assert "<script>alert" not in page.text
        assert "&lt;" in page.text or page.status == 400


def test_a_box_shows_which_layer_each_value_is_from_and_what_it_should_run(
    console: Rig, operator: Client, program: Client
) -> None:
    put(program, "fleet", FLEET, 0)
    put(program, "group/taipei", {"broker": {"host": "t"}}, 0, query="site=taipei")
    found = program.get("/api/v1/devices/box-1/config").json()
    assert found["layers"] == ["fleet", "group/taipei"]
    assert found["values"]["broker.host"] == {"value": "t", "layer": "group/taipei"}
    assert found["values"]["broker.password"] == {"value": "***", "layer": "fleet"}
    assert program.get("/api/v1/devices/box-99/config").status == 404
    assert program.get("/api/v1/devices/box-1/wanted").status == 404
    assert "Nothing was wanted of it yet" in operator.get("/devices/box-1").text
    row = {
        "device": "box-1", "epoch": 5, "config_revision": 2, "config": json.dumps(FLEET),
        "model_revision": 1, "models": '{"main": {"name": "cars", "version": "2.0.0", "manifest": "' + "f" * 64 + '"}}',
        "document": "{}", "expires_ms": console.now_ms, "ahead": False, "waits_ms": None,
    }  # fmt: skip
    with console.database.writing() as connection:
        connection.execute(insert(WANTED).values(row))
    wanted = program.get("/api/v1/devices/box-1/wanted").json()
    assert (wanted["published"], wanted["standing"], wanted["config"]["broker"]["password"]) == (True, "behind", "***")
    page = operator.get("/devices/box-1").text
    assert "does not run it yet" in page
    assert "main: cars 2.0.0" in page
    assert '<a href="/layers/group/taipei">group/taipei</a></td>' in page
    assert SECRET not in page
    assert 'id="ahead"' not in operator.get("/").text
    with console.database.writing() as connection:
        connection.execute(update(WANTED).values(ahead=True, waits_ms=console.now_ms, problem="no <b>camera</b>"))
    wanted = program.get("/api/v1/devices/box-1/wanted").json()
    assert (wanted["published"], wanted["standing"], wanted["problem"]) == (False, "ahead", "no <b>camera</b>")
    assert "no &lt;b&gt;camera" in operator.get("/devices/box-1").text
    assert "edgetally-fleet database restored" in operator.get("/").text


def test_the_examples_of_the_api_can_be_handed_in() -> None:
    schema = LayerAsked.model_json_schema()
    assert read_body(LayerAsked.model_validate(schema["example"]).config, "the example")
