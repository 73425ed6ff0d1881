"""Trials, hints that are tried when they are read, and the line that accepts a whole refusal."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from tests.chips.speck.graphs import conv, iaf
from tests.chips.xylo.graphs import lif, readout, sequence
from toolchain import DeployError, deploy
from toolchain.across_chips.rows import most_telling
from toolchain.chips.load import load_chip
from toolchain.chips.rules.acceptance import acceptance
from toolchain.chips.rules.findings import at_most, error, info, warning
from toolchain.chips.rules.hints import helpful_approximations, helpful_edits, largest, with_advice
from toolchain.chips.rules.trial import Case, Trial
from toolchain.chips.speck.rules import graph as speck_rules
from toolchain.chips.xylo.rules import graph as xylo_rules
from toolchain.diagnostics import Advice, Diagnostic, Remedy, Severity
from toolchain.ir import Graph, Input, Output

A2, SPECK = load_chip("xylo_a2"), load_chip("speck2f")
A = error("a", "h", "is wrong")
B = error("b", "h", "is wrong")


# ---- what helps: one definition ----


def rules_of(findings_of):
    """Rules a, b and c that find ``findings_of`` a subject."""

    def rule(name):
        def find(subject, chip):
            return (f for f in findings_of(subject) if f.rule == name)

        find.__name__ = name
        return find

    return tuple(map(rule, "abc"))


def trial(after, before=(A, B), calls=None):
    """A trial of the subject ``"before"``; any other subject has the findings ``after``."""

    def findings_of(subject):
        if calls is not None:
            calls.append(subject)
        return before if subject == "before" else after

    return Trial(subject="before", chip=A2, rules=rules_of(findings_of))


def helps(after, before=(A, B), finding=A):
    return Case(finding=finding, trial=trial(after, before)).helps("after")


def test_a_finding_that_is_gone_without_a_new_error_is_helped():
    assert helps(())
    assert helps((B,))
    assert helps((B, info("c", "h", "a remark"), warning("c", "g", "a warning")))
    assert helps((replace(B, message="in other words"),))


@pytest.mark.parametrize(
    "after",
    [
        (A, B),
        (A,),
        (replace(A, message="is wrong still"), B),
        (B, error("c", "h", "new")),
        (B, error("b", "g", "new at another layer")),
        (B, error("b", "h", "new at the same layer")),
        (B, error("a", "g", "moved to another layer")),
    ],
    ids=str,
)
def test_a_finding_that_stays_or_gives_way_to_another_error_is_not_helped(after):
    assert not helps(after)


def test_one_of_two_findings_at_a_layer_may_stay_as_it_was_but_not_in_other_words():
    other = replace(A, message="is wrong in another way")
    assert helps((other,), before=(A, other))
    assert not helps((replace(other, message="now by 3"),), before=(A, other))


def test_an_error_that_is_found_twice_in_the_same_words_is_one():
    assert helps((B, B))


def test_a_change_that_cannot_be_made_does_not_help():
    assert not Case(finding=A, trial=trial(())).helps(None)


def test_a_warning_is_gone_once_nothing_as_severe_is_left():
    finding = warning("a", "h", "bad")
    assert helps((info("a", "h", "a remark"),), (finding,), finding)
    assert not helps((error("a", "h", "worse"),), (finding,), finding)


def test_every_rule_runs_once_a_subject_and_none_behind_the_first_error_where_that_is_asked():
    calls = []
    first = trial((), calls=calls)
    assert [*first.findings(), *first.findings()] == [A, B, A, B]
    assert len(calls) == 3
    calls.clear()
    assert not trial((), calls=calls).fits
    assert len(calls) == 1
    assert trial((), before=(info("a", "h", "a remark"),)).fits


# ---- hints ----


def approximated(cures):
    """Rewrites subjects into the names accepted, which leave the errors of ``cures``."""
    before = Trial(subject=(), chip=A2, rules=rules_of(lambda names: cures.get(names, (A, B))))
    case = Case(finding=A, trial=before)
    return [
        *helpful_approximations(case, {"a": ("x", "y")}, lambda subject, chip, names: (names, ()))
    ]


def test_the_fewest_names_that_help_are_a_remedy():
    (remedy,) = approximated({("y",): (B,), ("x", "y"): ()})
    assert remedy == Remedy('accept an approximation: allow=("y",)', ("y",))
    (remedy,) = approximated({("x", "y"): (B,)})
    assert remedy == Remedy('accept an approximation: allow=("x", "y")', ("x", "y"))
    assert approximated({("x", "y"): (error("c", "h", "new"),)}) == []


def test_edits_become_hints_where_they_help_and_are_tried_when_they_are_read():
    tried = []

    def edit(case):
        tried.append(case.finding.rule)
        yield "take this", "after"
        yield "or that", "before"
        yield "what cannot be done", None

    first = trial((B,))
    found = with_advice(first.findings(), first, lambda case: helpful_edits(case, {"a": [edit]}))
    assert [(f.rule, f.severity, f.message) for f in found] == [
        ("a", Severity.ERROR, "is wrong"),
        ("b", Severity.ERROR, "is wrong"),
    ]
    assert tried == []
    assert [f.hint for f in found] == ["take this", ""]
    assert found[0].remedies == (Remedy("take this"),)
    assert tried == ["a"]


def test_a_hint_that_a_finding_came_with_stays_where_nothing_helps():
    finding = error("a", "h", "is wrong", hint="do this")
    first = trial((A, B), before=(finding,))
    (found,) = with_advice(first.findings(), first, lambda case: helpful_edits(case, {}))
    assert found.hint == "do this"


def test_the_largest_number_that_fits_is_found_by_halving():
    for most in range(9):
        assert largest(9, lambda n, most=most: n <= most) == most
    assert largest(1, lambda n: True) == 0


def test_a_finding_with_a_limit_is_made_past_it_alone():
    limit = A2.limits.input_channels
    assert [*at_most("r", A2, "input", 16, "channels", limit)] == []
    (found,) = at_most("r", A2, "input", 17, "channels", limit, " (a 9, b 8)")
    assert str(found) == (
        f"error[r] input: needs 17 channels, xylo_a2 has 16 (a 9, b 8)\n  source: {A2.cite(limit)}"
    )
    assert (found.need, found.limit) == (17, 16)


# ---- findings whose hint is not known yet ----


def untried():
    """A finding, and a list with an entry each time that its remedies are tried."""
    tried = []

    def attempt():
        tried.append(1)
        return [Remedy("core 3 fits"), Remedy("accept it", ("gt->ge",))]

    return error("a", "h", "is wrong", advice=Advice(attempt)), tried


def test_remedies_are_tried_once_when_they_are_first_read():
    finding, tried = untried()
    assert repr(finding.advice) == "<not tried>"
    assert hash(finding) == hash(untried()[0])
    assert tried == []
    assert finding.hint == "core 3 fits; or accept it"
    assert [remedy.allow for remedy in finding.remedies] == [(), ("gt->ge",)]
    assert str(finding).endswith("\n  hint: core 3 fits; or accept it")
    assert tried == [1]


def test_a_replaced_finding_keeps_its_remedies_untried():
    finding, tried = untried()
    other = replace(finding, message="is wrong here")
    assert tried == []
    assert other.hint == finding.hint == "core 3 fits; or accept it"
    assert tried == [1]
    assert replace(finding, hint="").hint == ""
    assert replace(finding, hint="this").remedies == (Remedy("this"),)


def test_findings_compare_pickle_and_become_data_with_their_hints():
    finding, _ = untried()
    again = Diagnostic(
        rule="a", severity=Severity.ERROR, where="h", message="is wrong",
        hint="core 3 fits; or accept it",
    )  # fmt: skip
    assert finding == again != replace(again, hint="")
    assert pickle.loads(pickle.dumps(untried()[0])).remedies == finding.remedies
    assert Diagnostic(**{**finding.as_dict(), "severity": Severity.ERROR}) == finding
    with pytest.raises(AttributeError):
        finding.rule = "b"


def test_an_error_tries_nothing_until_it_is_printed():
    finding, tried = untried()
    lines = []
    refused = DeployError("does not fit", [finding], None, lambda: lines.append(1) or "the end")
    assert refused.args == ("does not fit",)
    assert tried == lines == []
    text = "does not fit\nerror[a] h: is wrong\n  hint: core 3 fits; or accept it\nthe end"
    assert str(refused) == str(refused) == str(pickle.loads(pickle.dumps(refused))) == text
    assert tried == lines == [1]


def test_the_most_telling_of_one_error_tries_nothing():
    finding, tried = untried()
    assert most_telling([finding]) is finding
    assert tried == []
    assert most_telling([finding, A]) is A
    assert tried == [1]


@pytest.mark.parametrize(
    ("family", "chip", "graph"),
    [
        (xylo_rules, A2, sequence(3, 4, 2, hidden=lambda n: lif(n, compare="gt"))),
        (
            speck_rules,
            SPECK,
            Graph.chain(
                {
                    "input": Input(shape=(1, 4, 4)),
                    "conv": conv(1, 1),
                    "spk": iaf((1, 4, 4), compare="gt"),
                    "output": Output(),
                }
            ),
        ),
    ],
    ids=["xylo", "speck"],
)
def test_whether_a_graph_is_taken_is_asked_of_the_rules_alone(family, chip, graph):
    found = family.check_graph(graph, chip)
    assert repr(found[0].advice) == "<not tried>"
    assert not family.computes(graph, chip)
    assert family.computes(
        graph.replace({found[0].where: replace(graph[found[0].where], compare="ge")}), chip
    )


# ---- the last line of a refusal ----


def needing(*needed, brought=(), agreement=None):
    """Deploys once all of ``needed`` are accepted; reports one error for each that is not."""
    tried = []

    def attempt(names):
        tried.append(frozenset(names))
        left = [offer(name) for name in needed if name not in names]
        if left or brought:
            raise DeployError("refused", [*left, *brought])
        return agreement

    return attempt, tried


def offer(*names):
    """An error that accepting ``names`` helps against."""
    return error("a", names[0], "is wrong", advice=Advice([Remedy("accept it", names)]))


KNOWN = ("x", "y", "z")


def test_names_that_hints_give_one_by_one_are_accepted_together():
    attempt, tried = needing("x", "y")
    line = acceptance([offer("y"), offer("x")], (), KNOWN, attempt)
    assert line == 'accept all of these: allow=("x", "y")'
    assert tried[0] == {"x", "y"}


def test_names_that_are_not_needed_are_dropped():
    attempt, _ = needing("y")
    assert acceptance([offer("x"), offer("y")], (), KNOWN, attempt).endswith('allow=("y",)')


def test_errors_that_come_to_light_are_accepted_too():
    attempt, _ = needing("x", "z")
    assert acceptance([offer("x")], (), KNOWN, attempt).endswith('allow=("x", "z")')


def test_names_that_were_accepted_before_stay():
    attempt, _ = needing("y")
    assert acceptance([offer("y")], ("x",), KNOWN, attempt).endswith('allow=("x", "y")')


def test_the_agreement_is_that_of_the_names_shown():
    attempt, _ = needing("x", agreement=0.97251)
    assert acceptance([offer("x")], (), KNOWN, attempt) == (
        'accept all of these: allow=("x",); output spike counts then agree to 97.3 % on the '
        "calibration spikes"
    )


def test_what_is_left_is_named_by_rule_and_layer():
    large = [error("kernel_memory", name, "needs more") for name in ("conv3", "conv4")]
    for brought, text in (
        (large[:1], "kernel_memory at conv3"),
        ([*large, B], "kernel_memory at conv3, conv4 and b at h"),
    ):
        attempt, _ = needing("x", brought=brought)
        line = acceptance([offer("x"), *brought], (), KNOWN, attempt)
        assert line == f'with allow=("x",) these errors remain: {text}'


def test_there_is_no_line_where_nothing_can_be_accepted_or_tried():
    attempt, tried = needing()
    assert acceptance([A, B], ("x",), KNOWN, attempt) == ""
    assert tried == []

    def other(names):
        raise ValueError("calibration has shape (1, 2)")

    assert acceptance([offer("x")], (), KNOWN, other) == ""


# ---- the same of networks ----


def strict(sizes=(3, 4, 2), **changes):
    """A network that Xylo refuses for two reasons in each layer."""
    return sequence(
        *sizes,
        rng=np.random.default_rng(0),
        hidden=lambda n: lif(n, **{"compare": "gt", "max_spikes": 1, **changes}),
        output=lambda n: readout(n, compare="gt"),
    )


def refusal(graph, chip, **options):
    with pytest.raises(DeployError) as refused:
        deploy(graph, chip, **options)
    lines = str(refused.value).splitlines()
    if refused.value.repair:
        assert lines.pop() == refused.value.repair
    return lines[-1]


def test_one_line_accepts_all_errors_of_a_network_on_xylo():
    line = 'accept all of these: allow=("gt->ge", "spike_cap->chip_cap")'
    assert refusal(strict(), "xylo") == line
    assert refusal(strict(), "xylo", allow="gt->ge") == line
    deploy(strict(), "xylo", allow=("gt->ge", "spike_cap->chip_cap"))


def test_a_refusal_can_be_sent_to_another_process():
    with pytest.raises(DeployError) as refused:
        deploy(strict(), "xylo")
    again = pickle.loads(pickle.dumps(refused.value))
    assert str(again) == str(refused.value)
    assert again.ledger == refused.value.ledger
    assert again.diagnostics == refused.value.diagnostics


def test_with_calibration_the_line_has_the_agreement_of_that_deployment():
    graph = strict()
    spikes = np.random.default_rng(1).integers(0, 3, (4, 60, 3))
    d = deploy(graph, "xylo", calibration=spikes, allow=("gt->ge", "spike_cap->chip_cap"))
    (output,) = graph.outputs
    agreement = d.ledger[output].effect.agreement
    assert refusal(graph, "xylo", calibration=spikes) == (
        'accept all of these: allow=("gt->ge", "spike_cap->chip_cap"); output spike counts then '
        f"agree to {100 * agreement:.1f} % on the calibration spikes"
    )


def test_the_line_is_of_the_spikes_that_were_given_whatever_becomes_of_the_array():
    spikes = np.random.default_rng(1).integers(0, 3, (4, 60, 3))
    wanted = refusal(strict(), "xylo", calibration=spikes.copy())
    with pytest.raises(DeployError) as refused:
        deploy(strict(), "xylo", calibration=spikes)
    spikes[:] = 0
    assert str(refused.value).splitlines()[-1] == wanted


def test_what_cannot_be_accepted_is_left_on_xylo():
    assert refusal(strict((17, 4, 2)), "xylo") == (
        'with allow=("gt->ge", "spike_cap->chip_cap") these errors remain: input_channels at input'
    )


def dynamic(shape=(1, 4, 4), weight=None, **changes):
    weight = weight or conv(1, 1)
    nodes = {"input": Input(shape=shape), "conv": weight}
    nodes["spk"] = iaf(weight.output_shape(shape), **changes)
    return Graph.chain({**nodes, "output": Output()}, dt=1e-3)


def test_one_line_accepts_all_errors_of_a_network_on_speck():
    graph = dynamic(compare="gt", max_spikes=1)
    assert refusal(graph, "speck") == (
        'accept all of these: allow=("gt->ge", "spike_cap->chip_cap")'
    )
    spikes = np.random.default_rng(1).integers(0, 2, (2, 30, 1, 4, 4))
    assert refusal(graph, "speck", calibration=spikes, quantizer="common").endswith(
        " % on the calibration spikes"
    )


def test_what_cannot_be_accepted_is_left_on_speck():
    assert refusal(dynamic(compare="gt", bias=0.5), "speck") == (
        'with allow=("gt->ge",) these errors remain: plain_neurons at spk'
    )


def test_a_refusal_that_nothing_is_accepted_for_has_no_such_line():
    assert refusal(sequence(17, 4, 2), "xylo").startswith("  source: ")
    assert "allow=" not in refusal(dynamic(bias=0.5), "speck")
