"""Rows of the index of the corpus that are wrong or silent: what is right, and why.

Each was decided by reading the file, and by counting in it with `grep` where it is long.
"""

from __future__ import annotations

from corpus_truth import Answer


def _of(train: str | None, held_out: str | None, *sizes: int) -> Answer:
    """Return the answer with the points of the train and of the eval loss."""
    first, second = (frozenset({size}) for size in (*sizes, 0)[:2])
    return Answer(train, held_out, exact=(first, second))


_NO_RUN = Answer(error="yes", code="FT405")
_MEGATRON = 'lines "valid loss at iteration" hold an eval loss, which the index does not count'
_TITAN = (
    "sdpa-prefetch-seq128-lbs160-compile-bf16-nccl-zero-cta-loss-chunks6-dataloader-worker2-"
    "prefetch2-metrics-logfreq"
)
_ALL_LINES = "the index counts every line with a loss in it"

RULINGS: dict[str, tuple[Answer, str]] = {
    "json_history/AloolXO__Final_qualifying_work__average_metrics_gpu.json": (
        _NO_RUN,
        "one row of averages per fold, ten folds: final values of ten runs, no curve of one",
    ),
    "jsonl/Aorunfa__dinov2_finetune__training_metrics.json": (
        _of("total_loss", "", 7),
        "the objective is total_loss; ibot_loss is one of its four parts",
    ),
    "jsonl/pabgarcialopez__CS-thesis__logs__training_log.json": (
        _NO_RUN,
        "each line is the end of another training (num_epochs 50, other sizes): no curve of one",
    ),
    "llamafactory/rameyjm7__SFT-Training-LLM__trainer_log.jsonl": (
        _of("loss", "", 656),
        "two processes wrote every line twice; 656 different steps have a loss",
    ),
    **{
        f"jsonl_txt/pabgarcialopez__CS-thesis__examples__AE__{name}__configs.txt": (
            _of("train_loss", "valid_loss", points, points),
            "the document among the text holds train_loss and valid_loss for every epoch",
        )
        for name, points in (("01", 30), ("02", 20), ("03", 20), ("04", 20))
    },
    **{
        f"{folder}/huggingface__datablations__stability_study__logs__blowup-{name}.out": (
            _of("lm loss", None, *sizes),
            _MEGATRON,
        )
        for folder, name, sizes in (
            ("megatron", "2-adam-1793488", (3, 7)),
            ("megatron", "3-adam-1793490", (18, 35)),
            ("megatron", "3-adam-fp32-1793501", (5, 10)),
            ("megatron", "3-adam-nokernel-1793763", (9, 19)),
            ("text_log", "2-1793438", (2, 4)),
            ("text_log", "3-adam-gpu1-1793503", (2, 5)),
        )
    },
    **{
        f"odd/diligent-man__model_autotraining__Legacy_code__logs__v1__{name}__training_log.json": (
            Answer("loss", "", (documents,)),
            "one document per epoch, one after another; the index is silent",
        )
        for name, documents in (("resnet18", 31), ("resnet34", 50), ("vgg13", 2))
    },
    "mlx/EXCERPT__find_string_id_53634803270.txt": (
        _of("Train loss", "Val loss", 2, 2),
        "the index is silent; two lines with a train loss, two with a val loss",
    ),
    "mlx/EXCERPT__find_string_id_68517094146.txt": (
        _of("Train loss", "Val loss", 2, 5),
        "the index is silent; two lines with a train loss, five with a val loss",
    ),
    "ipynb_keras/DinaKhezzane__bert-imdb-sentiment__imdb_bert_sentiment.ipynb": (
        _of("loss", "val_loss", 3, 3),
        f"three epochs; {_ALL_LINES}",
    ),
    "ipynb_keras/huggingface__notebooks__course__videos__tf_predictions.ipynb": (
        _of("loss", "val_loss", 3, 3),
        f"three epochs; {_ALL_LINES}",
    ),
    "ipynb_keras/huggingface__notebooks__transformers_doc__en__tensorflow__image_classification.ipynb": (
        _of("loss", "val_loss", 5, 5),
        f"five epochs; {_ALL_LINES}",
    ),
    "hf_console/BaarTeek123__llms_finetuning__logs__app.log": (
        Answer("Train loss", "Eval loss", (263,)),
        "263 lines with both losses, of four trainings; the 8 of the index are final results",
    ),
    **{
        f"ipynb_hf_table/DMalakhov1__PROJECT_LORA__{name}.ipynb": (
            _of("loss", "eval_loss", 9, 4),
            "below each table the cell prints its whole log_history: 9 losses, 4 evaluations",
        )
        for name in ("LORA_END", "QVikhr-3-1.7B")
    },
    "text_log/A-SHOJAEI__progressive-diffusion-distillation-with-adaptive-step-curriculum__training.log": (
        _of("Loss", "Validation loss", 625, 62),
        f"625 steps up to 31250 after a start that broke off at its first; {_ALL_LINES}",
    ),
    "text_log/Ci2Lab__FjordVision__experiment_log.txt": (
        Answer("Training Loss", "Validation Loss", (3243,)),
        f"3243 epochs of 35 trainings, one line each; {_ALL_LINES}",
    ),
    **{
        f"text_log/Kang346__25SpringDL_Projects__wandb__run-20250{name}__files__output.log": (
            _of("Loss", "", epochs),
            "one line per epoch; the index is silent about the key",
        )
        for name, epochs in (
            ("312_213407-0sitgljr", 20),
            ("312_215149-bik249oj", 50),
            ("313_011143-a99uur6o", 25),
        )
    },
    "text_log/firearc7__Deep-Retinex-Decomposition-Extension__logs__training_20251128_225144.log": (
        _of("Train Loss", "Val Loss", 100, 100),
        f"100 epochs, one line each; {_ALL_LINES}",
    ),
    **{
        f"text_log/thu-yao-01-luo__MultiPowerLaw__logs__{name}.log": (
            _of("Loss", "", steps),
            f"two fits, one of {steps} lines with a step and one of 11; {_ALL_LINES}",
        )
        for name, steps in (("100", 22), ("25", 20), ("400", 18))
    },
    **{
        f"text_log/pytorch__torchtitan__outputs__autoresearch__may19-qwen3-14b__{run}-{_TITAN}"
        f"{frequency}-no-flight-recorder__run.log": (
            _of("loss", "", steps),
            "the index is silent about the key",
        )
        for run, frequency, steps in (("run212", 2, 6), ("run213-rerun", 2, 6), ("run214", 1, 10))
    },
}
