"""The table of finding codes: each is stable, never reused, and explained on a page in `nnspec/lint/docs`."""

from __future__ import annotations

from typing import Literal, NamedTuple

Severity = Literal["error", "warning", "info"]


class Code(NamedTuple):
    """A kind of finding: its readable name, its level, and one line on what it complains about.

    A rule that is not `on` speaks only where it is selected.
    """

    name: str
    severity: Severity
    summary: str
    on: bool = True


CODES: dict[str, Code] = {
    # NN0xx: text that cannot be read
    "NN001": Code("syntax", "error", "the text does not follow the grammar"),
    "NN002": Code("unbalanced-bracket", "error", "a bracket is not closed, not opened, or closed by another kind"),
    "NN003": Code("stray-character", "error", "a character or a string that the language does not know"),
    "NN004": Code("malformed-number", "error", "a number that cannot be read"),
    "NN005": Code("malformed-name", "error", "a name that is not plain ASCII, or is too long"),
    "NN006": Code("nested-too-deeply", "error", "brackets or blocks nest beyond the limit"),
    "NN007": Code("too-large", "error", "a file, or a part of it, is beyond a limit"),
    "NN008": Code("not-utf8", "error", "the bytes are not UTF-8 text"),
    "NN010": Code("yaml-syntax", "error", "the text is not YAML"),
    "NN011": Code("duplicate-key", "error", "a YAML mapping has the same key twice"),
    "NN012": Code("yaml-feature-refused", "error", "YAML tags, anchors, aliases and merge keys are refused"),
    "NN013": Code("yaml-structure", "error", "YAML that does not spell a statement of the language"),
    "NN014": Code("spec-version", "error", "the version line is misplaced or names a version that is not known"),
    # NN1xx: names and arguments
    "NN101": Code("undefined-name", "error", "a name that nothing defines"),
    "NN102": Code("unknown-argument", "error", "an argument that the operator or block does not have"),
    "NN103": Code("unknown-operator", "error", "no operator, block or network has this name"),
    "NN104": Code("missing-argument", "error", "an argument without a default is not given"),
    "NN105": Code("duplicate-argument", "error", "an argument is given twice, or there are too many"),
    "NN106": Code("argument-kind", "error", "an argument of the wrong kind, such as text for a number"),
    "NN107": Code("argument-range", "error", "an argument outside of its range"),
    "NN108": Code("redefined-name", "error", "a name is bound twice in one scope"),
    "NN109": Code("unknown-statement", "error", "a statement word that this body does not know"),
    "NN110": Code("unknown-type", "error", "a type that does not exist"),
    "NN111": Code("unknown-member", "error", "an output or member that the value does not have"),
    "NN112": Code("unknown-symbol", "error", "a dimension name that no input and no parameter introduces"),
    "NN113": Code("unreadable-import", "error", "a file or a name that `use` asks for cannot be had"),
    "NN114": Code("missing-input", "error", "a tensor that an operator needs is not given, or one too many is"),
    "NN115": Code("misplaced-value", "error", "a value of a kind that cannot stand in this place"),
    # NN2xx: shapes and types
    "NN201": Code("shape-mismatch", "error", "shapes that have to agree do not"),
    "NN202": Code("broadcast-mismatch", "error", "shapes that cannot be broadcast together"),
    "NN203": Code("wrong-rank", "error", "a tensor with the wrong number of axes"),
    "NN204": Code("wrong-dtype", "error", "a tensor with the wrong element type"),
    "NN205": Code("declared-type", "error", "a value does not have the type that is declared for it"),
    "NN206": Code("index-range", "error", "indices that may lie outside of what they index"),
    "NN207": Code("ambiguous-axis", "error", "an axis that has to be named because two would fit"),
    "NN210": Code("stated-width", "error", "a stated input width is not the width of the input"),
    "NN211": Code("reshape-size", "error", "a reshape that changes the number of elements"),
    "NN212": Code("empty-size", "error", "an operator would produce a tensor of size 0"),
    "NN213": Code("axis-range", "error", "an axis or index outside of the tensor"),
    "NN214": Code("too-small", "error", "a tensor that is too small for what an operator does with it"),
    "NN220": Code("undeclared-precondition", "warning", "the network runs only at some sizes of its inputs"),
    "NN221": Code("unproved-condition", "info", "a condition that cannot be proved and is checked at run time"),
    "NN222": Code("contradiction", "error", "conditions that no size of the inputs meets together"),
    "NN223": Code("distinct-symbols", "error", "two dimension names that would have to be equal"),
    "NN230": Code("condition-violated", "error", "a `where` condition that does not hold"),
    "NN231": Code("not-divisible", "error", "a size that has to be divisible by another is not"),
    "NN232": Code("groups", "error", "groups that do not divide the channels"),
    # NN3xx: structure
    "NN301": Code("undecided", "error", "a number is needed to build the network, and it is not known"),
    "NN302": Code("endless-recursion", "error", "a block that calls itself without an end"),
    "NN303": Code("too-many-copies", "error", "a repetition or an expansion beyond the limit"),
    "NN304": Code("duplicate-weight-name", "error", "two weights would have the same name"),
    "NN305": Code("output-missing", "error", "a network or block without an output, or with two of one name"),
    "NN306": Code("pattern-matches-nothing", "error", "a selection of weights that selects none"),
    "NN307": Code("state-misuse", "error", "`state`, `next` and `scan` used apart from one another"),
    "NN309": Code("not-checked-alone", "info", "a network that can be checked only where it is given its parameters"),
    "NN310": Code("open-weight-size", "info", "weights whose size depends on an input, so that compiling needs it as a number"),
    "NN311": Code("reserved-name", "error", "a name of weights that torch's modules or Python keep for themselves"),
    # NN4xx: recipes
    "NN401": Code("recipe-incomplete", "error", "a recipe without a loss, an optimizer, data or a length"),
    "NN402": Code("loss-not-scalar", "error", "what is minimized is not a single number"),
    "NN403": Code("nothing-to-update", "error", "the loss does not depend on any weight"),
    "NN404": Code("misplaced-setting", "error", "a setting given twice or with a value that makes no sense"),
    "NN405": Code("not-updated", "warning", "a network in a recipe that no loss and no step trains"),
    "NN406": Code("missing-detach", "warning", "a step computes gradients of a network that it does not update"),
    "NN407": Code("stale-value", "error", "a gradient through a value whose weights an earlier step has changed"),
    "NN408": Code("partly-trained", "warning", "weights of a trained network that no loss reaches"),
    "NN409": Code("batch-size", "warning", "batches of a size at which a network cannot run"),
    "NN410": Code("gradient-into-target", "warning", "a loss whose target is learned along with what should meet it"),
    "NN411": Code("constant-term", "warning", "a part of the loss that no weight can change"),
    "NN412": Code("no-gradient", "error", "the gradient of a number with respect to a value that it does not depend on"),
    # NN5xx: what a spec ensures
    "NN413": Code("sample-without-recipe", "error", "a sample that no recipe can give, or that lacks something"),
    "NN414": Code("sweep-range", "error", "a sweep that no recipe can run, or a range that is none"),
    "NN501": Code("ensure-violated", "error", "a claim of `ensure` does not hold"),
    "NN502": Code("ensure-at-compile-time", "info", "a claim that is tested on the compiled network"),
    "NN503": Code(
        "ensure-not-applied", "info", "claims on a network as it is written, which parameters set from outside have changed"
    ),
    "NN504": Code("not-proved", "error", "a check that running the network contradicts"),
    # NN6xx: lint
    "NN601": Code("unused-binding", "warning", "a value that nothing uses"),
    "NN602": Code("softmax-before-cross-entropy", "warning", "cross-entropy of something that already is a softmax"),
    "NN603": Code("sigmoid-before-logits-loss", "warning", "a loss on logits of something that already is a sigmoid"),
    "NN604": Code("unused-parameter", "warning", "a parameter that nothing uses"),
    "NN605": Code("dropout-without-effect", "warning", "dropout between layers where there is only one"),
    "NN606": Code("shadowed-operator", "warning", "a block, network or data item with the name of an operator"),
    "NN607": Code(
        "repeated-activation",
        "warning",
        "an activation of what an activation gave, which it leaves as it is or bends a second time",
    ),
    "NN608": Code(
        "loss-of-wrong-form", "warning", "a loss of values of another form than it takes, such as probabilities for logits"
    ),
    "NN609": Code("log-softmax-twice", "warning", "a log-softmax of something that already is a softmax or log-softmax"),
    "NN610": Code("bias-before-normalization", "warning", "a bias that the normalization behind it takes out again"),
    "NN611": Code("missing-activation", "warning", "two linear layers in a row, which together are no more than one"),
    "NN612": Code("activation-on-logits", "warning", "logits that an activation has cut off or bent"),
    "NN613": Code("dropout-on-output", "warning", "dropout behind the last layer"),
    "NN614": Code("even-kernel-same", "warning", "a kernel of even size, which `same` padding cannot centre"),
    "NN615": Code("undecided-mask", "warning", "attention that says neither whether it is causal nor what it keeps"),
    "NN616": Code("unused-lengths", "warning", "padded sequences that are read beyond their ends"),
    "NN617": Code("reshape-across-axes", "warning", "a reshape that mixes axes instead of exchanging them"),
    "NN618": Code("outer-broadcast", "warning", "a broadcast that pairs every element of an axis with every other"),
    "NN619": Code("across-samples", "warning", "an operator that mixes the samples of a batch"),
    "NN620": Code("unused-output", "info", "an output that nothing uses"),
    "NN621": Code("unused-item", "info", "a block, network or data item that nothing uses"),
    "NN622": Code("skipped-input", "warning", "a stride that steps over some of the input"),
    "NN623": Code("shadowed-name", "warning", "a name that hides another one around it"),
    "NN624": Code("swapped-axes", "warning", "height and width that seem to have changed places"),
    "NN625": Code("fixed-batch", "warning", "a batch axis that is a number and should be a symbol"),
    "NN626": Code("duplicate-block", "warning", "two blocks that say the same"),
    "NN627": Code("narrow-for-tensor-cores", "info", "a width that fills tensor cores only in part", on=False),
    "NN628": Code("repeated-normalization", "warning", "a normalization of something that was just normalized"),
    "NN629": Code("dropout-before-batch-norm", "info", "dropout whose noise shifts the statistics of a batch norm behind it"),
    "NN630": Code("extreme-dropout", "warning", "dropout that leaves almost nothing, or drops nothing"),
    "NN631": Code("without-effect", "warning", "a step that returns its input unchanged"),
    "NN632": Code("last-step-of-both-directions", "warning", "the last step of a recurrence that has not read everything there"),
    "NN633": Code("unscaled-attention", "warning", "attention whose scores are not scaled by the width of a head"),
    "NN634": Code("attention-over-queries", "warning", "attention weights that sum to one over the wrong axis"),
    "NN635": Code("unstable-logarithm", "warning", "a logarithm of probabilities that are computed first"),
    "NN636": Code("softmax-of-one", "warning", "a softmax or cross-entropy over an axis of size 1"),
    "NN637": Code("padding-beyond-kernel", "warning", "padding as wide as the window, so that whole windows see nothing else"),
    "NN638": Code("uneven-upsampling", "info", "a transposed convolution whose windows overlap unevenly", on=False),
    "NN639": Code("equal-initial-weights", "warning", "layers whose units all start alike, so that they stay alike"),
    "NN640": Code("redundant-width", "info", "an input width that is written and would be inferred", on=False),
    "NN641": Code("inverted-mask", "warning", "a mask that is true for the opposite of what its argument takes"),
    "NN642": Code("attention-without-positions", "warning", "attention over tokens that does not know where they stand"),
    "NN643": Code("unreachable-target", "warning", "outputs that an activation keeps from reaching what they are compared with"),
    "NN644": Code("compared-with-itself", "warning", "a loss, difference or comparison of a value with itself"),
    # NN7xx: lint of training
    "NN701": Code("unusual-learning-rate", "warning", "a learning rate far from what the optimizer is used with"),
    "NN702": Code("decay-of-norms", "info", "weight decay on biases and the weights of normalizations"),
    "NN703": Code("unfinished-schedule", "warning", "a schedule longer than the training"),
    "NN704": Code("batch-norm-of-one", "warning", "batch normalization over a single sample"),
    "NN705": Code("setting-without-effect", "warning", "a setting of a recipe that can never act"),
    "NN706": Code("coupled-decay", "info", "weight decay that an adaptive optimizer scales away"),
    "NN707": Code("nothing-measured", "info", "a recipe that measures nothing but its loss", on=False),
    "NN708": Code("divergence-mean", "warning", "a divergence that is averaged over classes, which is none"),
    "NN709": Code("future-in-input", "warning", "a network that sees the token that it has to predict"),
    "NN710": Code("unclipped-recurrence", "info", "a recurrent network trained without a limit on its gradients", on=False),
    "NN711": Code("swapped-betas", "warning", "averages of an optimizer in an order that is hardly meant"),
    "NN712": Code(
        "diverging-average",
        "warning",
        "an average of an optimizer that never forgets, or that it divides by without keeping off 0",
    ),
    "NN720": Code("held-out-nodes", "warning", "a loss or metric on the nodes of every part of a graph"),
    # NN8xx: lint of the text
    "NN801": Code("unused-suppression", "warning", "a comment that ignores a finding that is not there"),
    "NN802": Code("malformed-suppression", "warning", "a comment that should ignore a finding, without its code or a reason"),
    "NN803": Code("unused-import", "warning", "a name of a `use` that nothing uses"),
    "NN804": Code("lower-case-item", "info", "a block or network whose name is not capitalised"),
    # NN9xx: said, not done
    "NN901": Code("not-run-yet", "info", "parsed and kept, but not yet checked or run by this version"),
}
