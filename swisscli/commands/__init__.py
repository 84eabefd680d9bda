"""The commands, each imported when it is called: one function parses, one works."""

COMMANDS = {
    "predict": "Predict sentiment, paraphrase or similarity for files and pipes.",
    "summarize": "Count, average and chart the answers to files and pipes.",
    "match": "Find the nearest texts of another file, or duplicates within one.",
    "train": "Train one encoder for all tasks.",
    "tune": "Search for the best values of training options.",
    "download": "Fetch the training data and encoders ahead of time.",
    "synthesize": "Write labelled examples of the errors that models make.",
    "export": "Write a trained model as a verified ONNX graph.",
    "evaluate": "Measure a model on the dev sets and write leaderboard files.",
    "check": "Measure how often a model fails in each bucket of errors.",
    "report": "Write a page with a model's curves, errors and attention.",
    "attention": "Show what an attention head of the encoder attends to.",
    "pretrain": "Train an encoder further on unlabelled text.",
    "reproduce": "Run the experiments of the paper's tables.",
    "doctor": "Show versions and devices, and what a GPU still needs.",
}
"""Every command and what it does; its function has its name, and so has its module."""
