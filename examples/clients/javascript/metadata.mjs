// The metadata of an ONNX file, which onnxruntime-node does not show: field 14 of ModelProto in
// onnx.proto3, a list of entries with a key (field 1) and a value (field 2).

function* fields(bytes) {
  let position = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[position++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return Number(value);
    }
  };
  while (position < bytes.length) {
    const key = varint();
    const [number, kind] = [key >>> 3, key & 7];
    if (kind === 0) varint();
    else {
      const size = kind === 2 ? varint() : kind === 1 ? 8 : 4;
      yield [number, bytes.subarray(position, position + size)];
      position += size;
    }
  }
}

export function metadataOf(model) {
  const entries = [...fields(model)].filter(([number]) => number === 14);
  return Object.fromEntries(
    entries.map(([, entry]) => {
      const { 1: key, 2: value } = Object.fromEntries(fields(entry));
      return [key.toString(), value.toString()];
    }),
  );
}
