"""Write the golden predictions of the shipped model; run it when a better model ships.

python tests/golden/make_predictions.py
"""

import json
from pathlib import Path

from swisscli import Predictor

PATH = Path(__file__).parent / "predictions.json"

TEXTS: dict[str, list[tuple[str, ...]]] = {
    "sentiment": [
        ("A warm, funny and beautifully acted film that I could watch again tomorrow.",),
        ("The first hour drags and the ending made me want my money back.",),
        ("It is a heist movie. There is a crew, a plan, and a vault.",),
        ("A decent way to spend a rainy evening.",),
        ("I have never seen so much talent wasted on so little story.",),
        ("An astonishing debut: every frame is alive.",),
        ("bad",),
        ("it 's not that i did n't like it , it 's that nobody could .",),
        ("Ein schöner Film. とても良い映画です。 🎬",),
        ("The film was fine. " * 120,),
    ],
    "paraphrase": [
        ("How do I learn to play the guitar?", "What is the best way to start learning guitar?"),
        ("How do I learn to play the guitar?", "How do I sell a used guitar?"),
        ("Why is the sky blue?", "What makes the sky look blue?"),
        ("Is it safe to eat raw eggs?", "How long should I boil an egg?"),
        ("What made Hillary Clinton join Quora?", "What is Hillary Clinton really like?"),
    ],
    "similarity": [
        ("A man is playing a guitar on stage.", "A musician plays guitar before an audience."),
        ("A dog runs along the beach.", "Two dogs are running on the sand."),
        ("The council approved the budget.", "A child is eating an apple."),
        ("Prices rose by two percent in March.", "Prices fell by two percent in March."),
        ("A cat.", "A cat."),
    ],
}


def predict(predictor: Predictor) -> dict[str, list[dict[str, object]]]:
    """Label, score and number of tokens of every text."""
    return {
        task: [
            {
                "label": answer.label,
                "score": round(answer.score or 0.0, 4),
                "num_tokens": answer.num_tokens,
                "truncated": answer.truncated,
            }
            for answer in predictor.predict(task, texts)
        ]
        for task, texts in TEXTS.items()
    }


if __name__ == "__main__":
    PATH.write_text(json.dumps(predict(Predictor()), indent=1) + "\n", encoding="utf-8")
