"""What is trained, to which figure: one entry for each recipe of `specs/`. `quick` is the short mode: other settings, a smaller figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Quick:
    """Settings of the short mode, and what it has to reach: of the entry's figure, or of another one."""

    settings: Mapping[str, object]
    target: float
    figure: str = ""
    lower_is_better: bool = False


@dataclass(frozen=True)
class Entry:
    """A recipe, the figure that it is judged by, and what it has to reach on average over the seeds.

    `figure` is one of the run's final measurements, or of generated digits "judged", or "classes", how many occur. `needs` is a folder of
    the data directory. `twin` is the recipe of the same spec whose mean has to be reached, in the place of `target`.
    """

    family: str
    spec: str
    recipe: str
    data: str
    figure: str
    target: float | None
    quick: Quick
    lower_is_better: bool = False
    seeds: int = 3
    needs: str = ""
    note: str = ""
    twin: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)

    @property
    def pictures(self) -> Mapping[str, str]:
        """Pictures of a run that go into the spec's folder: file in the run, file in the folder."""
        stems = {name: name.split("/")[-1].split(".")[0] for name in PICTURES.get(self.key, ())}
        return {
            name: f"{self.recipe}.png" if stem == self.recipe else f"{self.recipe}-{stem}.png" for name, stem in stems.items()
        }

    @property
    def key(self) -> str:
        """Its name among the entries."""
        return f"{self.spec}:{self.recipe}"

    def shortened(self) -> Entry:
        """The entry in the short mode."""
        quick = self.quick
        return replace(
            self, target=quick.target, twin="", settings={**self.settings, **quick.settings}, figure=quick.figure or self.figure,
            lower_is_better=quick.lower_is_better if quick.figure else self.lower_is_better, seeds=1,
        )  # fmt: skip

    def reaches(self, value: float, target: float | None) -> bool:
        """Whether a value is as good as the target."""
        return target is None or (value <= target if self.lower_is_better else value >= target)


def _steps(count: int, **more: object) -> dict[str, object]:
    return {"train.steps": count, **more}


