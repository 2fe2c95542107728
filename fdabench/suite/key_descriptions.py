"""Descriptions of the keys of suite files, one sentence for each; `suite.editor` adds them to the JSON Schema."""

from collections.abc import Mapping

_CHOSEN = "Of the cells that are meant: "

KEYS: Mapping[str, str] = {
    "name": "The label of the strategy; else it is made from what varies.",
    "description": "What the suite shows; printed in reports.",
    "tuning": "How the values were chosen; printed in every report.",
    "plugins": "Python files that add components, relative to this file; reading the suite runs them.",
    "seeds": "Each cell is run once for each seed; strategies of a seed share initial weights, partition and batches.",
    "budget": "What every strategy may spend: steps or epochs.",
    "eval": "When the model is tested, and which accuracies are targets.",
    "accounting": "Which cost is read from the ledger; no cell is run again for another one.",
    "network": "Networks on which reports tell the time to accuracy, beside those of `fdabench list networks`.",
    "workload": "What is learned, by how many workers, on which data; lists are crossed.",
    "strategy": "When and how workers synchronize; lists are crossed.",
    "exclude": "Leaves out the cells that match every key.",
    "gate": "What `fdabench check` judges by; it changes no number.",
    "convention": "paper, star, ring or upload: how bytes are counted.",
    "steps": "Local steps of each worker; or give epochs.",
    "epochs": "Nominal epochs: steps * workers * batch_size / training samples; or give steps.",
    "every_steps": "Local steps between evaluations; or give every_epochs.",
    "every_epochs": "Nominal epochs between evaluations, fractions carried over; or give every_steps.",
    "metric": "accuracy, loss (nats), bits_per_byte or perplexity: what targets are values of.",
    "targets": "Values of the metric to reach; accuracies are fractions: 0.98 is 98 %.",
    "consecutive": "Evaluations in a row that must reach a target.",
    "comparison": ">= counts a value that is equal to the target; > only better ones.",
    "headline": "The target at which strategies are compared first; one of targets.",
    "validation": "Training samples that are held out: no worker learns from them, and models are evaluated on them.",
    "share": "The share of the training set that is held out.",
    "seed": "What the held out samples are drawn with.",
    "samples": "Test samples that models are evaluated on, drawn by the cell's seed; all of them by default.",
    "stop_at_last_target": "Ends a cell when it has reached the hardest target.",
    "accuracy_margin": "A loss of accuracy up to this fraction of the test set is none.",
    "loss_margin": "A rise of the loss up to this many nats is none; for bits per byte and perplexity too.",
    "cost_margin": "A cost that is noisy may be larger by this fraction.",
    "soft": "Costs that are reproducible may be larger by this fraction.",
    "one_seed_margins": "With one seed, a loss of more margins than this fails.",
    "limit": "Limits for every run of the cells that match, whatever the baseline says.",
    "target": "One of eval.targets; goes with max_bytes_to_target or max_steps_to_target.",
    "min_accuracy": "The least test accuracy at the last evaluation, as a fraction.",
    "max_loss": "The highest test loss at the last evaluation, in nats.",
    "max_bytes": "The most bytes in all.",
    "max_bytes_to_target": "The most bytes until the target is reached.",
    "max_steps_to_target": "The most local steps until the target is reached.",
    "bandwidth_mbps": "Megabits per second.",
    "latency_ms": "Milliseconds, one way.",
    "shared": "true: one channel for all workers; false: each worker has a link of its own.",
    "kind": "Which component this table describes; `fdabench list` names them all.",
    "preset": "Which published Adam: reddi or keras.",
    "lr": "The learning rate.",
    "beta1": "Decay of the mean of gradients.",
    "beta2": "Decay of the mean of squared gradients.",
    "eps": "Added to the denominator.",
    "tau": "Added to the denominator: the degree of adaptivity of Reddi et al. (2021).",
    "momentum": "Decay of the velocity.",
    "nesterov": "Nesterov's momentum; needs a momentum above 0.",
    "weight_decay": "The coefficient of the weights: in the gradient or, of AdamW, apart from it.",
    "state_on_sync": "What becomes of a worker's optimizer state at a sync: keep, reset, or average (metered).",
    "first_every": "Syncs between two averages of Adam's mean of gradients, if its state is averaged; else each.",
    "second_every": "The same of Adam's mean of squared gradients.",
    "schedule": "How the learning rate changes over the budget; `fdabench list schedules` names the kinds.",
    "clip": "The largest L2 norm of a worker's gradient; a longer one is scaled down to it.",
    "warmup": "The share of the budget over which the learning rate rises linearly to `lr`.",
    "warmup_steps": "The same in local steps.",
    "final": "The learning rate at the end of the budget, as a share of `lr`.",
    "interval_steps": "Local steps after which the learning rate falls.",
    "interval_epochs": "The same in nominal epochs.",
    "gamma": "The factor by which the learning rate falls.",
    "alpha": "Dirichlet's concentration: the smaller, the more the workers' data differ.",
    "shares": "per-class: each class is shared out; per-worker: each worker draws its classes (Hsu et al., 2019).",
    "min_samples": "The least number of samples of each worker.",
    "label": "The class whose samples one worker has.",
    "fraction": "The share of the samples that is sorted by class.",
    "per_parameter": "Times the number of parameters is theta: a number, or a rule of the FDA paper by name.",
    "depth": "Rows of the sketch; an odd number.",
    "width": "Numbers in each row of the sketch.",
    "dataset": "`fdabench list datasets` names them all.",
    "model": "`fdabench list models` names them all.",
    "workers": "How many workers there are.",
    "batch_size": "Samples in a mini-batch of one worker.",
    "optimizer": "The local optimizer, as a table with a kind; a strategy's own takes the place of the workload's.",
    "partition": "Who holds which training samples.",
    "sampling": "shuffle: passes over the worker's data; replacement: independent draws, as in the FDA paper.",
    "last_batch": "What becomes of samples left over at the end of a pass: wrap, drop or keep.",
    "averaging": "uniform: all workers weigh the same; samples: by the number of their samples.",
    "precision": "fp32, bf16 or tf32, of products only.",
    "batchnorm_stats": "Running statistics stay with their worker (local) or are averaged at each sync and counted.",
    "reference": "The strategy that the others are compared with; else Synchronous.",
    "rate": "Quadratic synchronization rule: a round has (rate / lr)^power steps.",
    "least": "The fewest steps of a round.",
    "power": "Of rate / lr; the paper's rule has 2.",
    "switch_steps": "The local step at which the period changes; or give switch_epochs.",
    "switch_epochs": "The same in nominal epochs.",
    "first": "Local steps of the first rounds.",
    "most": "The most steps of a round.",
    "until_steps": "The local step from which gradients are not averaged any more; or give until_epochs.",
    "until_epochs": "The same in nominal epochs.",
    "local_steps": "Local steps between syncs; or give local_epochs.",
    "local_epochs": "Nominal epochs between syncs, also a fraction; or give local_steps.",
    "server": "How the mean drift moves the global model.",
    "when": "The trigger, which decides when the workers synchronize; `fdabench list triggers` names the kinds.",
    "codec": "How the message of a worker is packed; without it, float32 numbers. `fdabench list codecs`.",
    "feedback": "Error feedback around the codec: how much of what a message left out the next one makes up for.",
    "correction": "What changes the gradients of local steps; `fdabench list corrections` names the kinds.",
    "reply": "How the mean comes back: dense (float32), recode (packed again) or all (each worker gets all messages).",
    "mu": "The weight of the pull towards the global model.",
    "of": "What the control variates are made of: drift (needs SGD without momentum) or gradient.",
    "beta": "The decay of the momentum.",
    "lag": "Local steps between a check of the monitor and the decision that it leads to.",
    "last": "Whether the workers synchronize at the last step of the budget.",
    "theta": "Synchronize when the estimate of the model variance exceeds this: a number, a rule's name, or a table.",
    "monitor": "How the model variance is estimated.",
    "every": "Local steps between two looks at the monitor.",
    "chunk": "Numbers that share a scale; of chunk-topk, numbers of which the largest are sent.",
    "top": "Numbers that are sent of each chunk.",
    "levels": "Magnitudes above zero that a number is rounded to.",
    "bucket": "Numbers that share a scale.",
    "extends": "Another suite file, relative to this one; tables of this file stand over those of that one.",
}

