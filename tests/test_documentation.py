"""The documentation is complete and says what the source says. That the site is built without a warning is a step of .ci/run."""

from __future__ import annotations

import configparser
import pathlib
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from docs.building import decisions, states
from docs.building.public import PUBLIC, public_names
from epsignal_sync.messages import CallState
from epsignal_sync.protocol.call_record import FROM_DEVICE
from epsignal_sync.protocol.call_rules import RULES, Rule
from epsignal_sync.protocol.session import LoginState, Session

from .test_architecture import LAYERS

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.glob("*.md")])

# ------------------------------------------------------------ every code block that can run is run

RUNNABLE = {"python", "pycon", "sh", "bash", "console", "shell"}
"""Languages of blocks that a reader can run. A picture of a terminal is "text"."""

# Page, heading above the blocks: how many there are, and the test that runs them as they stand there.
RUN_BY = {
    ("README.md", "Try it"): (2, "tests/test_readme.py"),
    ("README.md", "The first program"): (3, "tests/test_readme.py"),
    ("README.md", "Calls"): (1, "tests/test_readme.py"),
    ("README.md", "Change or stop messages"): (1, "tests/test_readme.py"),
    ("README.md", "Start calls"): (1, "tests/test_readme.py"),
    ("README.md", "Services of the PBX and the phone"): (1, "tests/test_readme.py"),
    ("call-control.md", "Call control"): (1, "tests/verbs/test_end_to_end.py"),
    ("call-control.md", "Click-to-dial, and joining two calls"): (1, "tests/test_click_to_dial_end_to_end.py"),
    ("first-blocked-call.md", "2. See some calls"): (1, "tests/test_tutorial.py"),
    ("first-blocked-call.md", "3. Start a PBX to play with"): (2, "tests/test_tutorial.py"),
    ("first-blocked-call.md", "4. The first program"): (3, "tests/test_tutorial.py"),
    ("first-blocked-call.md", "5. Make a call"): (2, "tests/test_tutorial.py"),
    ("first-blocked-call.md", "6. Block a caller"): (5, "tests/test_tutorial.py"),
    ("first-blocked-call.md", "7. Write a test for it"): (2, "tests/test_tutorial.py"),
    ("gui.md", "Verbs that wait"): (2, "tests/integrations/tk_programs.py"),
    ("gui.md", "Tk"): (1, "tests/integrations/test_tk_phone_panel.py"),
    ("gui.md", "Qt"): (2, "tests/integrations/test_qt_page.py"),
    ("gui.md", "asyncio"): (1, "tests/integrations/test_asyncio.py"),
    ("notebooks.md", "In a Jupyter notebook"): (2, "tests/notebook/test_kernel.py"),
    ("notebooks.md", "A table that goes on"): (1, "tests/notebook/test_kernel.py"),
    ("old-programs.md", "A loop around select()"): (1, "tests/test_old_programs_page.py"),
    ("old-programs.md", "A loop that goes round anyway"): (1, "tests/test_old_programs_page.py"),
    ("old-programs.md", "A script that cron starts"): (1, "tests/test_old_programs_page.py"),
    ("old-programs.md", "Threads, fork and multiprocessing"): (1, "tests/test_old_programs_page.py"),
    ("old-programs.md", "Logging"): (1, "tests/test_old_programs_page.py"),
    ("prepare-the-pbx.md", "6. Try it"): (1, "tests/test_prepare_page.py"),
    ("prepare-the-pbx.md", "What each mistake looks like"): (10, "tests/test_prepare_page.py"),
    ("recording.md", "1. Record, where it happens"): (1, "tests/recording/test_recording_page.py"),
    ("recording.md", "2. Find the call"): (1, "tests/recording/test_recording_page.py"),
    ("recording.md", "3. Look at it"): (1, "tests/recording/test_recording_page.py"),
    ("recording.md", "4. Play it into your program"): (1, "tests/recording/test_recording_page.py"),
    ("recording.md", "Count with pandas"): (1, "tests/recording/test_recording_page.py"),
    ("reconnect.md", "The events, in order"): (1, "tests/test_reconnect_page.py"),
    ("reconnect.md", "How to write a program that is right afterwards"): (2, "tests/test_reconnect_page.py"),
    ("services.md", "The program"): (1, "tests/test_services_page.py"),
    ("services.md", "One client for each PBX"): (1, "tests/test_services_page.py"),
    ("testing.md", "The three fixtures"): (3, "tests/test_testing_page.py"),
    ("testing.md", "Faults of the network"): (1, "tests/test_testing_page.py"),
    ("testing.md", "Behaviour of the PBX"): (1, "tests/test_testing_page.py"),
    ("testing.md", "Supplementary services"): (2, "tests/test_testing_page.py"),
    ("testing.md", "Restarts and registrations"): (1, "tests/test_testing_page.py"),
    ("tls.md", "Pin a fingerprint"): (2, "tests/test_tls_page.py"),
    ("tls.md", "Try it without a PBX"): (1, "tests/test_tls_page.py"),
    ("tls.md", "Client certificates"): (1, "tests/test_tls_page.py"),
}  # fmt: skip