ENTRIES: tuple[Entry, ...] = (
    Entry("perceptron", "perceptron/perceptron", "Perceptron", "100 points", "accuracy", 1.0, Quick({}, 1.0)),
    Entry("feed-forward", "feed_forward/iris", "FeedForward", "iris", "accuracy", 0.95, Quick({}, 0.9)),
    Entry("MLP", "mlp/mlp", "MLP", "MNIST", "accuracy", 0.982, Quick(_steps(600), 0.95), needs="mnist"),
    Entry("CNN", "cnn/simple_cnn", "SimpleCNN", "MNIST", "accuracy", 0.991, Quick(_steps(300), 0.9), needs="mnist"),
    Entry("CNN", "cnn/lenet5", "LeNet5", "MNIST", "accuracy", 0.988, Quick(_steps(400), 0.95), needs="mnist"),
    Entry("ResNet", "resnet/resnet20", "ResNet20", "MNIST", "accuracy", 0.993, Quick(_steps(40), 0.4), needs="mnist"),
    Entry("RNN", "rnn/row_classifier", "RowRNN", "MNIST rows", "accuracy", 0.96, Quick(_steps(300), 0.75), needs="mnist"),
    Entry("GRU", "rnn/row_classifier", "RowGRU", "MNIST rows", "accuracy", 0.98, Quick(_steps(300), 0.85), needs="mnist"),
    Entry("LSTM", "rnn/row_classifier", "RowLSTM", "MNIST rows", "accuracy", 0.98, Quick(_steps(300), 0.85), needs="mnist"),
    Entry("LSTM", "rnn/text_classifier", "Spam", "SMS spam", "accuracy", 0.98, Quick(_steps(60), 0.87), needs="sms-spam"),
    Entry(
        "GRU", "rnn/forecaster", "GRUForecaster", "ETTh1, 96 hours", "loss", 0.5, Quick(_steps(60), 0.6), lower_is_better=True, needs="ett",
        note="repeat the last value: 1.295; DLinear as published: 0.375",
    ),
    Entry(
        "LSTM", "rnn/forecaster", "LSTMForecaster", "ETTh1, 96 hours", "loss", 0.5, Quick(_steps(60), 0.6), lower_is_better=True, needs="ett",
        note="repeat the last value: 1.295; DLinear as published: 0.375",
    ),
    Entry("Transformer", "transformer/text_classifier", "Spam", "SMS spam", "accuracy", 0.98, Quick(_steps(150), 0.87), needs="sms-spam"),
    Entry("Transformer", "transformer/seq2seq", "Seq2Seq", "reversal", "exact_match", 0.99,
          Quick(_steps(400), 2.2, "loss", lower_is_better=True)),
    Entry(
        "GPT", "transformer/gpt", "Shakespeare", "tinyshakespeare", "loss", 1.88, Quick(_steps(200), 2.75), lower_is_better=True,
        needs="tinyshakespeare",
    ),
    Entry("BERT", "transformer/bert", "Pretrain", "SMS spam", "loss", 6.08, Quick(_steps(60), 6.6), True, needs="sms-spam",
          note="masked tokens; the entropy of their frequencies is 6.08"),
    Entry("BERT", "transformer/bert", "Scratch", "SMS spam", "accuracy", None, Quick(_steps(60), 0.86), needs="sms-spam"),
    Entry("BERT", "transformer/bert", "Finetune", "SMS spam", "accuracy", None, Quick(_steps(60), 0.86), needs="sms-spam",
          twin="Scratch", note="goes on with the newest run of Pretrain"),
    Entry("autoencoder", "autoencoder/autoencoder", "DenseAutoencoder", "MNIST", "mse", 0.0152, Quick(_steps(300), 0.04), True,
          needs="mnist", note="PCA of width 32: 0.0152"),
    Entry("autoencoder", "autoencoder/autoencoder", "ConvAutoencoder", "MNIST", "mse", 0.0034, Quick(_steps(200), 0.08), True,
          needs="mnist", note="PCA of width 128: 0.0034"),
    Entry("autoencoder", "autoencoder/autoencoder", "Denoising", "MNIST", "mse", 0.0354, Quick(_steps(200), 0.09), True,
          needs="mnist", note="PCA of width 128: 0.0354; the noise itself: 0.115"),
    Entry("VAE", "vae/vae", "VAE", "MNIST", "negative_elbo", 106.0, Quick(_steps(400), 150.0), lower_is_better=True, needs="mnist"),
    Entry("GAN", "gan/gan", "GAN", "MNIST", "judged", 1.0, Quick(_steps(600), 3, "classes"), needs="mnist"),
    Entry("GAN", "gan/dcgan", "DCGAN", "MNIST", "judged", 1.0, Quick(_steps(400), 8, "classes"), needs="mnist"),
    Entry("GAN", "gan/wgan_gp", "WGANGP", "MNIST", "judged", 1.0, Quick(_steps(500), 5, "classes"), needs="mnist"),
    Entry("GAN", "gan/cyclegan", "CycleGAN", "MNIST, and inverted", "judged", 1.0, Quick(_steps(150), 6, "classes"), needs="mnist"),
    Entry("GCN", "graph/gcn", "GCN", "Cora", "accuracy", 0.81, Quick({}, 0.79), seeds=10, needs="cora"),
    Entry("GAT", "graph/gat", "GAT", "Cora", "accuracy", 0.82, Quick(_steps(60), 0.75), seeds=10, needs="cora"),
    Entry("GraphSAGE", "graph/sage", "SAGE", "Cora", "accuracy", 0.81, Quick(_steps(60), 0.7), seeds=10, needs="cora"),
    Entry("U-Net", "unet/unet", "Nuclei", "nuclei", "picture_iou", 0.85, Quick(_steps(12), 0.1), needs="dsb2018-nuclei-256",
          note="the mean over pictures"),
    Entry("Q-learning", "q_agent/tabular", "LakeQLearning", "FrozenLake 4x4", "mean_return", 0.7, Quick(_steps(5_000), 0.3)),
    Entry("SARSA", "q_agent/tabular", "LakeSARSA", "FrozenLake 4x4", "mean_return", 0.7, Quick(_steps(5_000), 0.1)),
    Entry("Q-learning", "q_agent/tabular", "CliffQLearning", "CliffWalking", "mean_return", -13.0, Quick({}, -13.0)),
    Entry("SARSA", "q_agent/tabular", "CliffSARSA", "CliffWalking", "mean_return", -25.0, Quick({}, -40.0)),
    Entry("DQN", "q_agent/dqn", "DQN", "CartPole", "mean_return", 475.0, Quick(_steps(5_000), 60.0)),
    Entry("DQN", "q_agent/dqn", "DoubleDuellingDQN", "CartPole", "mean_return", 475.0, Quick(_steps(5_000), 60.0)),
)  # fmt: skip

#: What people would look at, by the entry's key.
PICTURES: Mapping[str, tuple[str, ...]] = {
    "perceptron/perceptron:Perceptron": ("boundary.png",),
    "feed_forward/iris:FeedForward": ("boundary.png",),
    "mlp/mlp:MLP": ("curve.png",),
    "cnn/simple_cnn:SimpleCNN": ("confusion.png",),
    "resnet/resnet20:ResNet20": ("curve.png",),
    "rnn/row_classifier:RowLSTM": ("confusion.png",),
    "rnn/forecaster:GRUForecaster": ("curve.png",),
    "transformer/seq2seq:Seq2Seq": ("attention.png",),
    "transformer/gpt:Shakespeare": ("curve.png",),
    "autoencoder/autoencoder:DenseAutoencoder": ("samples/DenseAutoencoder.image.png",),
    "autoencoder/autoencoder:Denoising": ("samples/Denoising.image.png",),
    "vae/vae:VAE": ("samples/VAE.image.png", "samples/Walk.image.png"),
    "gan/gan:GAN": ("samples/GAN.image.png",),
    "gan/dcgan:DCGAN": ("samples/DCGAN.image.png",),
    "gan/wgan_gp:WGANGP": ("samples/WGANGP.image.png",),
    "gan/cyclegan:CycleGAN": ("samples/CycleGAN.image.png",),
    "graph/gcn:GCN": ("confusion.png",),
    "unet/unet:Nuclei": ("masks.png",),
    "q_agent/tabular:LakeQLearning": ("policy.png",),
    "q_agent/dqn:DQN": ("returns.png",),
}