IN: Mapping[tuple[str, str], str] = {
    ("Suite", "name"): "Names the suite and the folder of its results: letters, digits, '.', '_' and '-'.",
    ("FDA", "most"): "The most checks of the monitor in a round; then the workers synchronize whatever it says.",
    ("FDAOpt", "most"): "The same; theta aims at half as many.",
    ("Dyn", "alpha"): "The weight of the pull towards the global model.",
    ("SlowMo", "alpha"): "The learning rate of the server.",
    ("OwnNetwork", "name"): "The network's name.",
    ("Doubling", "every_steps"): "Local steps after which the period doubles; or give every_epochs.",
    ("Doubling", "every_epochs"): "The same in nominal epochs.",
    ("LocalCondition", "theta"): "Synchronize when one worker's squared drift exceeds this: a number, or a table.",
    ("LocalCondition", "every"): "Local steps between two checks.",
    ("TopK", "share"): "The share of the numbers that is sent: those with the largest magnitudes.",
    ("RandK", "share"): "The share of the numbers that is sent: at random indices, the same for all workers.",
    ("Eval", "model"): "Which model is evaluated, by one rule for all methods: virtual-mean, synced or paper.",
    **{
        (table, key): f"{_CHOSEN}{what}."
        for table in ("Limit", "Exclude")
        for key, what in {
            "dataset": "the data set",
            "model": "the model",
            "workers": "the number of workers",
            "batch_size": "the batch size",
            "partition": "the partition's kind",
            "alpha": "the partition's alpha",
            "strategy": "the strategy's kind",
            "monitor": "the monitor's kind",
            "theta": "theta",
            "precision": "the precision",
            "batchnorm_stats": "the batch statistics",
            "seed": "the seed",
        }.items()
    },
}
"""Descriptions that differ from `KEYS` in one table, by the table's title and the key."""


def description_of(key: str, title: str, about: str) -> str:
    """The description of a key.

    A key that only a plug-in's component has gets the first paragraph of the table's own description.

    Args:
        key: the name of the key.
        title: the title of its table in the JSON Schema, such as `"Eval"`.
        about: the description of its table in the JSON Schema.

    >>> description_of("bandwidth_mbps", "CustomNetwork", "")
    'Megabits per second.'
    >>> description_of("strength", "MyStrategy", "Averages with a pull.")
    'A key of MyStrategy: Averages with a pull.'
    """
    first = about.strip().split("\n\n")[0].replace("\n", " ")
    return IN.get((title, key)) or KEYS.get(key) or f"A key of {title}: {first}"
