"""Names of series in other languages: 训练损失, Эпоха, perda de validação.

Only the words that logs are labelled with, put into the English ones that `keys` knows.
"""

from __future__ import annotations

import functools
import re
import unicodedata

LOSS_ABROAD = "损失|損失|손실|потер|perte|p[eé]rdida|perda|verlust|kay[ıi]p|kayb"
"""A pattern for the word that says "loss", in lower case."""

# Chinese, Japanese and Korean write without spaces: parts of a name, the longest first.
_PARTS = {
    "损失": "loss", "損失": "loss", "손실": "loss", "ロス": "loss",
    "训练": "train", "訓練": "train", "훈련": "train", "학습": "train",
    "验证": "val", "驗證": "val", "校验": "val", "検証": "val", "검증": "val",
    "测试": "test", "測試": "test", "テスト": "test", "테스트": "test",
    "评估": "eval", "評估": "eval", "評価": "eval", "평가": "eval",
    "学习率": "lr", "學習率": "lr", "学習率": "lr", "학습률": "lr",
    "轮次": "epoch", "轮数": "epochs", "轮": "epoch", "輪": "epoch", "エポック": "epoch",
    "에포크": "epoch", "에폭": "epoch", "步数": "step", "步骤": "step", "步": "step",
    "ステップ": "step", "스텝": "step", "迭代": "iteration", "반복": "iteration", "批次": "batch", "배치": "batch",
    "总": "total", "總": "total", "平均": "average", "평균": "average",
    "最佳": "best", "最优": "best", "最優": "best", "最好": "best", "最低": "lowest",
    "最小": "min", "最高": "max", "最終": "final", "最终": "final", "최고": "best", "최저": "lowest",
    "保存": "saved", "저장": "saved", "改善": "improved", "权重": "weight", "函数": "function",
    "准确率": "accuracy", "精度": "accuracy", "정확도": "accuracy", "困惑度": "perplexity",
    "集": "", "时": "", "的": "",
}  # fmt: skip
_PART = re.compile("|".join(sorted(map(re.escape, _PARTS), key=len, reverse=True)))
# Words of languages with spaces, without their accents.
_WORDS = {
    "эпоха": "epoch", "эпохи": "epoch", "эпох": "epochs", "шаг": "step", "итерация": "iteration",
    "потери": "loss", "потеря": "loss", "лосс": "loss", "лучшии": "best", "лучшая": "best",
    "обучение": "train", "обучения": "train", "обучающая": "train", "обучении": "train",
    "валидация": "val", "валидации": "val", "валидационная": "val", "тест": "test",
    "epoque": "epoch", "epoca": "epoch", "epocas": "epochs", "epoche": "epoch",
    "perte": "loss", "pertes": "loss", "perda": "loss", "perdida": "loss", "verlust": "loss",
    "kayip": "loss", "kayıp": "loss", "kaybi": "loss", "kaybı": "loss",
    "entrainement": "train", "entrenamiento": "train", "treinamento": "train", "treino": "train",
    "addestramento": "train", "egitim": "train", "validacao": "val", "validacion": "val",
    "validazione": "val", "validierung": "val", "dogrulama": "val", "prueba": "test",
    "meilleure": "best", "meilleur": "best", "melhor": "best", "mejor": "best",
}  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+")


@functools.lru_cache(maxsize=4096)
def in_english(name: str) -> str:
    """Return `name` with the words of other languages that are known put into English."""
    if not name.isascii():
        name = _PART.sub(lambda match: f" {_PARTS[match[0]]} ", name)
        name = "".join(
            letter for letter in unicodedata.normalize("NFKD", name)
            if not unicodedata.combining(letter)
        )  # fmt: skip
    return _WORD.sub(lambda match: _WORDS.get(match[0].lower(), match[0]), name)
