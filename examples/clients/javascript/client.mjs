// Answers from an exported model, with onnxruntime-node and tokenizers alone.
//
//     npm install
//     node client.mjs MODEL sentiment "I love it" "Never again"
//     node client.mjs MODEL paraphrase "How old is it?" "What is its age?"

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { Tokenizer } from "tokenizers";
import { metadataOf } from "./metadata.mjs";

const [folder, name, ...texts] = process.argv.slice(2);
const path = join(folder, "model.onnx");
const metadata = metadataOf(readFileSync(path));
const task = JSON.parse(metadata["swiss.tasks"]).find((task) => task.name === name);
const reads = JSON.parse(metadata["swiss.input"]);
if (!reads.pair_encoding && task.arity > 1) throw Error("this client reads pairs as one sequence");

// Code points, the order of UTF-8; JavaScript's own order is that of UTF-16 units.
const byCodePoints = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));
const items = [];
for (let index = 0; index < texts.length; index += task.arity) {
  const item = texts.slice(index, index + task.arity);
  items.push(task.symmetric ? item.sort(byCodePoints) : item);
}
const tokenizer = Tokenizer.fromFile(join(folder, reads.tokenizer));
tokenizer.setTruncation(reads.max_length);
const encodings = await Promise.all(items.map(([text, second]) => tokenizer.encode(text, second)));
const length = Math.max(...encodings.map((encoding) => encoding.getLength()));
const tensor = (rowOf, filler) => {
  const rows = encodings.map((encoding) => rowOf(encoding));
  const padded = rows.flatMap((row) => [...row, ...Array(length - row.length).fill(filler)]);
  return new Tensor("int64", BigInt64Array.from(padded, BigInt), [rows.length, length]);
};
const [ids, mask, types] = reads.names;
const feed = {
  [ids]: tensor((encoding) => encoding.getIds(), reads.pad_token_id),
  [mask]: tensor((encoding) => encoding.getAttentionMask(), 0),
  [types]: tensor((encoding) => encoding.getTypeIds(), 0),
};
const session = await InferenceSession.create(path);
const { dims, data } = (await session.run(feed, [task.output]))[task.output];
for (let row = 0; row < dims[0]; row++) {
  let logits = Array.from(data.slice(row * dims[1], (row + 1) * dims[1]));
  let answer;
  if (task.kind === "regression") {
    const [low, high] = task.score_range;
    answer = { score: Math.min(high, Math.max(low, logits[0])) };
  } else {
    if (task.kind === "binary") logits = [0, logits[0]];
    const exponentials = logits.map((logit) => Math.exp(logit - Math.max(...logits)));
    const sum = exponentials.reduce((a, b) => a + b);
    answer = Object.fromEntries(task.labels.map((label, k) => [label, exponentials[k] / sum]));
  }
  console.log(JSON.stringify(answer));
}