# The same of blocks that no test can run: how many there are, and why not.
NOT_RUN = {
    ("CONTRIBUTING.md", "Set up"): (1, "installs from a package index, which .ci/run does for the tests and the tools"),
    ("CONTRIBUTING.md", "Tell how a PBX behaves"): (1, "a real PBX, a phone and a person; tests/cli/test_verify.py has simulated ones"),
    ("first-blocked-call.md", "1. Install it"): (1, "installs from a package index; tests/test_tutorial.py looks at the extras"),
    ("first-blocked-call.md", "8. A real PBX"): (1, "a real PBX; what it starts was run before at a simulated one"),
    ("performance.md", "Repeat it"): (1, "takes seven minutes; tests/test_benchmarks.py runs the short form"),
    ("performance.md", "When a callback computes"): (1, "takes minutes; tests/test_benchmarks.py runs the short form"),
    ("prepare-the-pbx.md", "6. Try it"): (2, "a real PBX; tests/test_prepare_page.py runs the same at a simulated one"),
    ("recording.md", "1. Record, where it happens"): (1, "a real PBX; tests/cli/test_record.py runs the same at a simulated one"),
    ("recording.md", "4. Play it into your program"): (1, "a program of the reader's; tests/cli/test_replay.py runs it with others"),
    ("recording.md", "5. Compare two runs"): (1, "two recordings of the reader's; tests/cli/test_diff.py runs it with others"),
    ("services.md", "Containers"): (1, "needs docker; tests/test_services_page.py reads the command and the recipe"),
    ("tls.md", "Pin a fingerprint"): (2, "openssl and a real PBX; tests/test_tls_page.py runs what needs neither"),
    ("tls.md", "Try it without a PBX"): (1, "openssl; the test makes the same certificate without it"),
    ("verify-on-a-pbx.md", "Verify on a PBX"): (1, "a real PBX, a phone and a person; tests/cli/test_verify.py has simulated ones"),
}


def blocks(page: pathlib.Path) -> Iterator[tuple[str, str, int]]:
    """Yield of each fenced block the heading above it, its language and its line."""
    heading, fence = "", ""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        mark = re.match(r" *(```+|~~~+)(.*)", line)
        if mark and not fence:
            fence = mark[1]
            yield heading, mark[2].strip(), number
        elif mark and mark[1].startswith(fence):
            fence = ""
        elif not fence and line.startswith("#"):
            heading = line.lstrip("#").strip()


def test_every_block_that_can_run_is_run() -> None:
    found = Counter((page.name, heading) for page in PAGES for heading, language, _ in blocks(page) if language in RUNNABLE)
    said = Counter({place: count for table in (RUN_BY, NOT_RUN) for place, (count, _) in table.items()})
    for place, (_, why) in NOT_RUN.items():
        if place in RUN_BY:
            said[place] += RUN_BY[place][0]
        assert len(why) > 20, place
    wrong = {place: (found[place], said[place]) for place in found | said if found[place] != said[place]}
    assert not wrong, f"blocks on the page, and blocks that RUN_BY and NOT_RUN name: {wrong}"


@pytest.mark.parametrize("place", RUN_BY)
def test_the_one_that_runs_a_block_reads_its_page(place: tuple[str, str]) -> None:
    text = (ROOT / RUN_BY[place][1]).read_text(encoding="utf-8")
    assert f'"{place[0]}"' in text, f"{RUN_BY[place][1]} does not read {place[0]}"


