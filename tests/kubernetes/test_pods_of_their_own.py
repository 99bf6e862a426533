"""The two trainings as runs of their own deployment, each in a pod."""

from __future__ import annotations


def trainings(install) -> dict[str, dict]:
    """The runs of train/kubernetes by their ids."""
    body = {"flows": {"name": {"any_": ["train"]}}, "limit": 200}
    return {run["id"]: run for run in install.prefect("POST", "/flow_runs/filter", json=body)}


def test_each_network_is_trained_in_a_pod_of_its_own(delivered, seed):
    """With resources of their own; the keys are those of a delivery in one pod."""
    before = trainings(delivered)
    new = {"classifier": {"seed": seed}, "concept": {"seed": seed}}
    run = delivered.deliver(variables={"runner": "kubernetes"}, **new).done()
    assert {"train-classifier", "train-concept", "promote"} <= run.ran
    made = [training for name, training in trainings(delivered).items() if name not in before]
    assert sorted(training["name"] for training in made) == ["train-classifier", "train-concept"]
    jobs = [delivered.items("jobs", "-l", f"prefect.io/flow-run-id={training['id']}") for training in made]
    asked = [job["spec"]["template"]["spec"]["containers"][0]["resources"] for (job,) in jobs]
    assert [resources["requests"]["memory"] for resources in asked] == ["768Mi", "768Mi"]

    # What was trained there is at hand for a delivery in one pod, and for one that would start pods.
    for runner in ("local", "kubernetes"):
        again = delivered.deliver(variables={"runner": runner}, **new).done()
        assert (again.tasks["train-classifier"], again.tasks["train-concept"]) == ("Cached", "Cached")
    assert len(trainings(delivered)) == len(before) + 2


def test_both_networks_are_trained_at_the_same_time(delivered, seed):
    """The pod of the one does not wait for the end of the other: trainings without an end run both."""
    before = trainings(delivered)
    long = {"seed": seed, "steps": 1_000_000, "checkpoint_seconds": 1_000.0}
    delivered.deliver(variables={"runner": "kubernetes"}, classifier=long, concept=long)

    def at_work() -> list[str]:
        now = trainings(delivered)
        return sorted(
            now[one]["name"] for one in now.keys() - before if now[one]["state"]["type"] == "RUNNING"
        )

    both = ["train-classifier", "train-concept"]
    delivered.eventually(lambda: at_work() == both, "two trainings that run")


def test_a_delivery_waits_for_a_training_that_is_started_again(delivered, seed):
    """A training that is killed in its pod goes on in another one, and the delivery takes it over."""
    before = trainings(delivered)
    long = {"seed": seed, "steps": 8_000, "display_steps": 500, "checkpoint_seconds": 0.5}
    run = delivered.deliver(variables={"runner": "kubernetes"}, classifier=long)
    started = delivered.eventually(
        lambda: next((one for one in trainings(delivered) if one not in before), None), "a run of a training"
    )
    training = delivered.run(started)
    training.wait_for("classifier: step 1,000")
    training.kill_the_engine()
    run.done()
    assert "classifier: goes on from step" in training.said
    assert training.read()["run_count"] == 2
