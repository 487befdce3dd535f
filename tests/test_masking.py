"""Credentials are found in no message, no progress line, no plan, no provenance and no tracked run."""

import ast
import io
import json
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from jetassay import cli
from jetassay.errors import ConfigError, FetchError, JetAssayError, TrackingError, UnknownNameError
from jetassay.fetching.connection import AnswerError
from jetassay.fetching.plan import by_hand, describe, plan_weights
from jetassay.fetching.remote import RemoteFile
from jetassay.jets.catalogue import Source
from jetassay.masking import has_secret, mask, mask_values
from jetassay.progress import Reporter
from jetassay.report.content import Fold, Section, Text
from jetassay.report.page import document
from jetassay.report.results import Results
from jetassay.tasks.score import COLUMNS, typed
from jetassay.tracking import outbox
from jetassay.tracking.provenance import collect_provenance
from jetassay.tracking.record import SuiteRecord
from jetassay.tracking.store import resolve_store

ROOT = Path(__file__).parent.parent
WORD = "hunter2-9fL"  # the password of every test here
ADDRESSES = {
    f"https://me:{WORD}@host/p": "https://***@host/p",
    f"http://{WORD}@host:5000": "http://***@host:5000",
    f"postgresql+psycopg2://me:{WORD}@host:5432/mlflow": "postgresql+psycopg2://***@host:5432/mlflow",
    f"postgresql://me:a/{WORD}@b@host/db": "postgresql://***@host/db",
    f"mysql://me:12/{WORD}@host/db": "mysql://***@host/db",
    f"https:/me:{WORD}@host/p": "https:/***@host/p",  # as a path folds it
    f"https://host/p?token={WORD}&n=1#top": "https://host/p?token=***&n=1#top",
    f"https://s3/p?X-Amz-Signature={WORD}&X-Amz-Date=1": "https://s3/p?X-Amz-Signature=***&X-Amz-Date=1",
    f"https://blob/p?sv=1&sig={WORD}": "https://blob/p?sv=1&sig=***",
    f"host=db user=me password={WORD} dbname=x": "host=db user=me password=*** dbname=x",
    f"AWS_SECRET_ACCESS_KEY={WORD}": "AWS_SECRET_ACCESS_KEY=***",
    f"password: {WORD} and api_key = {WORD}": "password: *** and api_key = ***",
    f'{{"password": "{WORD}", "n": 1}}': '{"password": "***", "n": 1}',
    f"{{'token': '{WORD}'}}": "{'token': '***'}",
    rf"{{\"password\": \"{WORD} {WORD}\"}}": r"{\"password\": \"***\"}",  # JSON in JSON
    f'password = "two {WORD}, words" and more': 'password = "***" and more',
    f"password='it\\'s {WORD}' n=1": "password='***' n=1",
    f"f(password=a,{WORD}, n=1)": "f(password=***, n=1)",
    f"{{password: {WORD}}}": "{password: ***}",
    f"password={WORD}&grant={WORD}": "password=***",
    f"secret = {WORD}": "secret = ***",
    f"--password {WORD} --n 3": "--password *** --n 3",
    f"--hub-token '{WORD} {WORD}'": "--hub-token '***'",
    f"pwd={WORD}": "pwd=***",
    f"PGPASSWORD={WORD}": "PGPASSWORD=***",
    f"AccountKey={WORD};EndpointSuffix=core": "AccountKey=***;EndpointSuffix=core",
    f"X-Api-Key: {WORD}": "X-Api-Key: ***",
    f"clientSecret={WORD}": "clientSecret=***",
    f"MLFLOW_TRACKING_TOKEN: {WORD}.": "MLFLOW_TRACKING_TOKEN: ***.",
    f"Bearer {WORD}": "Bearer ***",
    "Basic aHVudGVyMi05Zkw=": "Basic ***",
    f"https://h/p?code={WORD}&n=1": "https://h/p?code=***&n=1",
    f"https://h/p?n=1&jwt={WORD}": "https://h/p?n=1&jwt=***",
    f"https%3A%2F%2Fme%3A{WORD}%40h%2Fp": "https%3A%2F%2F***%40h%2Fp",
    f"https%253A%252F%252Fme%253A{WORD}%2540h": "https%253A%252F%252F***%2540h",
    f"?next=https%3A%2F%2Fh%3Ftoken%3D{WORD}%26n%3D1": "?next=https%3A%2F%2Fh%3Ftoken%3D***%26n%3D1",
    f"ghp_{WORD.replace('-', '')}{WORD.replace('-', '')}": "***",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3.4Pc-mq_9": "***",
    f"-----BEGIN RSA PRIVATE KEY-----\n{WORD}\n-----END RSA PRIVATE KEY-----": "***",
}
HEADERS = {  # whose values may hold anything, up to the end of the line
    f"Authorization: Bearer {WORD}": "Authorization: ***",
    f"HTTP_AUTHORIZATION: Basic {WORD}": "HTTP_AUTHORIZATION: ***",
    f'Cookie: a={WORD}; b="{WORD}"': "Cookie: ***",
    f'curl -H "Proxy-Authorization: Digest user="me", response="{WORD}""': 'curl -H "Proxy-Authorization: ***',
    f"{{'Authorization': 'Bearer {WORD}', 'Accept': '*'}}": "{'Authorization': '***', 'Accept': '*'}",
}
HARMLESS = (
    "part-mini@fc is at https://host:8080/#/experiments/1?order=auc@Hbb",
    "sqlite:////data/me@cern/mlflow.db",
    "http://[::1]:5000/x@y",
    "http://host:5000/#/experiments/1/runs?workflowType=x&viewStateShareKey=jetassay-default",
    "key=7 tokens of the class token, sig=0.3, auth none",
    "file:///etc/passwd: only addresses https://HOST/PATH are fetched",
    "the token: a class token, n_tokens=128, class_token=learned, cls_token: mean",
    "key: value, the secret: look at pairs, credentials: those of the environment, code = 3",
    "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD in the environment",
    "Basic observables, bearer tokens, first pass = 2, session: 3",
    "models/part-mini@all-layers/card.toml: weights.sha256=00ff",
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_secret_is_masked_wherever_text_carries_one(address):
    assert mask(f"no answer of {address} yet") == f"no answer of {ADDRESSES[address]} yet"
    assert has_secret(address)


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_that_lets_somebody_in_is_masked_as_a_whole(header):
    assert mask(f"sent {header}\nno answer") == f"sent {HEADERS[header]}\nno answer"


@pytest.mark.parametrize("text", HARMLESS)
def test_text_without_a_secret_stays_as_it_is(text):
    assert mask(text) == text
    assert not has_secret(text)


@given(st.text())
@example("https://a:b@c")
@example("x://:@@/@")
def test_masking_twice_is_masking_once(text):
    assert mask(mask(text)) == mask(text)


@given(
    st.from_regex(r"[A-Za-z0-9._~!$&*+;=%/:-]{6,20}", fullmatch=True),
    st.sampled_from(["postgresql", "mysql+pymysql", "mssql"]),
)
def test_no_password_of_a_database_survives_whatever_is_in_it(word, scheme):
    assert word not in mask(f"cannot reach {scheme}://me:{word}@database/x")


def test_texts_under_the_name_of_a_secret_are_masked_as_a_whole_and_numbers_are_not():
    asked = {"tasks": {"mine": {"api_token": WORD, "n_tokens": 128, "url": f"https://me:{WORD}@h"}}, "seeds": (1, 2)}
    assert mask_values(asked) == {
        "tasks": {"mine": {"api_token": "***", "n_tokens": 128, "url": "https://***@h"}},
        "seeds": (1, 2),
    }


@pytest.mark.parametrize("address", [*ADDRESSES, *HEADERS])
def test_masking_what_is_masked_changes_nothing(address):
    assert mask(mask(address)) == mask(address)


@pytest.mark.parametrize("pattern", ["models/*/card.toml", "suites/*.toml", "src/**/*.toml", "src/**/*.csv"])
def test_cards_suites_and_published_numbers_are_untouched(pattern):
    texts = {path.name: path.read_text(encoding="utf-8") for path in ROOT.glob(pattern)}
    assert texts
    assert [name for name, text in texts.items() if has_secret(text)] == []


def test_nothing_that_jetassay_itself_says_is_masked():
    """Protocols of tasks, titles, definitions, messages: every text in the code."""
    texts = [
        node.value
        for path in (ROOT / "src").rglob("*.py")
        if path.name != "masking.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert len(texts) > 9000
    assert [text for text in texts if has_secret(text)] == []


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("kind", [JetAssayError, ConfigError, TrackingError, UnknownNameError, AnswerError])
def test_no_error_carries_a_secret_in_its_text_or_its_arguments(kind, address):
    error = kind(f"{address} cannot be used")
    assert WORD not in str(error) + repr(error) + repr(error.args)


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_line_of_progress_carries_a_secret(address):
    written = io.StringIO()
    reporter = Reporter(console=Console(file=written, width=200))
    reporter.line(f"asking {address}")
    reporter.warning(f"{address} is slow")
    assert "slow" in written.getvalue()
    assert WORD not in written.getvalue()


def test_provenance_has_no_secret_of_what_was_asked_for():
    facts = collect_provenance(
        parameters={"tasks": {"mine": {"password": WORD}}, "folder": f"https:/me:{WORD}@host/jets"},
        data={"dataset": "mine", "file_names": [f"jets.root?token={WORD}"]},
        weights={},
        seed=1,
    )
    assert WORD not in json.dumps(facts)
    assert facts["parameters"]["folder"] == "https:/***@host/jets"


@pytest.mark.parametrize(
    "uri",
    [
        f"http://me:{WORD}@127.0.0.1:9",
        f"postgresql://me:{WORD}@127.0.0.1:9/mlflow",
        f"postgresql://me:a/{WORD}@127.0.0.1:9/mlflow",
        f"ftp://me:{WORD}@host/x",
        f"databricks://me:{WORD}@host",
        f"http://127.0.0.1:9/?token={WORD}",
        f"http://me:{WORD}@[bad/",
        f"http://me:{WORD}@host:port/",
        f"postgresql://me:{WORD}@[bad/mlflow",
    ],
)
def test_a_tracking_store_that_cannot_be_used_is_named_without_its_password(monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(TrackingError) as caught:
        resolve_store().check()
    told = f"{caught.value}"
    assert WORD not in told
    assert "***" in told or "127.0.0.1:9" in told or "Databricks" in told


def test_a_store_is_shown_without_user_and_password(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"https://me:{WORD}@runs.example.org/mlflow")
    assert resolve_store().shown == resolve_store().pages == "https://runs.example.org/mlflow"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql://me:{WORD}@db:5432/mlflow")
    assert resolve_store().shown == "postgresql://db:5432/mlflow"


def test_a_plan_of_a_fetch_and_the_advice_to_do_it_by_hand_show_no_secret(tmp_path):
    from jetassay.fetching.plan import Plan

    file = RemoteFile(name="a.root", urls=(f"https://host/a.root?token={WORD}",), size=1)
    plan = Plan(name="mine", files=(file,), output=tmp_path)
    assert WORD not in describe(plan) + by_hand("mine", plan.files, tmp_path)
    assert "token=***" in describe(plan)


def test_an_address_to_fetch_from_with_a_secret_is_refused_without_repeating_it(card_with_urls):
    card = card_with_urls("https://host/weights.pt")
    with pytest.raises(FetchError, match=r"must end before any \?") as caught:
        plan_weights(card, source=f"https://host/files?token={WORD}", output=None)
    assert WORD not in str(caught.value)


def test_cards_hold_no_credentials(card_with_urls):
    for url in (f"https://me:{WORD}@host/w.pt", f"https://host/w.pt?token={WORD}"):
        with pytest.raises(ConfigError, match="credentials do not belong in a card") as caught:
            card_with_urls(url)
        assert WORD not in str(caught.value)
    with pytest.raises(ValueError, match="credentials do not belong in a card"):
        Source(zenodo="1", mirrors=(f"https://me:{WORD}@host/",))


@pytest.fixture
def card_with_urls(tmp_path):
    from jetassay.backbones.card import read_card

    def make(url):
        folder = tmp_path / "mine"
        folder.mkdir(exist_ok=True)
        (folder / "card.toml").write_text(
            'name = "mine"\ntitle = "Mine"\narchitecture = "jetassay.backbones.mlp:Mlp"\nfeature_set = "jet"\n'
            f'embedding_dim = 8\n[weights]\nurls = ["{url}"]\nsha256 = "{"0" * 64}"\nlicence = "MIT"\n'
        )
        return read_card(folder / "card.toml")

    return make


def test_what_is_sent_to_mlflow_has_no_secret(monkeypatch):
    from jetassay.tracking.engine import Tracking

    sent = []

    class Client:
        def log_batch(self, run_id, **given):
            sent.append(repr([dict(each) for some in given.values() for each in some]))

        def create_run(self, experiment_id, *, run_name, tags):
            sent.append(repr(tags))
            return SimpleNamespace(info=SimpleNamespace(run_id="1"))

    tracking = Tracking(Client(), "0", resolve_store())
    tracking.log("1", parameters={"password": WORD, "url": f"https://me:{WORD}@h"}, tags={"note": f"token={WORD}"})
    tracking.create_run("run", {"api_key": WORD})
    assert len(sent) == 2
    assert all(WORD not in each and "***" in each for each in sent)


def scores():
    """None of them."""
    return typed(pd.DataFrame(columns=list(COLUMNS)))


SECRET = f"password: {WORD} and api_key = {WORD}"


def test_no_page_no_file_and_no_text_of_results_has_a_secret_of_a_suite_or_a_task(tmp_path, monkeypatch):
    monkeypatch.setenv("JETASSAY_WORKSPACE", str(tmp_path))
    results = Results(
        suite="mine", title=SECRET, frame=scores(), counts=pd.DataFrame({"jets": [1]}), protocol=SECRET,
        provenance={"parameters": {"hub_token": WORD, "note": [SECRET]}}, unranked={},
    )  # fmt: skip
    results.save()
    written = [path.read_text() for path in tmp_path.rglob("*") if path.suffix in {".txt", ".json", ".csv"}]
    assert len(written) >= 3
    page = document([Section(SECRET, (Text(SECRET), Fold(SECRET, ())))], title=SECRET, lead=SECRET)
    told = "".join([*written, page, results.as_file().text(), repr(results.content)])
    assert "password: ***" in told
    assert WORD not in told


def test_an_answer_and_an_error_that_nobody_has_foreseen_show_no_secret(monkeypatch, capsys):
    cli.answer(SECRET)
    monkeypatch.setattr(cli, "app", lambda: {}[SECRET])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    said = capsys.readouterr()
    assert caught.value.code == 1
    assert "KeyError" in said.err
    assert said.out == "password: *** and api_key = ***\n"
    assert WORD not in said.err


def test_commands_print_through_nothing_but_answer():
    folder = ROOT / "src" / "jetassay" / "cli"
    calls = [
        (path.name, node.lineno)
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in {"print", "echo"}
    ]
    assert {name for name, _ in calls} == {"app.py"}
    assert len(calls) == 2  # `answer` itself, and what Ctrl-C says


def test_what_waits_for_a_server_has_no_secret(tmp_path):
    record = SuiteRecord(
        suite="mine", suite_id="1", series="mine", series_id="1", frame=scores(), backbones=(), description=SECRET,
        provenance={"folder": Path(f"https:/me:{WORD}@h"), "note": SECRET},
    )  # fmt: skip
    outbox._write(tmp_path, record, "1")
    assert WORD not in (tmp_path / outbox.RECORD).read_text()