def test_every_block_names_its_language() -> None:
    """So that nobody writes a program that is not found here; what is no code is "text"."""
    without = [f"{page.name}:{line}" for page in PAGES for _, language, line in blocks(page) if not language and page.name != "README.md"]
    assert not without


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "README.md"], ids=lambda page: page.name)
def test_no_block_is_made_by_indentation(page: pathlib.Path) -> None:
    before, inside, found = "", False, []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        inside ^= line.lstrip().startswith("```")
        if line.startswith("    ") and not inside and not before.startswith(("* ", "- ", "1", "2", "3", "4", "5", "6", " ")):
            found.append(number)
        before = line or before
    assert not found, "put ``` and the language around it"


# ------------------------------------------------------------ links and places


def anchors(page: pathlib.Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub and the site make them."""
    inside, found = False, set()
    for line in page.read_text(encoding="utf-8").splitlines():
        inside ^= line.startswith("```")
        if line.startswith("#") and not inside:
            text = line.lstrip("#").strip().lower().replace("`", "")
            found.add(re.sub(r"[^\w\- ]", "", text).replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: pathlib.Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        if "://" in path or path.startswith("mailto:"):
            continue
        target = page.parent / path if path else page
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_has_its_place() -> None:
    inside = {word for tree in re.findall(r"```\{toctree\}\n(.*?)```", (DOCS / "index.md").read_text(encoding="utf-8"), re.DOTALL)
              for word in tree.split()}  # fmt: skip
    inside |= {word.removeprefix("../") for word in (DOCS / "reference" / "index.rst").read_text(encoding="utf-8").split()}
    assert not {page.stem for page in DOCS.glob("*.md")} - inside - {"index"}


# ------------------------------------------------------------ the reference


def described() -> set[str]:
    """Return the full names that the pages of the reference describe."""
    found = set()
    for page in (DOCS / "reference").glob("*.rst"):
        module = ""
        for line in page.read_text(encoding="utf-8").splitlines():
            directive = re.match(r"\.\. ([\w:]+):: ([\w.]+)", line)
            if directive is None:
                continue
            kind, name = directive.groups()
            if kind == "currentmodule":
                module = name
            elif name.startswith("epsignal_sync."):
                found.add(name)
            else:
                found.add(f"{module}.{name}")
    return found


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_in_the_reference(module: str) -> None:
    names = set(public_names(module))
    elsewhere = {name.rpartition(".")[2] for name in described() if name.startswith("epsignal_sync.")}
    if module == "epsignal_sync.messages":
        # All of them by one automodule, but for those that it leaves out.
        (left_out,) = re.findall(r":exclude-members: (.*)", (DOCS / "reference" / "messages.rst").read_text(encoding="utf-8"))
        names &= set(left_out.split(", "))
    assert names and sorted(names - elsewhere) == [], "describe them on a page of docs/reference/"


def test_public_names_are_read_from_the_source() -> None:
    assert "connect" in public_names("epsignal_sync") and "Setup" in public_names("epsignal_sync.messages")
    assert public_names("epsignal_sync.integrations.pytest_plugin") == [
        "APP", "PASSWORD", "Phones", "epsignal_client", "phones", "simulated_pbx",
    ]  # fmt: skip


# ------------------------------------------------------------ decisions on an unclear specification


def test_every_decision_is_found() -> None:
    written = sum(path.read_text(encoding="utf-8").count("# Spec:") for path in (ROOT / "epsignal_sync").rglob("*.py"))
    found = decisions.decisions()
    assert len(found) == written > 40 and all(decision.text for decision in found)
    page = decisions.markdown().casefold()
    for decision in found:
        assert f"`{decision.module}`" in page and decision.text.rstrip(".").casefold() in page
    assert "```{decisions}\n```" in (DOCS / "protocol.md").read_text(encoding="utf-8")


def test_what_belongs_to_a_decision() -> None:
    source = (
        "x = 1  # Spec: beside the code\n# something else\n"
        "    # Spec: two lines,\n    # of one column\n  # another column\n"
        "# Spec: the first\n# Spec: the second\n\n# after a gap\n"
        'text = "# Spec: no comment"\n'
    )
    source = source.replace("    # Spec", "if x:\n    # Spec").replace("  # another", "  # another")
    texts = [decision.text for decision in decisions.decisions_in("one.py", source)]
    assert texts == ["beside the code", "two lines, of one column", "the first", "the second"]


# ------------------------------------------------------------ pictures of states


@pytest.mark.parametrize("name", states.PICTURE_OF)
def test_stored_picture_is_that_of_the_tables(name: str) -> None:
    """If it is not: ``python -m docs.building.states``."""
    assert (DOCS / "pictures" / name).read_text(encoding="utf-8") == states.PICTURE_OF[name]().svg(alone=True)


def test_picture_shows_every_state_and_every_message() -> None:
    call = states.call_picture().svg(alone=False)
    for state in CallState:
        assert f">{state}<" in call or f">{state}: ended<" in call
    for (kind, _), rule in RULES.items():
        assert rule.state is None or f">{kind if isinstance(kind, str) else 'progress with a cause'}<" in call
    login = states.login_picture().svg(alone=False)
    assert all(f">{state.value}<" in login for state in LoginState) and "<style" not in login + call


def test_rule_that_has_no_place_in_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    def back(record: object, to_device: object, sig: object) -> None:
        record.state = CallState.SETUP  # type: ignore[attr-defined]

    monkeypatch.setitem(RULES, ("user_info", FROM_DEVICE), Rule(takes=back))
    with pytest.raises(ValueError, match="no place in the picture for user_info, which brings a call from"):
        states.call_picture()


def test_step_of_the_login_that_has_no_place_in_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(Session._STEPS, (LoginState.READY, "AppChallengeResult"), Session._receive_challenge)
    with pytest.raises(ValueError, match="no place in the picture for AppChallengeResult"):
        states.login_picture()
    monkeypatch.setitem(Session._STEPS, (LoginState.READY, "Other"), Session._receive_challenge)
    with pytest.raises(ValueError, match="no answers to try for Other"):
        states.login_moves()


# ------------------------------------------------------------ architecture and tools

ARCHITECTURE = (DOCS / "architecture.md").read_text(encoding="utf-8")


def test_every_file_of_the_architecture_exists() -> None:
    named = set(re.findall(r"`([\w/]+(?:\.py|/))`", ARCHITECTURE))
    assert len(named) > 30
    for name in named:
        assert (ROOT / "epsignal_sync" / name).exists() or (ROOT / name).exists(), name


def test_layers_of_the_architecture() -> None:
    rows = re.findall(r"^\| `([\w/]+)` \| ([\w`, ]+) \|$", ARCHITECTURE.partition("## Who imports whom")[2], re.MULTILINE)
    assert {name: set(re.findall(r"`(\w+)`", allowed)) for name, allowed in rows} == LAYERS


def test_every_thread_of_the_library_is_in_the_architecture() -> None:
    own = [path for path in (ROOT / "epsignal_sync").rglob("*.py") if not {"cli", "simulator"} & {*path.parts}]
    source = "".join(path.read_text(encoding="utf-8") for path in own)
    started = {name.rstrip("-") for name in re.findall(r'name=f?"(epsignal-[\w-]+)', source)}
    told = {name.removesuffix("-N") for name in re.findall(r"^\| `(epsignal-[\w-]+)`", ARCHITECTURE, re.MULTILINE)}
    assert started == told


def test_tox_has_every_python() -> None:
    setup, tox = configparser.ConfigParser(), configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    versions = re.findall(r"Python :: (\d)\.(\d+)", setup["metadata"]["classifiers"])
    environments = tox["tox"]["env_list"].split(", ")
    assert environments == [f"py{major}{minor}" for major, minor in versions] + ["lint", "types", "docs"]


def test_types_are_checked_in_the_same_places_everywhere() -> None:
    files = ("CONTRIBUTING.md", "tox.ini", ".pre-commit-config.yaml", ".ci/run")
    places = {name: re.findall(r"mypy\"? --strict ([a-z_ ]+)", (ROOT / name).read_text(encoding="utf-8")) for name in files}
    assert all(found == places["tox.ini"] for found in places.values()) and places["tox.ini"], places
