// Answers token ids with nothing but onnxruntime-node: FOLDER IDS, where IDS is a JSON file of lists.
// Prints one JSON list a text: every number of every output, in the graph's order.
// Run it where `npm install onnxruntime-node` was run.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const ort = createRequire(`${process.cwd()}/`)("onnxruntime-node");
const [folder, ids] = process.argv.slice(2);
const session = await ort.InferenceSession.create(`${folder}/onnx/model.onnx`);
for (const text of JSON.parse(readFileSync(ids, "utf8"))) {
  const tensor = (values) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);
  const columns = {
    input_ids: tensor(text.input_ids),
    attention_mask: tensor(text.attention_mask),
    token_type_ids: tensor(text.token_type_ids),
  };
  const feed = Object.fromEntries(session.inputNames.map((name) => [name, columns[name]]));
  const outputs = await session.run(feed);
  console.log(JSON.stringify(session.outputNames.flatMap((name) => Array.from(outputs[name].data))));
}
